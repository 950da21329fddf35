//! A replica of placement that runs, for those that ask about it or command it.

use std::sync::Arc;

use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::state::State;
use ringkv_placement_core::{member_steps, members_view};
use ringkv_proto::v1::PlacementGroup;
use tokio::sync::watch;
use tonic::Status;

use crate::addresses::Addresses;
use crate::answers::{not_leader, unanswered};
use crate::identity::Identity;
use crate::live::Live;
use crate::replica::Replica;

/// The parts of the replica; clones share them.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) identity: Identity,
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) live: Arc<Live>,
    pub(crate) addresses: Arc<Addresses>,
}

impl Member {
    /// Placement's replicas as this one knows them.
    pub(crate) fn group(&self) -> PlacementGroup {
        let state = Arc::clone(&self.state.borrow());
        let Identity { raft_cluster, replica, .. } = self.identity;
        let (status, live) = (self.replica.status(), self.live.replicas());
        members_view::group(raft_cluster, replica, &state, status.as_ref(), &live)
    }

    /// Replicates a command, if this replica leads and what it observes does not speak against it.
    pub(crate) async fn propose(&self, command: &Command) -> Result<CommandResult, Status> {
        if !self.replica.leads() {
            return Err(not_leader(self.replica.leader(), &self.addresses));
        }
        if let Command::Members(change) = command {
            let state = Arc::clone(&self.state.borrow());
            let (live, is_settled) = (self.live.replicas(), self.live.is_settled());
            let admitted = member_steps::admit(change, state.members(), &live, is_settled);
            if let Err(refusal) = admitted {
                return Ok(CommandResult::Refused(refusal.into()));
            }
        }
        let done = self.replica.propose(command).await;
        done.map_err(|error| unanswered(&error, &self.addresses))
    }
}
