//! One write as it is replicated.
//!
//! Layout (little endian): version u8, kind u8, fingerprint u64, request id 16 bytes, chosen by
//! user u8, then the body: slot u16, return previous u8, condition, key length u16, key, and for
//! a put ttl_ms u64, attributes, value. Encoded once by the leader; decoding shares the memory.
//! The fingerprint is the hash of kind and body: it distinguishes a retry from another write under
//! the same request id. `service::convert` checks the limits on sizes.

use bytes::{Buf, BufMut, Bytes};
use ringkv_consensus::DecodeError;
use ringkv_kv_types::{Condition, RequestId};
use ringkv_topology::Slot;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::condition;
use crate::format;
use crate::record::Attributes;

const VERSION: u8 = 1;
const PUT: u8 = 1;
const DELETE: u8 = 2;
const FINGERPRINT_AT: usize = 2;
const BODY_AT: usize = FINGERPRINT_AT + 8 + 16 + 1;

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Of the key; decided by the node that took the request.
    pub slot: Slot,
    pub key: Bytes,
    pub request: RequestId,
    pub condition: Condition,
    pub return_previous: bool,
    pub operation: Operation,
}

/// What is done with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    Put {
        /// Lifetime by the group clock, milliseconds; 0 means no expiry.
        ttl_ms: u64,
        /// [`Attributes`], encoded.
        attributes: Bytes,
        value: Bytes,
    },
    Delete,
}

/// A command out of the log, with its fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    pub command: Command,
    pub fingerprint: u64,
}

impl Command {
    /// The bytes to propose.
    pub fn encode(&self) -> Bytes {
        let (kind, payload_bytes) = match &self.operation {
            Operation::Put { attributes, value, .. } => (PUT, 8 + attributes.len() + value.len()),
            Operation::Delete => (DELETE, 0),
        };
        let body_bytes =
            2 + 1 + condition::encoded_bytes(&self.condition) + 2 + self.key.len() + payload_bytes;
        let mut out = Vec::with_capacity(BODY_AT + body_bytes);
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_u64_le(0);
        out.put_slice(&self.request.id);
        out.put_u8(u8::from(self.request.chosen_by_user));
        out.put_u16_le(self.slot.0);
        out.put_u8(u8::from(self.return_previous));
        condition::encode(&self.condition, &mut out);
        out.put_u16_le(u16::try_from(self.key.len()).expect("the length of a key is limited"));
        out.put_slice(&self.key);
        if let Operation::Put { ttl_ms, attributes, value } = &self.operation {
            out.put_u64_le(*ttl_ms);
            out.put_slice(attributes);
            out.put_slice(value);
        }
        let fingerprint = xxh3_64_with_seed(&out[BODY_AT..], u64::from(kind));
        out[FINGERPRINT_AT..FINGERPRINT_AT + 8].copy_from_slice(&fingerprint.to_le_bytes());
        Bytes::from(out)
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// `DecodeError` for an unknown version or kind, or bytes that are no command.
    pub fn decode(bytes: &Bytes) -> Result<Received, DecodeError> {
        let mut cursor = &bytes[..];
        let input = &mut cursor;
        format::take_version(input, VERSION)?;
        let kind = input.try_get_u8()?;
        let fingerprint = input.try_get_u64_le()?;
        let request =
            RequestId { id: format::take_array(input)?, chosen_by_user: format::take_flag(input)? };
        let slot = Slot(input.try_get_u16_le()?);
        let return_previous = format::take_flag(input)?;
        let condition = condition::take(input)?;
        let key_bytes = usize::from(input.try_get_u16_le()?);
        let key = bytes.slice_ref(format::take_bytes(input, key_bytes)?);
        let operation = match kind {
            PUT => {
                let ttl_ms = input.try_get_u64_le()?;
                let attributes = bytes.slice_ref(Attributes::take(input)?.as_bytes());
                Operation::Put { ttl_ms, attributes, value: bytes.slice_ref(input) }
            }
            DELETE if input.is_empty() => Operation::Delete,
            DELETE => return Err(DecodeError::TrailingBytes),
            _ => return Err(DecodeError::Implausible("command kind")),
        };
        let command = Self { slot, key, request, condition, return_previous, operation };
        Ok(Received { command, fingerprint })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attributes(content_type: &str) -> Bytes {
        let mut out = Vec::new();
        Attributes::encode(content_type, [("name", "value")].into_iter(), &mut out);
        Bytes::from(out)
    }

    fn bytes(len: usize) -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..len).prop_map(Bytes::from)
    }

    fn operation() -> impl Strategy<Value = Operation> {
        let put = (any::<u64>(), ".{0,10}", bytes(60)).prop_map(|(ttl_ms, content_type, value)| {
            Operation::Put { ttl_ms, attributes: attributes(&content_type), value }
        });
        prop_oneof![put, Just(Operation::Delete)]
    }

    fn command() -> impl Strategy<Value = Command> {
        let condition = (any::<[bool; 2]>(), prop::collection::vec(any::<u64>(), 0..3)).prop_map(
            |([if_match_any, if_none_match_any], revisions)| Condition {
                if_match: revisions.clone(),
                if_match_any,
                if_none_match: revisions,
                if_none_match_any,
            },
        );
        (any::<u16>(), bytes(30), any::<[u8; 16]>(), any::<[bool; 2]>(), condition, operation())
            .prop_map(|(slot, key, id, [chosen_by_user, return_previous], condition, operation)| {
                let request = RequestId { id, chosen_by_user };
                Command { slot: Slot(slot), key, request, condition, return_previous, operation }
            })
    }

    proptest! {
        #[test]
        fn a_command_comes_back_as_it_was_encoded(command in command()) {
            let received = Command::decode(&command.encode()).expect("a command just made");
            prop_assert_eq!(received.command, command);
        }

        #[test]
        fn the_fingerprint_is_of_the_operation_and_not_of_the_request_id(
            command in command(), id in any::<[u8; 16]>(),
        ) {
            let of = |c: &Command| Command::decode(&c.encode()).expect("a command").fingerprint;
            let mut retry = command.clone();
            retry.request.id = id;
            prop_assert_eq!(of(&retry), of(&command));
            let mut other = command.clone();
            other.condition.if_match_any ^= true;
            prop_assert_ne!(of(&other), of(&command));
            other = command.clone();
            other.key = [&command.key[..], b"x"].concat().into();
            prop_assert_ne!(of(&other), of(&command));
        }

        #[test]
        fn any_bytes_decode_or_fail_without_panic(
            mut bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 0u8..4, plausible in any::<bool>(),
        ) {
            if plausible {
                bytes.splice(0..0, [VERSION, kind]);
            }
            let _ = Command::decode(&Bytes::from(bytes));
        }

        #[test]
        fn a_command_cut_short_is_no_other_command(command in command(), cut in 1usize..40) {
            let bytes = command.encode();
            let cut = bytes.slice(..bytes.len().saturating_sub(cut));
            // A put may lose the end of its value unseen: batches carry the length of each command.
            if let (Err(_), Operation::Delete) = (Command::decode(&cut), &command.operation) {
                return Ok(());
            }
            let is_put = matches!(command.operation, Operation::Put { .. });
            prop_assert!(is_put);
        }
    }
}
