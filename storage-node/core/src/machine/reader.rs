//! Local reads of records, on any thread, while apply runs.
//!
//! Reads what is applied here. Whether that is recent enough is checked by the caller first (a read
//! point of the consensus engine). Hides expired records; never returns one whose checksum is
//! wrong.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringkv_kv_types::Record;
use ringkv_topology::{GroupId, Slot};

use crate::keys;
use crate::machine::state_hashes::StateHash;
use crate::machine::view::Views;
use crate::owned_slots::OwnedSlots;
use crate::record::RecordView;
use crate::store::{SnapshotStore, Store, StoreError};

/// Reads records of all groups of the node.
#[derive(Clone)]
pub struct Reader<S> {
    store: S,
    views: Views,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("no replica of the group on this node")]
    NoGroup,
    /// By the group's own, replicated knowledge: refresh the topology.
    #[error("the group does not own the slot")]
    Moved,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Reader<S> {
    pub(super) fn new(store: S, views: Views) -> Self {
        Self { store, views }
    }

    /// The record of a key as applied here, or `None` if it is absent. With `without_value` the
    /// value is left out, its length is not.
    ///
    /// # Errors
    /// [`ReadError`]; damage is an error, never an absent key.
    pub fn get(
        &self,
        group: GroupId,
        slot: Slot,
        key: &[u8],
        without_value: bool,
    ) -> Result<Option<Record>, ReadError> {
        let view = self.views.get(group).ok_or(ReadError::NoGroup)?;
        if !view.owned.contains(slot) {
            return Err(ReadError::Moved);
        }
        let clock_ms = view.clock_ms();
        let Some(row) = self.store.get(&keys::record(group, slot, key))? else {
            // While an install or a destroy replaces the rows, all of them are absent for a moment.
            let is_in_service = self.views.get(group).is_some_and(|now| Arc::ptr_eq(&now, &view));
            return if is_in_service { Ok(None) } else { Err(ReadError::NoGroup) };
        };
        let record = RecordView::decode(&row).map_err(StoreError::damaged("record"))?;
        let alive = !record.stamp.is_expired(clock_ms);
        Ok(alive.then(|| record.to_record(!without_value)))
    }

    /// The latest state hashes of every group here, to be compared with those of other replicas.
    pub fn state_hashes(&self) -> BTreeMap<GroupId, Vec<StateHash>> {
        self.views.state_hashes()
    }

    /// The slots the group owns, and the cluster's settings, as applied here.
    pub fn owned_slots(&self, group: GroupId) -> Option<OwnedSlots> {
        self.views.get(group).map(|view| view.owned.clone())
    }
}

impl<S: SnapshotStore> Reader<S> {
    /// The size of a group's rows in bytes, about: what is on disk, without what has not been flushed.
    /// 0 for a group that is not here.
    pub fn state_bytes(&self, group: GroupId) -> u64 {
        self.store.disk_bytes(&keys::group_range(group))
    }
}
