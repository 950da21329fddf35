//! The KV state machine: all groups of a node over one store.
//!
//! Decides what a replicated command does to a group's records, and nothing else: no clock, no
//! network, no disk of its own. Time is the group clock, which the entries carry.
//! Invariant (I-5): the rows of a batch, the results it must remember, its counters and its
//! applied state are one atomic write. Deterministic: the same entries produce the same rows on
//! every replica, however they are cut into batches and wherever it was restarted.

mod apply;
mod engine;
mod group;
mod reader;
mod retention;
mod state_hashes;
mod view;
mod window;
mod write_set;

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use ringkv_consensus::{AppliedState, Apply, Genesis, GroupBatch, LogIndex, MachineError};
use ringkv_topology::GroupId;

use crate::keys;
use crate::machine::apply::Application;
use crate::machine::group::{Group, GroupState, Loaded};
use crate::machine::view::Views;
use crate::machine::write_set::WriteSet;
use crate::owned_slots::OwnedSlots;
use crate::store::{Store, StoreError, Write};

pub use reader::{ReadError, Reader};
pub use retention::{Keep, Retention};
pub use state_hashes::StateHash;

/// Log indexes between two state hashes. A part of what every replica must agree on, too: replicas
/// are compared at indexes that they all note.
const STATE_HASH_INTERVAL: u64 = 1_024;

/// The state machine of all groups in one store.
pub struct KvMachine<S: Store> {
    store: S,
    retention: Retention,
    state_hash_interval: u64,
    groups: BTreeMap<GroupId, Group>,
    views: Views,
    loaded: Loaded,
}

impl<S: Store> KvMachine<S> {
    /// Loads the groups found in the store.
    ///
    /// # Errors
    /// `MachineError` when the store cannot be read, or a group in it is damaged.
    pub fn new(store: S) -> Result<Self, MachineError> {
        Self::with_retention(store, Retention::default())
    }

    /// As [`Self::new`], remembering results for other than the usual times.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_retention(store: S, retention: Retention) -> Result<Self, MachineError> {
        let mut machine = Self {
            store,
            retention,
            state_hash_interval: STATE_HASH_INTERVAL,
            groups: BTreeMap::new(),
            views: Views::default(),
            loaded: Loaded::default(),
        };
        for id in groups_in(&machine.store)? {
            if let Some(group) = Group::load(&machine.store, id, &machine.retention)? {
                machine.insert(id, group);
            }
        }
        Ok(machine)
    }

    /// Notes state hashes at other indexes than the usual: at every multiple of `interval`, over 0.
    #[must_use]
    pub fn with_state_hashes_every(self, interval: u64) -> Self {
        Self { state_hash_interval: interval, ..self }
    }
}

impl<S: Store> Apply for KvMachine<S> {
    fn groups(&self) -> Vec<(GroupId, AppliedState)> {
        self.groups.iter().map(|(id, group)| (*id, group.state.applied.clone())).collect()
    }

    /// Sets up a group at genesis; its context is [`OwnedSlots`]. Does nothing if the group is
    /// there already, so that it can be run again after a crash. Fails when the context is not
    /// [`OwnedSlots`] or the store fails.
    fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError> {
        if self.groups.contains_key(&genesis.group) {
            return Ok(());
        }
        let owned = OwnedSlots::decode(&genesis.context)
            .map_err(|e| MachineError::new("decode the slots of a new group", e))?;
        let state = GroupState { applied: genesis.applied(), ..GroupState::default() };
        let rows = [
            (keys::group_state(genesis.group), state.encode()),
            (keys::group_slots(genesis.group), owned.encode()),
        ];
        // What a half dropped group may have left.
        self.store.clear(&keys::group_range(genesis.group))?;
        let write = |(key, value)| Write { key, value: Some(value) };
        self.store.write(rows.map(write).into())?;
        self.insert(genesis.group, Group::new(state, owned, &self.retention));
        Ok(())
    }

    /// Also removes what is left of a group that was half dropped when a crash came. A group without
    /// rows costs one seek.
    fn destroy(&mut self, group: GroupId) -> Result<(), MachineError> {
        self.take_out(group);
        let range = keys::group_range(group);
        let mut has_rows = false;
        self.store.scan(&range, &mut |_, _| {
            has_rows = true;
            ControlFlow::Break(())
        })?;
        if has_rows {
            self.store.clear(&range)?;
        }
        Ok(())
    }

