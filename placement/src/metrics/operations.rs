//! The series of what the leader does about the cluster: operations, moves, what blocks them, and
//! the replicas that are lost. All are 0 unless this replica leads.

use prometheus::IntGauge;
use prometheus::core::Collector;
use ringkv_placement_core::operation::OperationState;
use ringkv_placement_core::state::State;

use super::signed;
use crate::observed::Observed;

/// The series.
pub(super) struct OperationSeries {
    running: IntGauge,
    moves: IntGauge,
    blocked: IntGauge,
    lost: IntGauge,
}

impl OperationSeries {
    pub(super) fn new() -> prometheus::Result<Self> {
        Ok(Self {
            running: IntGauge::new(
                "ringkv_placement_operations_running",
                "Operations that run, such as drains and repairs; 0 unless this replica leads.",
            )?,
            moves: IntGauge::new(
                "ringkv_placement_moves_running",
                "Replicas that join a group now; 0 unless this replica leads.",
            )?,
            blocked: IntGauge::new(
                "ringkv_placement_blocked",
                "Reasons why a planned change cannot go on; 0 unless this replica leads.",
            )?,
            lost: IntGauge::new(
                "ringkv_placement_replicas_lost",
                "Replicas on nodes silent for longer than replace-after; 0 unless this replica leads.",
            )?,
        })
    }

    /// Sets the series; `None` unless this replica leads.
    pub(super) fn show(&self, state: Option<&State>, observed: &Observed) {
        let operations = state.map(|state| state.operations()).unwrap_or_default();
        let is_running = |state: OperationState| state == OperationState::Running;
        let running = operations.iter().filter(|operation| is_running(operation.state)).count();
        self.running.set(signed(running as u64));
        self.moves.set(signed(state.map_or(0, |state| state.moves().count()) as u64));
        self.blocked.set(signed(state.map_or(0, |_| observed.blocked().len()) as u64));
        let lost = state.and_then(State::topology).map_or(0, |topology| {
            let lost = observed.lost(topology);
            let groups = topology.groups.values();
            let replicas = groups.flat_map(|group| &group.replicas);
            replicas.filter(|replica| lost.contains(&replica.node)).count()
        });
        self.lost.set(signed(lost as u64));
    }

    pub(super) fn families(&self) -> [&dyn Collector; 4] {
        [&self.running, &self.moves, &self.blocked, &self.lost]
    }
}
