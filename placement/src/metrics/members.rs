//! The series of placement's own replicas. All are 0 unless this replica leads.

use prometheus::core::Collector;
use prometheus::{IntGaugeVec, Opts};
use ringkv_placement_core::state::State;
use ringkv_topology::Role;

use super::signed;
use crate::live::Live;

/// The series.
pub(super) struct MemberSeries {
    members: IntGaugeVec,
}

impl MemberSeries {
    pub(super) fn new() -> prometheus::Result<Self> {
        let options = Opts::new(
            "ringkv_placement_members",
            "Placement's own replicas that vote (voter), and of these the ones not heard from \
             (silent); 0 unless this replica leads.",
        );
        Ok(Self { members: IntGaugeVec::new(options, &["state"])? })
    }

    /// Sets the series; `None` unless this replica leads.
    pub(super) fn show(&self, state: Option<&State>, live: &Live) {
        let replicas = state.map(|state| &state.members().replicas);
        let replicas = replicas.into_iter().flatten();
        let voters: Vec<_> = replicas
            .filter(|(_, replica)| replica.role == Role::Voter)
            .map(|(id, _)| *id)
            .collect();
        let heard = live.replicas();
        // A new leader has not heard from all yet.
        let silent = voters.iter().filter(|id| live.is_settled() && !heard.contains(id)).count();
        self.members.with_label_values(&["voter"]).set(signed(voters.len() as u64));
        self.members.with_label_values(&["silent"]).set(signed(silent as u64));
    }

    pub(super) fn family(&self) -> &dyn Collector {
        &self.members
    }
}
