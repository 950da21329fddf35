//! What callers hand in and get back: keys, values, records, conditions, options.
//!
//! Owns the client's vocabulary and its conversion from and to the wire; decides nothing.

use std::time::Duration;

use bytes::Bytes;
use ringkv_proto::v1;
use xxhash_rust::xxh3::xxh3_128;

use crate::trace::{CallTrace, Timing};

/// The longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 4096;

/// One stored record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The version: rises with every write in the key's slot, never falls, never repeats.
    pub revision: u64,
    /// First write of the record, milliseconds since the Unix epoch by the group's clock.
    pub created_ms: u64,
    /// Last write, likewise.
    pub updated_ms: u64,
    /// When it ends, likewise; `None` is never.
    pub expires_ms: Option<u64>,
    /// Empty when the writer named none.
    pub content_type: String,
    pub metadata: Vec<Metadata>,
    /// Empty when the read asked to leave it out.
    pub value: Bytes,
    /// Length of the stored value in bytes, also when it was left out.
    pub value_bytes: u64,
}

/// A name and value the user keeps beside the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    pub name: String,
    pub value: String,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// `None` if the key is absent.
    pub record: Option<Record>,
    /// Where the time went at the node.
    pub timing: Timing,
}

/// A write that applied, now or earlier under the same request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision the write made; for a delete, of the delete itself.
    pub revision: u64,
    /// There was a record before.
    pub existed: bool,
    /// The record before; only if it was asked for.
    pub previous: Option<Record>,
    /// This is the first outcome of the same request id, given again.
    pub repeated: bool,
    /// Where the time went at the node.
    pub timing: Timing,
}

/// A write happens only if all that is set holds; the default is always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The record exists and its revision is one of these; empty means no such condition.
    pub if_match: Vec<u64>,
    /// The record exists.
    pub if_match_any: bool,
    /// The record is absent or its revision is none of these.
    pub if_none_match: Vec<u64>,
    /// The record is absent.
    pub if_none_match_any: bool,
}

impl Condition {
    /// Only if the key is absent.
    pub fn absent() -> Self {
        Self { if_none_match_any: true, ..Self::default() }
    }

    /// Only if the record has this revision.
    pub fn revision(revision: u64) -> Self {
        Self { if_match: vec![revision], ..Self::default() }
    }

    fn is_always(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn to_proto(&self) -> Option<v1::Condition> {
        (!self.is_always()).then(|| v1::Condition {
            if_match: self.if_match.clone(),
            if_match_any: self.if_match_any,
            if_none_match: self.if_none_match.clone(),
            if_none_match_any: self.if_none_match_any,
        })
    }
}

/// The 16 bytes that make a write apply at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    bytes: [u8; 16],
    chosen_by_user: bool,
}

impl RequestId {
    /// A random id, for a caller that named none.
    pub fn random() -> Self {
        Self { bytes: rand::random(), chosen_by_user: false }
    }

    /// The id of a user's idempotency key: the same key gives the same id in every process.
    pub fn from_idempotency_key(key: &[u8]) -> Self {
        Self { bytes: xxh3_128(key).to_be_bytes(), chosen_by_user: true }
    }

    pub(crate) fn to_proto(self) -> v1::RequestId {
        v1::RequestId {
            id: Bytes::copy_from_slice(&self.bytes),
            chosen_by_user: self.chosen_by_user,
        }
    }
}

/// How to read.
#[derive(Clone, Debug, Default)]
pub struct GetOptions {
    /// Leaves the value out of the record.
    pub without_value: bool,
    /// The whole budget, retries included; `None` is the client's default.
    pub timeout: Option<Duration>,
    /// Of a traced call only.
    pub trace: Option<CallTrace>,
}

/// How to write.
#[derive(Clone, Debug, Default)]
pub struct PutOptions {
    /// Empty for none.
    pub content_type: String,
    pub metadata: Vec<Metadata>,
    pub condition: Condition,
    /// Gives the record that was there before.
    pub return_previous: bool,
    /// The write's id; `None` draws one for this call.
    pub request_id: Option<RequestId>,
    /// The whole budget, retries included; `None` is the client's default.
    pub timeout: Option<Duration>,
    /// Of a traced call only.
    pub trace: Option<CallTrace>,
}

/// How to delete.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    pub condition: Condition,
    /// Gives the record that was there before.
    pub return_previous: bool,
    /// The write's id; `None` draws one for this call.
    pub request_id: Option<RequestId>,
    /// The whole budget, retries included; `None` is the client's default.
    pub timeout: Option<Duration>,
    /// Of a traced call only.
    pub trace: Option<CallTrace>,
}

impl From<v1::Record> for Record {
    fn from(wire: v1::Record) -> Self {
        Self {
            revision: wire.revision,
            created_ms: wire.created_ms,
            updated_ms: wire.updated_ms,
            expires_ms: (wire.expires_ms != 0).then_some(wire.expires_ms),
            content_type: wire.content_type,
            metadata: wire
                .metadata
                .into_iter()
                .map(|entry| Metadata { name: entry.name, value: entry.value })
                .collect(),
            value: wire.value,
            value_bytes: wire.value_bytes,
        }
    }
}

impl Written {
    pub(crate) fn from_proto(wire: v1::Written, timing: Timing) -> Self {
        Self {
            timing,
            revision: wire.revision,
            existed: wire.existed,
            previous: wire.previous.map(Record::from),
            repeated: wire.repeated,
        }
    }
}

pub(crate) fn metadata_to_proto(metadata: Vec<Metadata>) -> Vec<v1::Metadata> {
    metadata
        .into_iter()
        .map(|entry| v1::Metadata { name: entry.name, value: entry.value })
        .collect()
}
