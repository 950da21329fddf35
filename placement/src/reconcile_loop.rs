//! Runs the reconciler while this replica leads, and watches over the process's readiness.
//!
//! Decides nothing itself. A step that fails is forgotten: the next round plans anew from what
//! is there then.

use std::sync::Arc;
use std::time::Duration;

use ringkv_telemetry::health::Health;
use ringkv_topology::Settings;
use tokio::sync::watch;

use crate::command::{Command, Outcome};
use crate::observed::Observed;
use crate::reconciler::{Wanted, plan};
use crate::replica::Replica;
use crate::state::State;

/// The pause between rounds of a formed cluster.
const PAUSE: Duration = Duration::from_secs(1);

/// The pause while people wait for a cluster to form.
const PAUSE_UNFORMED: Duration = Duration::from_millis(100);

/// The part of [`Health`] that this loop reports.
pub(crate) const HEALTH_PART: &str = "consensus";

/// What a round works on.
pub(crate) struct ReconcileLoop {
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) wanted: Wanted,
    pub(crate) health: Health,
}

impl ReconcileLoop {
    /// Runs until dropped.
    ///
    /// # Errors
    /// Ends only when the settings of this process are not those of the cluster.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut explained = None;
        loop {
            let state = Arc::clone(&self.state.borrow());
            check_settings(&state, &self.wanted.settings)?;
            self.report_health();
            if self.replica.leads() {
                if let Some(topology) = state.topology() {
                    self.observed.retain_known(topology);
                }
                let plan = plan(&state, &self.observed.alive(), &self.wanted);
                if plan.blocked != explained {
                    if let Some(reason) = &plan.blocked {
                        tracing::info!(reason, "waiting to form the cluster");
                    }
                    explained = plan.blocked;
                }
                for step in plan.steps {
                    self.take(step).await;
                }
            }
            let formed = state.topology().is_some_and(|topology| topology.is_formed());
            tokio::time::sleep(if formed { PAUSE } else { PAUSE_UNFORMED }).await;
        }
    }

    async fn take(&self, step: Command) {
        match self.replica.propose(&step).await {
            Ok(Outcome::Initialized) => tracing::info!("initialized the cluster"),
            Ok(Outcome::Formed { epoch }) => tracing::info!(%epoch, "formed the cluster"),
            Ok(outcome) => tracing::info!(?outcome, "a step was not taken, planning again"),
            Err(error) => tracing::info!(%error, "a step was not taken, planning again"),
        }
    }

    fn report_health(&self) {
        match self.replica.leader() {
            Some(_) => self.health.ready(HEALTH_PART),
            None => self.health.unready(HEALTH_PART, "no leader is known"),
        }
    }
}

/// What all processes must agree on is kept in the state; flags may only repeat it.
fn check_settings(state: &State, ours: &Settings) -> anyhow::Result<()> {
    let Some(topology) = state.topology() else { return Ok(()) };
    let theirs = &topology.settings;
    let shown = |show: fn(&Settings) -> String| [theirs, ours].map(show);
    let pairs = [
        ("--slot-count", shown(|settings| settings.slot_count.get().to_string())),
        ("--replication-factor", shown(|settings| settings.replication_factor.to_string())),
        ("--value-bytes-max", shown(|settings| settings.value_bytes_max.to_string())),
        ("--read-mode", shown(|settings| settings.read_mode.to_string())),
    ];
    for (flag, [theirs, ours]) in pairs {
        anyhow::ensure!(
            theirs == ours,
            "{flag}: the cluster was created with {theirs}, not {ours}; it cannot be changed"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ringkv_topology::{ClusterId, ReadMode, SlotCount};

    use super::*;

    fn settings() -> Settings {
        Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor: 3,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        }
    }

    #[test]
    fn settings_other_than_the_clusters_are_refused_by_their_flag() {
        let mut state = State::default();
        check_settings(&state, &settings()).unwrap();
        state.apply(Command::Init { cluster: ClusterId(1), settings: settings() });
        check_settings(&state, &settings()).unwrap();
        let others = [
            Settings { slot_count: SlotCount::new(64).unwrap(), ..settings() },
            Settings { replication_factor: 1, ..settings() },
            Settings { value_bytes_max: 7, ..settings() },
            Settings { read_mode: ReadMode::Lease, ..settings() },
        ];
        let flags = ["--slot-count", "--replication-factor", "--value-bytes-max", "--read-mode"];
        for (other, flag) in others.iter().zip(flags) {
            let error = check_settings(&state, other).unwrap_err().to_string();
            assert!(error.starts_with(flag), "{error}");
        }
    }
}
