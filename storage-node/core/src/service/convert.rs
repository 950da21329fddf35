//! Between wire messages and the machine's own values; the one place where requests are checked.
//!
//! A request that passes keeps every limit that the formats rely on, so no later code checks
//! again. Errors name the field and the limit; the request was not applied.

use bytes::Bytes;
use ringkv_kv_types::{
    CONTENT_TYPE_BYTES_MAX, Condition, KEY_BYTES_MAX, METADATA_BYTES_MAX, METADATA_PAIRS_MAX,
    REVISIONS_MAX, Record, RequestId,
};
use ringkv_proto::kv;
use ringkv_proto::v1::{self, ErrorCode, kv_reply};
use ringkv_topology::Slot;

use crate::command::{Command, Operation};
use crate::command_result::{CommandResult, Rejection};
use crate::machine::ReadError;
use crate::record::Attributes;

/// Checks the length of a key.
///
/// # Errors
/// `KEY_INVALID` with the limit.
pub fn check_key(key: &[u8]) -> Result<(), v1::Error> {
    if key.is_empty() {
        return Err(limit(
            ErrorCode::KeyInvalid,
            "`key` is empty; it has 1 to 4096 bytes",
            KEY_BYTES_MAX,
        ));
    }
    let what = "`key`";
    within(ErrorCode::KeyInvalid, what, key.len(), KEY_BYTES_MAX, "bytes")
}

/// The command of a checked put; `slot` is the slot of its key, `value_bytes_max` the cluster's.
///
/// # Errors
/// `KEY_INVALID`, `VALUE_TOO_LARGE` or `INVALID`.
pub fn put_command(slot: Slot, put: &v1::Put, value_bytes_max: u32) -> Result<Bytes, v1::Error> {
    check_key(&put.key)?;
    let value_bytes_max = usize::try_from(value_bytes_max).unwrap_or(usize::MAX);
    within(ErrorCode::ValueTooLarge, "`value`", put.value.len(), value_bytes_max, "bytes")?;
    let command = Command {
        slot,
        key: put.key.clone(),
        request: request_id(put.request_id.as_ref())?,
        condition: condition(put.condition.as_ref())?,
        return_previous: put.return_previous,
        operation: Operation::Put {
            // The wire has no lifetimes yet.
            ttl_ms: 0,
            attributes: attributes(put)?,
            value: put.value.clone(),
        },
    };
    Ok(command.encode())
}

/// The command of a checked delete; `slot` is the slot of its key.
///
/// # Errors
/// `KEY_INVALID` or `INVALID`.
pub fn delete_command(slot: Slot, delete: &v1::Delete) -> Result<Bytes, v1::Error> {
    check_key(&delete.key)?;
    let command = Command {
        slot,
        key: delete.key.clone(),
        request: request_id(delete.request_id.as_ref())?,
        condition: condition(delete.condition.as_ref())?,
        return_previous: delete.return_previous,
        operation: Operation::Delete,
    };
    Ok(command.encode())
}

/// The reply to a write, from the result that the state machine returned for its command.
pub fn write_reply(result: &[u8]) -> kv_reply::Result {
    match CommandResult::decode(result) {
        Ok(CommandResult::Written(written)) => {
            kv_reply::Result::Written(kv::written_to_proto(written))
        }
        Ok(CommandResult::Rejected(rejection)) => {
            kv_reply::Result::Error(rejection_to_proto(rejection))
        }
        Err(error) => {
            let message = format!("cannot decode the result of the command: {error}");
            kv_reply::Result::Error(v1::Error::new(ErrorCode::Internal, message))
        }
    }
}

