//! What readers and the flusher see of the groups while the apply thread runs.
//!
//! Written by the apply thread only, always after the store holds what it says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use ringkv_consensus::LogIndex;
use ringkv_topology::GroupId;

use crate::machine::state_hashes::{StateHash, StateHashes};
use crate::owned_slots::OwnedSlots;

/// One group; replaced whole when its slots change.
#[derive(Debug)]
pub(super) struct View {
    pub(super) owned: OwnedSlots,
    pub(super) state_hashes: StateHashes,
    clock_ms: AtomicU64,
    applied: AtomicU64,
}

impl View {
    pub(super) fn new(owned: OwnedSlots, clock_ms: u64, applied: LogIndex) -> Self {
        Self {
            owned,
            state_hashes: StateHashes::default(),
            clock_ms: AtomicU64::new(clock_ms),
            applied: AtomicU64::new(applied.0),
        }
    }

    /// Publishes that the store now holds everything up to here.
    pub(super) fn publish(&self, clock_ms: u64, applied: LogIndex) {
        self.clock_ms.store(clock_ms, Ordering::Release);
        self.applied.store(applied.0, Ordering::Release);
    }

    pub(super) fn clock_ms(&self) -> u64 {
        self.clock_ms.load(Ordering::Acquire)
    }

    pub(super) fn applied(&self) -> LogIndex {
        LogIndex(self.applied.load(Ordering::Acquire))
    }
}

/// All groups of the node. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Views {
    groups: Arc<RwLock<BTreeMap<GroupId, Arc<View>>>>,
}

impl Views {
    pub(super) fn get(&self, group: GroupId) -> Option<Arc<View>> {
        self.groups.read().get(&group).cloned()
    }

    pub(super) fn insert(&self, group: GroupId, view: Arc<View>) {
        self.groups.write().insert(group, view);
    }

    pub(super) fn remove(&self, group: GroupId) {
        self.groups.write().remove(&group);
    }

    /// The latest state hashes of each group.
    pub(super) fn state_hashes(&self) -> BTreeMap<GroupId, Vec<StateHash>> {
        self.groups.read().iter().map(|(group, view)| (*group, view.state_hashes.kept())).collect()
    }

    /// How far each group is written to the store.
    pub(super) fn applied(&self) -> Vec<(GroupId, LogIndex)> {
        self.groups.read().iter().map(|(group, view)| (*group, view.applied())).collect()
    }
}
