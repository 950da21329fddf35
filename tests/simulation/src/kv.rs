//! Converts between the types of the histories and the shipped commands, outcomes and records.

use bytes::Bytes;
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_storage_core::command::{Command, Operation, RequestId};
use ringkv_storage_core::condition::Condition as WireCondition;
use ringkv_storage_core::outcome::{Outcome, Rejection};
use ringkv_storage_core::record::{Attributes, Record};
use ringkv_topology::Slot;

use crate::history::{Answer, Change, Condition, ValueId, Version};
use crate::world::{KvResult, WriteBody};

/// The command that replicates a write.
pub(crate) fn command(slot: Slot, key: &Bytes, write: &WriteBody) -> Bytes {
    let condition = match write.condition {
        Condition::Always => WireCondition::default(),
        Condition::Absent => WireCondition { if_none_match_any: true, ..Default::default() },
        Condition::Revision(revision) => {
            WireCondition { if_match: vec![revision], ..Default::default() }
        }
    };
    let operation = match write.change {
        Change::Delete => Operation::Delete,
        Change::Put(value) => {
            let mut attributes = Vec::new();
            Attributes::encode("text/plain", std::iter::empty(), &mut attributes);
            Operation::Put { ttl_ms: 0, attributes: attributes.into(), value: value_bytes(value) }
        }
    };
    let request = RequestId { id: write.request_id, chosen_by_user: write.chosen_by_user };
    Command {
        slot,
        key: key.clone(),
        request,
        condition,
        return_previous: write.return_previous,
        operation,
    }
    .encode()
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
pub(crate) fn version(record: &Record) -> Result<Version, String> {
    let value = record.value.first_chunk().map(|id| ValueId::from_le_bytes(*id));
    let value = value.filter(|id| value_bytes(*id) == record.value);
    let value = value.ok_or_else(|| format!("no client wrote the value of {record:?}"))?;
    Ok(Version { value, revision: record.revision })
}

/// The reply that a client receives for the outcome of its command.
///
/// # Errors
/// The outcome is not one that a simulated command can have.
pub(crate) fn learnt(outcome: &[u8], wants_previous: bool) -> Result<KvResult, String> {
    match decode(outcome)? {
        Outcome::Written(written) => {
            let previous = written.previous.as_ref().map(version).transpose()?;
            let (revision, existed) = (written.revision, written.existed);
            let previous = wants_previous.then_some(previous);
            Ok(KvResult::Learnt(Answer::Written { revision, existed, previous }))
        }
        Outcome::Rejected(Rejection::PreconditionFailed { current_revision }) => {
            let current = (current_revision != 0).then_some(current_revision);
            Ok(KvResult::Learnt(Answer::Refused { current }))
        }
        Outcome::Rejected(Rejection::KeyAbsent) => Ok(KvResult::Learnt(Answer::NothingToDelete)),
        Outcome::Rejected(Rejection::Busy) => Ok(failed(ErrorCode::Busy)),
        Outcome::Rejected(rejection) => Err(format!("a command was rejected: {rejection:?}")),
    }
}

fn failed(code: ErrorCode) -> KvResult {
    KvResult::Failed(Box::new(v1::Error::new(code, code.slug())))
}

fn decode(outcome: &[u8]) -> Result<Outcome, String> {
    Outcome::decode(outcome).map_err(|error| format!("an outcome does not decode: {error}"))
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
pub(crate) fn effect(command: &Bytes, outcome: &[u8]) -> Result<Effect, String> {
    match decode(outcome)? {
        Outcome::Written(written) if written.repeated => Ok(Effect::Repeated),
        Outcome::Rejected(_) => Ok(Effect::Rejected),
        Outcome::Written(_) => {
            let received = Command::decode(command)
                .map_err(|error| format!("a command does not decode: {error}"))?;
            Ok(Effect::Applied(received.command.request.id))
        }
    }
}
