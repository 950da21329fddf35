//! Rows in a sorted map: the store of simulations and tests.
//!
//! Nothing survives the process; [`MemoryStore::fork`] stands for what a disk would keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;

use crate::keys::KeyRange;
use crate::store::{Store, StoreError, Visit, Write};

/// Rows in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    rows: Arc<RwLock<BTreeMap<Bytes, Bytes>>>,
}

impl MemoryStore {
    /// No rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// The rows as they are now, no longer shared: what a flush at this moment makes durable.
    pub fn fork(&self) -> Self {
        Self { rows: Arc::new(RwLock::new(self.rows.read().clone())) }
    }

    /// All rows, ascending.
    pub fn rows(&self) -> Vec<(Bytes, Bytes)> {
        self.rows.read().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
    }
}

impl Store for MemoryStore {
    type Value<'a> = Bytes;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.rows.read().get(key).cloned())
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut rows = self.rows.write();
        for Write { key, value } in writes {
            match value {
                Some(value) => rows.insert(key, value),
                None => rows.remove(&key),
            };
        }
        Ok(())
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if range.start >= range.end {
            return Ok(());
        }
        for (key, value) in self.rows.read().range(range.start.clone()..range.end.clone()) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn clear(&self, range: &KeyRange) -> Result<(), StoreError> {
        self.rows.write().retain(|key, _| !range.contains(key));
        Ok(())
    }
}
