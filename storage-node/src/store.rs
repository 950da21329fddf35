//! What the state machine needs of a store: ordered rows, read one by one, written all or none.
//!
//! Two implementations, driven by one property test: [`RocksStore`] for nodes, [`MemoryStore`]
//! for simulation. A store knows nothing of what its rows mean.
//! Invariant: a write is atomic, also against a crash. It is durable only once flushed: the Raft
//! log is the journal, the store keeps none of its own.

mod memory;
mod rocks;
mod rocks_options;
mod snapshot_files;
mod write_buffer;

use std::ops::{ControlFlow, Deref};

use bytes::Bytes;
use ringkv_consensus::{DecodeError, MachineError};

use crate::keys::KeyRange;

pub use memory::MemoryStore;
pub use rocks::RocksStore;
pub use rocks_options::RocksSettings;

/// Rows by key. Clones share the rows; all of it can be called beside a writer.
pub trait Store: Clone + Send + Sync + 'static {
    /// A value that may point into the store's own memory.
    type Value<'a>: Deref<Target = [u8]>
    where
        Self: 'a;

    /// The value of a key.
    ///
    /// # Errors
    /// `StoreError` when the store cannot be read: never taken for an absent key.
    fn get(&self, key: &[u8]) -> Result<Option<Self::Value<'_>>, StoreError>;

    /// Writes all rows in order, or none.
    ///
    /// # Errors
    /// `StoreError` when it cannot be told whether the rows are written.
    fn write(&self, writes: Vec<Write>) -> Result<(), StoreError>;

    /// Shows the rows of a range in ascending order, from one consistent view, until told to stop.
    ///
    /// # Errors
    /// `StoreError` when the store cannot be read.
    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Drops all rows of a range.
    ///
    /// # Errors
    /// `StoreError` when it cannot be told whether they are dropped.
    fn clear(&self, range: &KeyRange) -> Result<(), StoreError>;
}

/// Is shown key and value of a row, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A row to be: `None` drops it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    pub key: Bytes,
    pub value: Option<Bytes>,
}

/// Why the store could not do it. At apply it ends the process; a read fails alone.
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
    pub(crate) fn failed(
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
pub(crate) mod tests;
