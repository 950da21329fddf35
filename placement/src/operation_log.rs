//! Logs the operations that begin and end, and what blocks them. Decides nothing.

use std::collections::BTreeSet;

use ringkv_placement_core::operation::{Operation, OperationId, OperationState};
use ringkv_placement_core::reconciler::Blocker;
use ringkv_placement_core::state::State;

/// What this replica has logged while it leads.
#[derive(Default)]
pub(crate) struct OperationLog {
    /// The operations that ran in the last round; `None` before the first one.
    running: Option<BTreeSet<OperationId>>,
    explained: BTreeSet<String>,
}

impl OperationLog {
    /// Logs what is new since the last round. Operations of an earlier leader are not logged again.
    pub(crate) fn look(&mut self, state: &State) {
        let operations = state.operations();
        let is_running = |operation: &&&Operation| operation.state == OperationState::Running;
        let running: BTreeSet<OperationId> =
            operations.iter().filter(is_running).map(|operation| operation.id).collect();
        let Some(before) = self.running.replace(running.clone()) else { return };
        for operation in operations {
            let (id, kind, cause) = (operation.id.0, &operation.kind, &operation.cause);
            match (before.contains(&operation.id), running.contains(&operation.id)) {
                (false, true) => tracing::info!(id, %kind, cause, "operation began"),
                (true, false) => {
                    let state = operation.state;
                    let (steps, bytes) = (operation.done_steps, operation.done_bytes);
                    let took_ms = operation.ended_ms.saturating_sub(operation.began_ms);
                    tracing::info!(id, %kind, cause, ?state, steps, bytes, took_ms, "operation ended");
                }
                _ => {}
            }
        }
    }

    /// Logs what blocks the plan, once for as long as it does.
    pub(crate) fn explain(&mut self, blocked: &[Blocker]) {
        let reasons: BTreeSet<String> =
            blocked.iter().map(|blocker| blocker.reason.clone()).collect();
        for reason in reasons.difference(&self.explained) {
            tracing::info!(reason, "the plan is blocked");
        }
        self.explained = reasons;
    }
}
