//! Maps refusals and failures to gRPC statuses, in one place.
//!
//! UNAVAILABLE: retry, at the leader if the metadata names one. FAILED_PRECONDITION and
//! INVALID_ARGUMENT: a retry gets the same answer. The metadata has the reason of a refusal that a
//! node acts on.

use ringkv_placement_core::admission::Wait;
use ringkv_placement_core::command::{AddressHolder, CommandResult, Refusal};
use ringkv_placement_core::requests::InvalidRequest;
use ringkv_services::{APPLIED_METADATA, LEADER_METADATA, NodeRefusal, REFUSAL_METADATA};
use ringkv_topology::NodeId;
use tonic::Status;
use tonic::metadata::MetadataValue;

use crate::addresses::Addresses;
use crate::replica::RequestError;

/// This replica is not the leader; the metadata names the leader, if known.
pub(crate) fn not_leader(leader: Option<NodeId>, peers: &Addresses) -> Status {
    let Some(address) = leader.and_then(|leader| peers.get(leader)) else {
        return not_applied(Status::unavailable("placement has no leader"));
    };
    let mut status =
        not_applied(Status::unavailable(format!("the placement leader is at {address}")));
    if let Ok(address) = address.parse() {
        status.metadata_mut().insert(LEADER_METADATA, address);
    }
    status
}

/// The request has an invalid field.
pub(crate) fn invalid(error: InvalidRequest) -> Status {
    Status::invalid_argument(error.to_string())
}

/// The request did not reach the log, or its result is unknown.
pub(crate) fn unanswered(error: &RequestError, peers: &Addresses) -> Status {
    match error {
        RequestError::NotLeader { leader } => not_leader(*leader, peers),
        // Registering again with the same incarnation returns the same id, so that an unknown
        // result may be retried like one that is known not to have applied.
        RequestError::Unknown(_) => Status::unavailable(error.to_string()),
        RequestError::Busy | RequestError::Stopping => {
            not_applied(Status::unavailable(error.to_string()))
        }
    }
}

/// Marks a status as that of a request that certainly changed nothing.
pub(crate) fn not_applied(mut status: Status) -> Status {
    status.metadata_mut().insert(APPLIED_METADATA, MetadataValue::from_static("no"));
    status
}

/// The state machine refused.
pub(crate) fn refused(refusal: &Refusal) -> Status {
    let reason = match refusal {
        Refusal::NotInitialized | Refusal::Stale => {
            return Status::unavailable(refusal.to_string());
        }
        Refusal::WrongCluster { .. } | Refusal::UnknownNode { .. } => Some(NodeRefusal::Foreign),
        Refusal::OlderCopy { .. } | Refusal::NodeRemoved { .. } => {
            Some(NodeRefusal::DirectoryOutdated)
        }
        Refusal::WrongSecret { .. }
        | Refusal::NotRegistered { .. }
        | Refusal::TooManyNodes { .. }
        | Refusal::NoSuchNode { .. }
        | Refusal::NotRunning { .. }
        | Refusal::InvalidSetting(_)
        | Refusal::Conflict(_)
        | Refusal::Members(_)
        | Refusal::Impossible(_) => None,
    };
    let status = Status::failed_precondition(refusal.to_string());
    reason.map_or(status.clone(), |reason| because(reason, status))
}

/// A registration has to wait for what other nodes do.
pub(crate) fn wait(wait: &Wait) -> Status {
    let status = Status::unavailable(wait.to_string());
    match wait {
        Wait::ServedElsewhere { .. } => because(NodeRefusal::ServedElsewhere, status),
        Wait::TooEarly { .. } | Wait::AddressInUse { .. } => because(NodeRefusal::TooEarly, status),
    }
}

fn because(reason: NodeRefusal, mut status: Status) -> Status {
    let reason = MetadataValue::from_static(reason.name());
    status.metadata_mut().insert(REFUSAL_METADATA, reason);
    status
}

/// For the operator: another node has the address of a new one, and replicas.
pub(crate) fn warning(holder: &AddressHolder) -> String {
    let AddressHolder { node, replicas } = holder;
    format!(
        "node {node} had this address and holds {replicas} replicas; if its data directory still \
         exists, stop this process and start with that one"
    )
}

/// The result is not one of the command: a bug.
pub(crate) fn unexpected(result: &CommandResult) -> Status {
    tracing::error!(?result, "unexpected result type for command");
    Status::internal("unexpected result type for request")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringkv_placement_core::place::Place;
    use ringkv_placement_core::start::Peers;
    use ringkv_placement_core::state::{PlacementMembers, State};
    use tokio::sync::watch;
    use tonic::Code;

    use super::*;

    #[test]
    fn a_follower_names_the_leader_it_knows() {
        let list = Peers::from([(Place(2), "placement-2:7000".to_owned())]);
        let (_sender, state) = watch::channel(Arc::new(State::founded(Place(2), &list)));
        let peers = Addresses::new(state, list, PlacementMembers::default());
        let error = RequestError::NotLeader { leader: Some(NodeId(1)) };
        let status = unanswered(&error, &peers);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.metadata().get(LEADER_METADATA).unwrap(), "placement-2:7000");
        let status = unanswered(&RequestError::NotLeader { leader: None }, &peers);
        assert_eq!(status.code(), Code::Unavailable);
        assert!(status.metadata().get(LEADER_METADATA).is_none());
    }

    #[test]
    fn only_what_stays_refused_is_final() {
        let node = NodeId(1);
        assert_eq!(refused(&Refusal::NotInitialized).code(), Code::Unavailable);
        assert_eq!(refused(&Refusal::UnknownNode { node }).code(), Code::FailedPrecondition);
        assert_eq!(refused(&Refusal::NodeRemoved { node }).code(), Code::FailedPrecondition);
    }

    #[test]
    fn a_node_learns_why_it_is_refused() {
        let reason = |status: Status| {
            let name = status.metadata().get(REFUSAL_METADATA)?.to_str().unwrap().to_owned();
            NodeRefusal::from_name(&name)
        };
        let (node, address) = (NodeId(1), "n1:1".to_owned());
        let removed = refused(&Refusal::NodeRemoved { node });
        assert_eq!(reason(removed), Some(NodeRefusal::DirectoryOutdated));
        assert_eq!(reason(refused(&Refusal::UnknownNode { node })), Some(NodeRefusal::Foreign));
        assert_eq!(reason(refused(&Refusal::WrongSecret { node })), None);
        let elsewhere = Wait::ServedElsewhere { node, address: address.clone(), heard_ms: 1 };
        assert_eq!(reason(wait(&elsewhere)), Some(NodeRefusal::ServedElsewhere));
        let early = Wait::TooEarly { node, address, remaining_ms: 1 };
        assert_eq!(wait(&early).code(), Code::Unavailable);
        assert_eq!(reason(wait(&early)), Some(NodeRefusal::TooEarly));
    }
}
