//! Runs the reconciler while this replica leads, and reports the readiness of the process.
//!
//! Decides nothing itself. A step that fails is dropped: the next round plans again from the state
//! at that time.

use std::sync::Arc;
use std::time::Duration;

use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::operation::OperationState;
use ringkv_placement_core::reconciler::Wanted;
use ringkv_placement_core::settings;
use ringkv_placement_core::state::State;
use ringkv_telemetry::health::Health;
use tokio::sync::watch;

use crate::observed::Observed;
use crate::operation_log::OperationLog;
use crate::overview::Overview;
use crate::replica::Replica;

/// Pause between rounds while there is nothing to do.
const PAUSE: Duration = Duration::from_secs(1);

/// Pause between rounds while an operation runs: its steps follow the reports of leaders.
const PAUSE_WHILE_RUNNING: Duration = Duration::from_millis(200);

/// Pause between rounds before the cluster is bootstrapped: operators wait for it.
const PAUSE_BEFORE_BOOTSTRAP: Duration = Duration::from_millis(100);

/// The part of [`Health`] that this loop reports.
pub(crate) const HEALTH_PART: &str = "consensus";

/// What a round uses.
pub(crate) struct ReconcileLoop {
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) overview: Overview,
    pub(crate) wanted: Wanted,
    pub(crate) health: Health,
}

impl ReconcileLoop {
    /// Runs until dropped.
    ///
    /// # Errors
    /// Returns only when the settings of this process differ from those of the cluster.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut log = OperationLog::default();
        loop {
            let state = Arc::clone(&self.state.borrow());
            settings::check(&state, &self.wanted.settings)?;
            self.report_health();
            let mut planned = false;
            if self.replica.leads() {
                log.look(&state);
                let plan = self.observed.plan(&state, &self.wanted);
                log.explain(&plan.blocked);
                self.overview.look(&state, plan.blocked.clone());
                planned = !plan.steps.is_empty();
                self.propose_all(plan.steps).await;
            } else {
                self.observed.follows();
                self.overview.forget();
                log = OperationLog::default();
            }
            tokio::time::sleep(pause(&state, planned)).await;
        }
    }

    /// Proposes steps until one is not applied: those after it may depend on it.
    async fn propose_all(&self, steps: Vec<Command>) {
        for step in steps {
            match self.replica.propose(&step).await {
                Ok(CommandResult::Initialized) => tracing::info!("initialized the cluster"),
                Ok(CommandResult::Bootstrapped { epoch }) => {
                    tracing::info!(%epoch, "bootstrapped the cluster");
                }
                Ok(CommandResult::Changed { epoch }) => {
                    tracing::debug!(%epoch, ?step, "step applied");
                }
                Ok(result) => {
                    tracing::info!(?result, ?step, "step was refused; planning again");
                    return;
                }
                Err(error) => {
                    tracing::info!(%error, ?step, "step failed; planning again");
                    return;
                }
            }
        }
    }

    fn report_health(&self) {
        match self.replica.leader() {
            Some(_) => self.health.ready(HEALTH_PART),
            None => self.health.unready(HEALTH_PART, "no leader is known"),
        }
    }
}

fn pause(state: &State, planned: bool) -> Duration {
    let is_bootstrapped = state.topology().is_some_and(|topology| topology.is_bootstrapped());
    let is_running = |state: OperationState| state == OperationState::Running;
    if !is_bootstrapped {
        PAUSE_BEFORE_BOOTSTRAP
    } else if planned
        || state.removed().next().is_some()
        || state.operations().iter().any(|operation| is_running(operation.state))
    {
        PAUSE_WHILE_RUNNING
    } else {
        PAUSE
    }
}
