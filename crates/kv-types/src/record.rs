//! A record, what is kept with its value, and the result of a write.

use bytes::Bytes;

/// The longest key, in bytes. The shortest has one byte.
pub const KEY_BYTES_MAX: usize = 4096;
/// The longest content type that a record keeps, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// The most metadata entries of a record.
pub const METADATA_PAIRS_MAX: usize = 32;
/// All names and values of a record's metadata together, in bytes.
pub const METADATA_BYTES_MAX: usize = 8 * 1024;

/// One stored record. Times are of the group clock, in milliseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The version: rises with every write in the key's slot and never repeats.
    pub revision: u64,
    /// When the key was created; later writes keep it.
    pub created_ms: u64,
    /// When it was last written.
    pub updated_ms: u64,
    /// Expiry time; `None` means no expiry.
    pub expires_ms: Option<u64>,
    /// Empty if the writer named none.
    pub content_type: String,
    /// In the order of the write.
    pub metadata: Vec<Metadata>,
    /// Empty if the read asked to leave it out.
    pub value: Bytes,
    /// Length of the stored value in bytes, also if it was left out.
    pub value_bytes: u64,
}

/// A name and value that the user stores with the record's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Unique within the record; not empty.
    pub name: String,
    /// May be empty.
    pub value: String,
}

/// The result of a write that applied, now or earlier under the same request id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The revision of this write; for a delete, of the delete itself.
    pub revision: u64,
    /// Whether there was a record before.
    pub existed: bool,
    /// The record before, if the write asked for it.
    pub previous: Option<Record>,
    /// Whether this is the remembered result of an earlier attempt under the same request id.
    pub repeated: bool,
}
