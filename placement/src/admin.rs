//! The calls of operators, on a listener of their own: one file for each area.
//!
//! Any replica takes them. A change is a command for the leader, which this replica passes on to:
//! each call says what it wants as a [`Command`] and how its result is answered.

mod nodes;
mod replicas;
mod service;
mod settings;

use ringkv_placement_core::command::{Command, CommandResult, OperationCommand, Refusal};
use ringkv_placement_core::operation::OperationId;
use ringkv_services::v1::placement_admin_server::PlacementAdminServer;
use tonic::service::Routes;
use tonic::{Code, Status};

use crate::answers::not_applied;
use crate::member::Member;
use crate::overview::Overview;
use crate::peer_calls;

/// Serves the PlacementAdmin service.
pub(crate) struct Admin {
    member: Member,
    overview: Overview,
}

/// The services of the admin listener.
pub(crate) fn routes(member: Member, overview: Overview) -> Routes {
    Routes::new(PlacementAdminServer::new(Admin { member, overview }))
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

    /// The same, for what operators request of the cluster.
    async fn operate(&self, command: OperationCommand) -> Result<CommandResult, Status> {
        match self.change(Command::Operation(command)).await? {
            CommandResult::Refused(refusal) => Err(refused(&refusal)),
            done => Ok(done),
        }
    }

    /// The same, for what begins an operation.
    async fn begin(&self, command: OperationCommand) -> Result<OperationId, Status> {
        match self.operate(command).await? {
            CommandResult::Began { operation } => Ok(operation),
            _ => Err(Status::internal("unexpected result type for request")),
        }
    }
}

/// The status of a refused request, which changed nothing.
fn refused(refusal: &Refusal) -> Status {
    let code = match refusal {
        Refusal::NotInitialized | Refusal::Stale => Code::Unavailable,
        Refusal::InvalidSetting(_) => Code::InvalidArgument,
        Refusal::NoSuchNode { .. } | Refusal::NotRunning { .. } => Code::NotFound,
        _ => Code::FailedPrecondition,
    };
    not_applied(Status::new(code, refusal.to_string()))
}

#[cfg(test)]
mod tests {
    use ringkv_services::APPLIED_METADATA;
    use ringkv_topology::NodeId;

    use super::*;

    #[test]
    fn a_refusal_says_that_nothing_applied_and_whether_a_retry_helps() {
        let cases = [
            (Refusal::NotInitialized, Code::Unavailable),
            (Refusal::InvalidSetting("a".into()), Code::InvalidArgument),
            (Refusal::NoSuchNode { node: NodeId(4) }, Code::NotFound),
            (Refusal::NotRunning { operation: OperationId(4) }, Code::NotFound),
            (Refusal::Conflict("busy".into()), Code::FailedPrecondition),
        ];
        for (refusal, code) in cases {
            let status = refused(&refusal);
            assert_eq!((status.code(), status.message()), (code, refusal.to_string().as_str()));
            assert_eq!(status.metadata().get(APPLIED_METADATA).unwrap(), "no");
        }
    }
}
