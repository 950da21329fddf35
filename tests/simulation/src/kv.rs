//! Converts between the types of the histories and the messages of the wire.

use bytes::Bytes;
use ringkv_proto::v1::kv_reply::Result as Reply;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_storage_core::command::Command;
use ringkv_storage_core::command_result::CommandResult;

use crate::history::{Answer, Change, Condition, ValueId, Version};

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum KvBody {
    Get,
    Write(WriteBody),
}

/// A write, the same in every attempt.
#[derive(Clone, Debug)]
pub(crate) struct WriteBody {
    pub(crate) change: Change,
    pub(crate) condition: Condition,
    pub(crate) request_id: [u8; 16],
    pub(crate) chosen_by_user: bool,
    pub(crate) return_previous: bool,
}

/// The operation in a client's request; the same in every attempt.
pub(crate) fn operation(key: &Bytes, body: &KvBody) -> Operation {
    let write = match body {
        KvBody::Get => {
            return Operation::Get(v1::Get { key: key.clone(), without_value: false });
        }
        KvBody::Write(write) => write,
    };
    let request_id = Some(v1::RequestId {
        id: Bytes::copy_from_slice(&write.request_id),
        chosen_by_user: write.chosen_by_user,
    });
    let (key, condition, return_previous) = (key.clone(), condition(write), write.return_previous);
    match write.change {
        Change::Delete => {
            Operation::Delete(v1::Delete { key, condition, request_id, return_previous })
        }
        Change::Put(value) => Operation::Put(v1::Put {
            key,
            value: value_bytes(value),
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            condition,
            request_id,
            return_previous,
        }),
    }
}

fn condition(write: &WriteBody) -> Option<v1::Condition> {
    match write.condition {
        Condition::Always => None,
        Condition::Absent => {
            Some(v1::Condition { if_none_match_any: true, ..v1::Condition::default() })
        }
        Condition::Revision(revision) => {
            Some(v1::Condition { if_match: vec![revision], ..v1::Condition::default() })
        }
    }
}

/// The key of a request; empty if it names no operation.
pub(crate) fn key(request: &v1::KvRequest) -> &[u8] {
    match &request.operation {
        Some(Operation::Get(get)) => &get.key,
        Some(Operation::Put(put)) => &put.key,
        Some(Operation::Delete(delete)) => &delete.key,
        None => &[],
    }
}

/// The bytes of a value: its id and padding, so that sizes differ.
fn value_bytes(value: ValueId) -> Bytes {
    let mut bytes = value.to_le_bytes().to_vec();
    bytes.resize(8 + usize::try_from(value % 97).expect("below 97"), 0x5a);
    bytes.into()
}

/// A record as a client sees it.
///
/// # Errors
/// The value was never written.
fn version(record: &v1::Record) -> Result<Version, String> {
    let value = record.value.first_chunk().map(|id| ValueId::from_le_bytes(*id));
    let value = value.filter(|id| value_bytes(*id) == record.value);
    let value = value.ok_or_else(|| format!("no client wrote the value of {record:?}"))?;
    Ok(Version { value, revision: record.revision })
}

/// The meaning of a reply for a client.
pub(crate) enum Learnt {
    /// The operation is over.
    Answer(Answer),
    /// The attempt failed.
    Failed(v1::Error),
}

/// The meaning of a reply for the client of an operation.
///
/// # Errors
/// The reply is not one that a simulated operation can have.
pub(crate) fn learnt(reply: Reply, body: &KvBody) -> Result<Learnt, String> {
    let wants_previous = matches!(body, KvBody::Write(write) if write.return_previous);
    let answer = match (reply, body) {
        (Reply::Found(found), KvBody::Get) => {
            Answer::Found(found.record.as_ref().map(version).transpose()?)
        }
        (Reply::Written(written), KvBody::Write(_)) => {
            let previous = written.previous.as_ref().map(version).transpose()?;
            let (revision, existed) = (written.revision, written.existed);
            Answer::Written { revision, existed, previous: wants_previous.then_some(previous) }
        }
        (Reply::Error(error), _) => match error.code() {
            ErrorCode::PreconditionFailed => {
                let current = (error.current_revision != 0).then_some(error.current_revision);
                Answer::Refused { current }
            }
            ErrorCode::KeyAbsent => Answer::NothingToDelete,
            ErrorCode::NotLeader
            | ErrorCode::NoGroup
            | ErrorCode::Busy
            | ErrorCode::ShuttingDown
            | ErrorCode::LeadershipLost
            | ErrorCode::Deadline => return Ok(Learnt::Failed(error)),
            // Requests of simulated clients are valid, and no slot moves.
            ErrorCode::Unspecified
            | ErrorCode::Moved
            | ErrorCode::KeyInvalid
            | ErrorCode::ValueTooLarge
            | ErrorCode::RequestIdReused
            | ErrorCode::Invalid
            | ErrorCode::NoSpace
            | ErrorCode::Internal => return Err(format!("a request was refused: {error:?}")),
        },
        (reply, body) => return Err(format!("a reply to {body:?} is {reply:?}")),
    };
    Ok(Learnt::Answer(answer))
}

/// The effect of an applied command.
pub(crate) enum Effect {
    /// It changed a record, under this request id.
    Applied([u8; 16]),
    /// It had changed one earlier, under the same request id.
    Repeated,
    Rejected,
}

/// Returns whether an applied command took effect at this entry.
pub(crate) fn effect(command: &Bytes, result: &[u8]) -> Result<Effect, String> {
    let result = CommandResult::decode(result)
        .map_err(|error| format!("a result does not decode: {error}"))?;
    match result {
        CommandResult::Written(written) if written.repeated => Ok(Effect::Repeated),
        CommandResult::Rejected(_) => Ok(Effect::Rejected),
        CommandResult::Written(_) => {
            let received = Command::decode(command)
                .map_err(|error| format!("a command does not decode: {error}"))?;
            Ok(Effect::Applied(received.command.request.id))
        }
    }
}