/// The reply to a read.
pub fn read_reply(read: Result<Option<Record>, ReadError>) -> kv_reply::Result {
    let code = match &read {
        Ok(_) => None,
        Err(ReadError::NoGroup) => Some(ErrorCode::NoGroup),
        Err(ReadError::Moved) => Some(ErrorCode::Moved),
        Err(ReadError::Store(_)) => Some(ErrorCode::Internal),
    };
    match (read, code) {
        (Err(error), Some(code)) => {
            kv_reply::Result::Error(v1::Error::new(code, error.to_string()))
        }
        (read, _) => {
            let record = read.ok().flatten().map(kv::record_to_proto);
            kv_reply::Result::Found(v1::Found { record })
        }
    }
}

fn rejection_to_proto(rejection: Rejection) -> v1::Error {
    match rejection {
        Rejection::PreconditionFailed { current_revision } => v1::Error {
            current_revision,
            ..v1::Error::new(ErrorCode::PreconditionFailed, "the condition does not hold")
        },
        Rejection::KeyAbsent => v1::Error::new(ErrorCode::KeyAbsent, "the key is absent"),
        Rejection::Moved => v1::Error::new(ErrorCode::Moved, "the group does not own the slot"),
        Rejection::RequestIdReused => v1::Error::new(
            ErrorCode::RequestIdReused,
            "the request id was used for another write of this key",
        ),
        Rejection::Busy => v1::Error::new(
            ErrorCode::Busy,
            "the group cannot remember more request ids now; retry later",
        ),
    }
}

fn request_id(wire: Option<&v1::RequestId>) -> Result<RequestId, v1::Error> {
    let Some(wire) = wire else { return Err(invalid("`request_id` is missing")) };
    kv::request_id_from_proto(wire)
        .ok_or_else(|| invalid(format!("`request_id.id` has {} bytes; it has 16", wire.id.len())))
}

fn condition(wire: Option<&v1::Condition>) -> Result<Condition, v1::Error> {
    let Some(wire) = wire else { return Ok(Condition::default()) };
    let lists = [
        ("`condition.if_match`", &wire.if_match),
        ("`condition.if_none_match`", &wire.if_none_match),
    ];
    for (what, revisions) in lists {
        within(ErrorCode::Invalid, what, revisions.len(), REVISIONS_MAX, "revisions")?;
    }
    Ok(kv::condition_from_proto(Some(wire)))
}

fn attributes(put: &v1::Put) -> Result<Bytes, v1::Error> {
    let content_type_bytes = put.content_type.len();
    let code = ErrorCode::Invalid;
    within(code, "`content_type`", content_type_bytes, CONTENT_TYPE_BYTES_MAX, "bytes")?;
    within(code, "`metadata`", put.metadata.len(), METADATA_PAIRS_MAX, "pairs")?;
    let total = put.metadata.iter().map(|pair| pair.name.len() + pair.value.len()).sum();
    within(code, "`metadata`", total, METADATA_BYTES_MAX, "bytes")?;
    if put.metadata.iter().any(|pair| pair.name.is_empty()) {
        return Err(invalid("`metadata.name` is empty"));
    }
    let pairs = put.metadata.iter().map(|pair| (pair.name.as_str(), pair.value.as_str()));
    let lengths_and_count = 2 + 1 + 4 * put.metadata.len();
    let mut out = Vec::with_capacity(content_type_bytes + total + lengths_and_count);
    Attributes::encode(&put.content_type, pairs, &mut out);
    Ok(Bytes::from(out))
}

fn within(
    code: ErrorCode,
    what: &str,
    found: usize,
    max: usize,
    unit: &str,
) -> Result<(), v1::Error> {
    if found <= max {
        return Ok(());
    }
    Err(limit(code, &format!("{what} has {found} {unit}; at most {max} are allowed"), max))
}

fn limit(code: ErrorCode, message: &str, limit: usize) -> v1::Error {
    v1::Error { limit: limit as u64, ..v1::Error::new(code, message) }
}

fn invalid(message: impl Into<String>) -> v1::Error {
    v1::Error::new(ErrorCode::Invalid, message)
}

#[cfg(test)]
mod tests;
