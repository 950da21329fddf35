//! From the end of a request to its reply.
//!
//! Reads change nothing: the outcome of every failed read is "not applied".

use ringkv_consensus::{Done, RequestError};
use ringkv_proto::v1::{Error, ErrorCode, Outcome, kv_reply};

use crate::service::accept::Read;
use crate::service::convert;

/// The reply to a request that the engine has ended; `look_up` reads the record of a read. `None`
/// when the engine ended a read as a write, or a write as a read.
pub fn ended(
    result: Result<Done, RequestError>,
    read: Option<&Read>,
    look_up: impl FnOnce(&Read) -> kv_reply::Result,
) -> Option<kv_reply::Result> {
    match (result, read) {
        (Ok(Done::Applied(result)), None) => Some(convert::write_reply(&result)),
        (Ok(Done::ReadReady), Some(read)) => Some(look_up(read)),
        (Err(refusal), _) => Some(kv_reply::Result::Error(refused(refusal))),
        (Ok(_), _) => None,
    }
}

/// The reply to a request that the engine did not do.
pub fn refused(refusal: RequestError) -> Error {
    let code = match refusal {
        RequestError::NoGroup => ErrorCode::NoGroup,
        RequestError::NotLeader { .. } => ErrorCode::NotLeader,
        RequestError::Busy => ErrorCode::Busy,
        RequestError::ShuttingDown => ErrorCode::ShuttingDown,
        RequestError::LeadershipLost => ErrorCode::LeadershipLost,
        RequestError::ChangeRejected | RequestError::QuorumAtRisk => ErrorCode::Internal,
    };
    let leader_node = match refusal {
        RequestError::NotLeader { leader } => leader.map_or(0, |leader| leader.0),
        _ => 0,
    };
    Error { leader_node, ..Error::new(code, refusal.to_string()) }
}

/// The reply to a request that [`ended`] has no reply for.
pub fn unexpected() -> Error {
    Error::new(ErrorCode::Internal, "unexpected completion type for the request")
}

/// The reply to a request whose deadline passed before its end.
pub fn too_late() -> Error {
    Error::new(ErrorCode::Deadline, "the deadline passed before the outcome was known")
}

/// The reply to a request that was open when the node stopped.
pub fn stopped() -> Error {
    Error::new(ErrorCode::LeadershipLost, "the node stopped before the outcome was known")
}

/// The reply to a request that exceeds the limit of its stream.
pub fn too_many(open_max: u16) -> Error {
    let message = format!("{open_max} requests are open on this stream, which is the limit");
    Error { limit: u64::from(open_max), ..Error::new(ErrorCode::Busy, message) }
}

/// Adds to an error what every error has: this node's epoch, and for reads "not applied".
pub fn complete(result: &mut kv_reply::Result, is_read: bool, epoch: u64) {
    if let kv_reply::Result::Error(error) = result {
        error.epoch = epoch;
        if is_read {
            error.set_outcome(Outcome::NotApplied);
        }
    }
}

/// Approximate bytes of a reply, to close a batch by.
pub fn weight(result: &kv_reply::Result) -> usize {
    const OVERHEAD: usize = 64;
    let record = match result {
        kv_reply::Result::Found(found) => found.record.as_ref(),
        kv_reply::Result::Written(written) => written.previous.as_ref(),
        kv_reply::Result::Error(_) => None,
    };
    OVERHEAD + record.map_or(0, |record| record.value.len())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringkv_proto::v1::Found;
    use ringkv_topology::{GroupId, NodeId, Slot};

    use super::*;

    #[test]
    fn outcomes_are_kept_apart() {
        let outcome = |refusal| refused(refusal).outcome();
        for not_applied in [RequestError::NoGroup, RequestError::Busy, RequestError::ShuttingDown] {
            assert_eq!(outcome(not_applied), Outcome::NotApplied);
        }
        assert_eq!(outcome(RequestError::LeadershipLost), Outcome::Unknown);
        for unknown in [too_late(), stopped()] {
            assert_eq!(unknown.outcome(), Outcome::Unknown);
        }
        let mut read = kv_reply::Result::Error(too_late());
        complete(&mut read, true, 7);
        let kv_reply::Result::Error(error) = read else { unreachable!("it was an error") };
        assert_eq!((error.outcome(), error.epoch), (Outcome::NotApplied, 7));
    }

    #[test]
    fn a_request_that_ended_as_another_kind_has_no_reply() {
        let read = Read {
            group: GroupId(1),
            slot: Slot(1),
            key: Bytes::from_static(b"k"),
            without_value: false,
        };
        let found = |_: &Read| kv_reply::Result::Found(Found::default());
        assert_eq!(ended(Ok(Done::ReadReady), Some(&read), found), Some(found(&read)));
        assert_eq!(ended(Ok(Done::ReadReady), None, found), None);
        assert_eq!(ended(Ok(Done::Applied(Bytes::new())), Some(&read), found), None);
        let busy = Some(kv_reply::Result::Error(refused(RequestError::Busy)));
        assert_eq!(ended(Err(RequestError::Busy), Some(&read), found), busy);
    }

    #[test]
    fn a_refusal_points_to_the_leader() {
        let error = refused(RequestError::NotLeader { leader: Some(NodeId(3)) });
        assert_eq!((error.code(), error.leader_node), (ErrorCode::NotLeader, 3));
    }
}
