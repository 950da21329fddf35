//! The machine as the consensus engine drives it: on a store with a disk, snapshots as files.

use std::path::Path;
use std::sync::Arc;

use ringkv_consensus::{
    AppliedState, Flusher, LogIndex, MachineError, SnapshotBuilder, StateMachine,
};
use ringkv_topology::GroupId;

use crate::keys;
use crate::machine::KvMachine;
use crate::machine::group::GroupState;
use crate::machine::view::Views;
use crate::store::{SnapshotStore, StoreError};

impl<S: SnapshotStore> StateMachine for KvMachine<S> {
    fn install(
        &mut self,
        group: GroupId,
        dir: &Path,
        applied: &AppliedState,
    ) -> Result<(), MachineError> {
        self.replace(group, applied, |store| store.replace_by_files(&keys::group_range(group), dir))
    }

    fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder> {
        Arc::new(FileSnapshots { store: self.store.clone() })
    }

    fn flusher(&self) -> Arc<dyn Flusher> {
        Arc::new(StoreFlusher { store: self.store.clone(), views: self.views.clone() })
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