    /// All in one write. Fails when an entry is not ours to read or the store fails; the machine must
    /// not be used again then.
    fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError> {
        let mut writes = WriteSet::default();
        let mut results = Vec::new();
        for batch in batches {
            let group = self.groups.get_mut(&batch.group).ok_or_else(|| {
                MachineError::corrupt(format!("apply entries of unknown group {}", batch.group))
            })?;
            let mut application = Application::new(batch.group, &self.store, &mut writes, group);
            for entry in &batch.entries {
                results.push(match &entry.commands {
                    Some(commands) => application.commands(commands)?,
                    None => Vec::new(),
                });
                if entry.index.0.is_multiple_of(self.state_hash_interval) {
                    application.note_state_hash(entry.index);
                }
            }
            group.state.applied = batch.after.clone();
            writes.put(keys::group_state(batch.group), group.state.encode());
        }
        self.store.write(writes.into_writes())?;
        for batch in batches {
            if let Some(group) = self.groups.get(&batch.group) {
                group.view.publish(group.state.clock_ms, group.state.applied.position.index);
            }
        }
        Ok(results)
    }
}

impl<S: Store> KvMachine<S> {
    /// A reader for other threads, while apply runs.
    pub fn reader(&self) -> Reader<S> {
        Reader::new(self.store.clone(), self.views.clone())
    }

    /// The rolling checksum of a group and the index it stands at: equal on all replicas at equal
    /// indexes, else one of them has diverged.
    pub fn checksum(&self, group: GroupId) -> Option<(LogIndex, u64)> {
        let state = &self.groups.get(&group)?.state;
        Some((state.applied.position.index, state.checksum))
    }

    /// All rows of a group: a snapshot in memory.
    ///
    /// # Errors
    /// `MachineError` when the store fails.
    pub fn export(&self, group: GroupId) -> Result<Vec<(Bytes, Bytes)>, MachineError> {
        let mut rows = Vec::new();
        self.store.scan(&keys::group_range(group), &mut |key, value| {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            ControlFlow::Continue(())
        })?;
        Ok(rows)
    }

    /// Replaces all of a group by the rows of [`Self::export`] of another replica.
    ///
    /// # Errors
    /// `MachineError` when the rows do not stand at `applied`, or the store fails.
    pub fn import(
        &mut self,
        group: GroupId,
        rows: Vec<(Bytes, Bytes)>,
        applied: &AppliedState,
    ) -> Result<(), MachineError> {
        self.take_out(group);
        self.store.clear(&keys::group_range(group))?;
        let write = |(key, value)| Write { key, value: Some(value) };
        self.store.write(rows.into_iter().map(write).collect())?;
        let loaded = Group::load(&self.store, group, &self.retention)?;
        self.put_in(group, loaded, applied)
    }

    /// Takes a group out of service: its rows stay.
    fn take_out(&mut self, group: GroupId) {
        self.views.remove(group);
        self.groups.remove(&group);
    }

    /// Puts a group in service whose rows were replaced.
    fn put_in(
        &mut self,
        id: GroupId,
        loaded: Option<Group>,
        applied: &AppliedState,
    ) -> Result<(), MachineError> {
        match loaded {
            Some(group) if group.state.applied == *applied => {
                self.insert(id, group);
                Ok(())
            }
            _ => Err(MachineError::corrupt(format!(
                "install a snapshot of group {id}: wrong applied index"
            ))),
        }
    }

    fn insert(&mut self, id: GroupId, group: Group) {
        self.views.insert(id, group.view.clone());
        self.groups.insert(id, group);
    }
}

/// The groups that have any row, found by one seek each.
fn groups_in<S: Store>(store: &S) -> Result<Vec<GroupId>, StoreError> {
    let mut groups = Vec::new();
    let mut range = keys::everything();
    loop {
        let mut found = None;
        store.scan(&range, &mut |key, _| {
            found = keys::group_of(key);
            ControlFlow::Break(())
        })?;
        let Some(group) = found else { return Ok(groups) };
        groups.push(group);
        range.start = keys::group_range(group).end;
    }
}

#[cfg(test)]
mod tests;
