//! What the state machine needs of a store: ordered rows, read one by one, written all or none.
//!
//! Two implementations pass one shared test (`testing::store`): RocksDB for nodes, and
//! [`memory::MemoryStore`] for simulation. A store knows nothing of what its rows mean.
//! Invariant: a write is atomic, also against a crash. It is durable only after a flush: the Raft
//! log is the journal, the store keeps none of its own.

pub mod memory;
pub mod runs;

use std::ops::{ControlFlow, Deref};
use std::path::Path;

use bytes::Bytes;
use ringkv_consensus::{DecodeError, MachineError};

use crate::keys::KeyRange;

/// Rows by key. Clones share the rows; every method can be called while another thread writes.
pub trait Store: Clone + Send + Sync + 'static {
    /// A value that may point into the store's own memory.
    type Value<'a>: Deref<Target = [u8]>
    where
        Self: 'a;

    /// The value of a key.
    ///
    /// # Errors
    /// `StoreError` when the store cannot be read; that never counts as an absent key.
    fn get(&self, key: &[u8]) -> Result<Option<Self::Value<'_>>, StoreError>;

    /// Writes all rows in order, or none.
    ///
    /// # Errors
    /// `StoreError` when it is not known whether the rows are written.
    fn write(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Shows the rows of a range in ascending order, from one consistent view, until `visit` breaks.
    ///
    /// # Errors
    /// `StoreError` when the store cannot be read.
    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Deletes all rows of a range.
    ///
    /// # Errors
    /// `StoreError` when it is not known whether they are deleted.
    fn clear(&self, range: &KeyRange) -> Result<(), StoreError>;
}

/// A store that a node keeps on disk: flushed in the background, and sent to other nodes as files.
/// A trait of its own, since the memory store has no disk.
pub trait SnapshotStore: Store {
    /// Makes everything written so far durable. Blocks; writes go on meanwhile.
    ///
    /// # Errors
    /// `StoreError` when it is not known what is durable: the process must end.
    fn flush(&self) -> Result<(), StoreError>;

    /// Writes the rows of a range, as of one moment, as files into `dir`. Returns the value of the
    /// row `key` of the range as of the same moment.
    ///
    /// # Errors
    /// `StoreError` when the rows cannot be read or the files cannot be written.
    fn write_files(
        &self,
        range: &KeyRange,
        key: &[u8],
        dir: &Path,
    ) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces all rows of a range by those of the files in `dir`, durably. After a crash in the
    /// middle the range may be empty: then it is run again. The files stay as they are.
    ///
    /// # Errors
    /// `StoreError` when it is not known which rows the range has.
    fn replace_by_files(&self, range: &KeyRange, dir: &Path) -> Result<(), StoreError>;

    /// Deletes all rows of a range, durably, and returns their space as far as that is quick. After a
    /// crash in the middle some of the rows may be there, or older versions of them: then it is run
    /// again.
    ///
    /// # Errors
    /// `StoreError` when it is not known which rows the range has.
    fn remove(&self, range: &KeyRange) -> Result<(), StoreError>;

    /// The size of a range on disk in bytes, about. What has not been flushed counts nothing.
    fn disk_bytes(&self, range: &KeyRange) -> u64;
}

/// Called with key and value of a row; returns whether to continue.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A row to write: `None` deletes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// A failure of the store. At apply it ends the process; a read fails alone.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("cannot {action}")]
    Failed {
        /// What was tried, as "verb object".
        action: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the stored {what} is damaged")]
    Damaged {
        what: &'static str,
        #[source]
        source: DecodeError,
    },
}

impl StoreError {
    /// An operation that failed; `action` says what was tried, as "verb object".
    pub fn failed(
        action: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Failed { action: action.into(), source: source.into() }
    }

    pub(crate) fn damaged(what: &'static str) -> impl Fn(DecodeError) -> Self {
        move |source| Self::Damaged { what, source }
    }
}

impl From<StoreError> for MachineError {
    fn from(error: StoreError) -> Self {
        Self::new("use the data store", error)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::store::memory::MemoryStore;
    use crate::testing::store::{behaves_like_a_sorted_map, steps};

    proptest! {
        #[test]
        fn the_memory_store_does_what_a_sorted_map_does(steps in steps()) {
            behaves_like_a_sorted_map(&MemoryStore::new(), &steps, || {});
        }
    }
}
