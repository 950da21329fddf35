//! Runs the reconciler while this replica leads, and watches over the process's readiness.
//!
//! Decides nothing itself. A step that fails is forgotten: the next round plans anew from what
//! is there then.

use std::sync::Arc;
use std::time::Duration;

use ringkv_placement_core::command::{Command, Outcome};
use ringkv_placement_core::reconciler::{Wanted, plan};
use ringkv_placement_core::settings;
use ringkv_placement_core::state::State;
use ringkv_telemetry::health::Health;
use tokio::sync::watch;

use crate::observed::Observed;
use crate::replica::Replica;

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
            settings::check(&state, &self.wanted.settings)?;
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
