//! Whether the process is alive, and whether it is ready, with the reasons when not.
//!
//! Live means a restart would not help; ready means clients may be sent here. Each part of a
//! service reports under a name of its own, so that one part's recovery does not hide another's
//! trouble.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::{PullingGauge, Registry};

/// The health of one service; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    dead: Option<String>,
    /// What keeps the service from being ready, by the part that says so.
    unready: BTreeMap<&'static str, String>,
}

impl Health {
    /// A live service that is not ready until each of `parts` has reported so.
    pub fn starting(parts: impl IntoIterator<Item = &'static str>) -> Self {
        let health = Self::default();
        parts.into_iter().for_each(|part| health.unready(part, "starting"));
        health
    }

    /// Adds `ringkv_ready` to the registry.
    ///
    /// # Errors
    /// The name is taken in this registry.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        let health = self.clone();
        registry.register(Box::new(PullingGauge::new(
            "ringkv_ready",
            "Whether clients may be sent here, as /readyz says: 1 yes, 0 no.",
            Box::new(move || if health.readiness().is_ok() { 1.0 } else { 0.0 }),
        )?))
    }

    /// `part` has nothing against clients being sent here.
    pub fn ready(&self, part: &'static str) {
        self.state.lock().unready.remove(part);
    }

    /// `part` keeps the service from being ready; a second report replaces the first.
    pub fn unready(&self, part: &'static str, reason: impl Into<String>) {
        self.state.lock().unready.insert(part, reason.into());
    }

    /// The process cannot recover and should be restarted.
    pub fn dead(&self, reason: impl Into<String>) {
        self.state.lock().dead = Some(reason.into());
    }

    /// Whether the process is alive.
    ///
    /// # Errors
    /// The reason why it is not.
    pub fn live(&self) -> Result<(), String> {
        self.state.lock().dead.clone().map_or(Ok(()), Err)
    }

    /// Whether clients may be sent here: alive, and no part objects.
    ///
    /// # Errors
    /// Every reason against it, one `part: reason` each, sorted by part.
    pub fn readiness(&self) -> Result<(), Vec<String>> {
        let state = self.state.lock();
        let dead = state.dead.iter().map(|reason| format!("process: {reason}"));
        let unready = state.unready.iter().map(|(part, reason)| format!("{part}: {reason}"));
        let reasons: Vec<String> = dead.chain(unready).collect();
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }
}

#[cfg(test)]
mod tests {
    use super::Health;

    #[test]
    fn ready_only_once_every_part_is() {
        let health = Health::starting(["placement", "groups"]);
        health.unready("placement", "not registered");
        health.ready("groups");
        assert_eq!(health.readiness(), Err(vec!["placement: not registered".to_owned()]));
        health.ready("placement");
        assert_eq!(health.readiness(), Ok(()));
    }

    #[test]
    fn a_dead_process_is_neither_live_nor_ready() {
        let health = Health::default();
        health.dead("disk lost");
        assert_eq!(health.live(), Err("disk lost".to_owned()));
        assert!(health.readiness().is_err());
    }
}
