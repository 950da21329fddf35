//! The machine as the consensus engine drives it: on a store with a disk, snapshots as files.

use std::path::Path;
use std::sync::Arc;

use ringkv_consensus::{
    AppliedState, Flusher, Installer, LogIndex, MachineError, SnapshotBuilder, StateMachine,
};
use ringkv_topology::GroupId;

use crate::keys;
use crate::machine::group::{Group, GroupState, Loaded};
use crate::machine::view::Views;
use crate::machine::{KvMachine, Retention};
use crate::store::{SnapshotStore, StoreError};

impl<S: SnapshotStore> StateMachine for KvMachine<S> {
    fn release(&mut self, group: GroupId) {
        self.take_out(group);
    }

    fn adopt(&mut self, group: GroupId, applied: &AppliedState) -> Result<(), MachineError> {
        let loaded = self.loaded.lock().remove(&group);
        self.put_in(group, loaded, applied)
    }

    fn installer(&self) -> Arc<dyn Installer> {
        let (store, retention) = (self.store.clone(), self.retention);
        Arc::new(StoreInstaller { store, retention, loaded: Arc::clone(&self.loaded) })
    }

    fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder> {
        Arc::new(FileSnapshots { store: self.store.clone() })
    }

    fn flusher(&self) -> Arc<dyn Flusher> {
        Arc::new(StoreFlusher { store: self.store.clone(), views: self.views.clone() })
    }
}

struct StoreInstaller<S> {
    store: S,
    retention: Retention,
    loaded: Loaded,
}

impl<S: SnapshotStore> Installer for StoreInstaller<S> {
    /// Loads the group too: its remembered results may be many.
    fn install(&self, group: GroupId, dir: &Path) -> Result<(), MachineError> {
        self.store.replace_by_files(&keys::group_range(group), dir)?;
        let loaded = Group::load(&self.store, group, &self.retention)?;
        self.loaded.lock().extend(loaded.map(|loaded| (group, loaded)));
        Ok(())
    }

    fn remove(&self, group: GroupId) -> Result<(), MachineError> {
        self.store.remove(&keys::group_range(group)).map_err(MachineError::from)
    }
}

struct FileSnapshots<S> {
    store: S,
}

impl<S: SnapshotStore> SnapshotBuilder for FileSnapshots<S> {
    fn build(&self, group: GroupId, dir: &Path) -> Result<AppliedState, MachineError> {
        let (range, key) = (keys::group_range(group), keys::group_state(group));
        let row = self.store.write_files(&range, &key, dir)?.ok_or_else(|| {
            MachineError::corrupt(format!("build a snapshot of absent group {group}"))
        })?;
        let state = GroupState::decode(&row).map_err(StoreError::damaged("group state"))?;
        Ok(state.applied)
    }
}

struct StoreFlusher<S> {
    store: S,
    views: Views,
}

impl<S: SnapshotStore> Flusher for StoreFlusher<S> {
    fn flush(&self) -> Result<Vec<(GroupId, LogIndex)>, MachineError> {
        // Read before the flush: what is applied while it runs may miss it.
        let applied = self.views.applied();
        self.store.flush()?;
        Ok(applied)
    }
}
