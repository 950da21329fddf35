//! The id that makes a write apply at most once.

use xxhash_rust::xxh3::xxh3_128;

/// The id of one write; every retry carries the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestId {
    /// Unique among the writes of a group while they are remembered.
    pub id: [u8; 16],
    /// Whether the user chose it (`Idempotency-Key`): the result is then remembered for longer.
    pub chosen_by_user: bool,
}

impl RequestId {
    /// The id of a user's idempotency key: the same key has the same id in every process.
    pub fn from_idempotency_key(key: &[u8]) -> Self {
        Self { id: xxh3_128(key).to_be_bytes(), chosen_by_user: true }
    }
}
