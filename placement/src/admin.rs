//! The calls of operators, on a listener of their own: one file for each area.
//!
//! Any replica takes them. A change is a command for the leader, which this replica passes on to:
//! each call says what it wants as a [`Command`] and how its result is answered.

mod replicas;

use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_services::v1::placement_admin_server::PlacementAdminServer;
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::peer_calls;
use crate::peers_service::Member;

/// Serves the PlacementAdmin service.
pub(crate) struct Admin {
    member: Member,
}

/// The services of the admin listener.
pub(crate) fn routes(member: Member) -> Routes {
    Routes::new(PlacementAdminServer::new(Admin { member }))
}

impl Admin {
    /// Has the leader replicate a command.
    async fn change(&self, command: Command) -> Result<CommandResult, Status> {
        let Member { identity, replica, addresses, .. } = &self.member;
        let done = self.member.propose(&command).await;
        let leader = replica.leader().and_then(|leader| addresses.get(leader));
        match (done, leader) {
            (Err(status), Some(leader)) if status.code() == Code::Unavailable => {
                peer_calls::propose(&leader, identity.raft_cluster, &command).await
            }
            (done, _) => done,
        }
    }

    /// The same, for a command whose only good result is that it is done.
    async fn done(&self, command: Command) -> Result<(), Status> {
        match self.change(command).await? {
            CommandResult::Refused(refusal) => {
                Err(Status::failed_precondition(refusal.to_string()))
            }
            _ => Ok(()),
        }
    }
}
