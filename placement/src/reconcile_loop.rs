//! Runs the reconciler while this replica leads, and reports the readiness of the process.
//!
//! Decides nothing itself. A step that fails is dropped: the next round plans again from the state
//! at that time.

use std::sync::Arc;
use std::time::Duration;

use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::reconciler::{Wanted, plan};
use ringkv_placement_core::settings;
use ringkv_placement_core::state::State;
use ringkv_telemetry::health::Health;
use tokio::sync::watch;

use crate::observed::Observed;
use crate::replica::Replica;

/// Pause between rounds once the cluster is bootstrapped.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause between rounds before that: operators wait for it.
const PAUSE_BEFORE_BOOTSTRAP: Duration = Duration::from_millis(100);

/// The part of [`Health`] that this loop reports.
pub(crate) const HEALTH_PART: &str = "consensus";

/// What a round uses.
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
    /// Returns only when the settings of this process differ from those of the cluster.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut explained = None;
        loop {
            let state = Arc::clone(&self.state.borrow());
            settings::check(&state, &self.wanted.settings)?;
            self.report_health();
            if self.replica.leads() {
                if let Some(topology) = state.topology() {
                    self.observed.retain_known(topology);
                }
                let plan = plan(&state, &self.observed.alive(), &self.wanted);
                if plan.blocked != explained {
                    if let Some(reason) = &plan.blocked {
                        tracing::info!(reason, "waiting to bootstrap the cluster");
                    }
                    explained = plan.blocked;
                }
                for step in plan.steps {
                    self.propose(step).await;
                }
            }
            let is_bootstrapped =
                state.topology().is_some_and(|topology| topology.is_bootstrapped());
            tokio::time::sleep(if is_bootstrapped { PAUSE } else { PAUSE_BEFORE_BOOTSTRAP }).await;
        }
    }

    async fn propose(&self, step: Command) {
        match self.replica.propose(&step).await {
            Ok(CommandResult::Initialized) => tracing::info!("initialized the cluster"),
            Ok(CommandResult::Bootstrapped { epoch }) => {
                tracing::info!(%epoch, "bootstrapped the cluster")
            }
            Ok(result) => tracing::info!(?result, "step was refused; planning again"),
            Err(error) => tracing::info!(%error, "step failed; planning again"),
        }
    }

    fn report_health(&self) {
        match self.replica.leader() {
            Some(_) => self.health.ready(HEALTH_PART),
            None => self.health.unready(HEALTH_PART, "no leader is known"),
        }
    }
}
