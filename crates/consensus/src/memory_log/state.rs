//! The groups of a memory log as plain values, and what a batch does to them.

use std::collections::BTreeMap;

use ringkv_topology::{GroupId, ReplicaId};

use crate::log_store::{
    Entry, GroupWrite, HardState, InstallMarker, LogBatch, LogError, StoredGroup,
};
use crate::machine::Genesis;
use crate::position::{LogIndex, LogPosition};

/// All groups of one log.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    groups: BTreeMap<GroupId, Group>,
    tombstones: BTreeMap<GroupId, ReplicaId>,
}

#[derive(Clone, Debug)]
struct Group {
    genesis: Genesis,
    hard_state: HardState,
    start: LogPosition,
    entries: BTreeMap<LogIndex, Entry>,
    install: Option<InstallMarker>,
}

impl State {
    /// Applies a batch, all or nothing.
    ///
    /// # Errors
    /// `LogError` for a group that was never created, unless it is destroyed.
    ///
    /// # Panics
    /// When an append leaves a gap: the poller never asks for that.
    pub(super) fn write(&mut self, batch: &LogBatch) -> Result<(), LogError> {
        for (at, (id, write)) in batch.groups.iter().enumerate() {
            let earlier =
                batch.groups[..at].iter().any(|(other, w)| other == id && w.create.is_some());
            let is_new = write.create.is_some() || write.destroy.is_some();
            if !is_new && !self.groups.contains_key(id) && !earlier {
                return Err(refusal(format!("write group {id}: it was never created")));
            }
        }
        for (id, write) in &batch.groups {
            if let Some(replica) = write.destroy {
                self.groups.remove(id);
                self.tombstones.insert(*id, replica);
            }
            if let Some(genesis) = &write.create {
                self.tombstones.remove(id);
                self.groups.insert(*id, Group::new(genesis.clone()));
            }
            if let Some(group) = self.groups.get_mut(id) {
                group.write(write);
            }
        }
        Ok(())
    }

    /// Every group, ascending by id.
    pub(super) fn load(&self) -> Vec<StoredGroup> {
        self.groups.values().map(Group::stored).collect()
    }

    /// See [`crate::LogReader::tombstones`].
    pub(super) fn tombstones(&self) -> Vec<(GroupId, ReplicaId)> {
        self.tombstones.iter().map(|(group, replica)| (*group, *replica)).collect()
    }

    /// See [`crate::LogReader::entries`].
    pub(super) fn entries(
        &self,
        id: GroupId,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, LogError> {
        let group = self.groups.get(&id);
        let mut found = Vec::new();
        let mut bytes = 0;
        for (expected, (&index, entry)) in
            (from.0..).zip(group.iter().flat_map(|group| group.entries.range(from..to)))
        {
            bytes += entry.data.len() as u64;
            if index.0 != expected || (!found.is_empty() && bytes > bytes_max) {
                break;
            }
            found.push(entry.clone());
        }
        if found.is_empty() {
            return Err(refusal(format!("read group {id}: entry {from} is not in the log")));
        }
        Ok(found)
    }
}

impl Group {
    fn new(genesis: Genesis) -> Self {
        Self {
            genesis,
            hard_state: HardState::default(),
            start: LogPosition::default(),
            entries: BTreeMap::new(),
            install: None,
        }
    }

    /// Applies the fields in their declared order.
    fn write(&mut self, write: &GroupWrite) {
        if let Some(start) = write.reset {
            self.entries.clear();
            self.start = start;
        }
        if let Some(from) = write.truncate_from {
            self.entries.split_off(&from);
        }
        for entry in &write.append {
            let index = entry.position.index;
            assert_eq!(index, self.last_index().next(), "an append leaves no gap");
            self.entries.insert(index, entry.clone());
        }
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(start) = write.compact_to {
            self.entries = self.entries.split_off(&start.index.next());
            self.start = start;
        }
        if let Some(install) = &write.install {
            self.install.clone_from(install);
        }
    }

    fn last_index(&self) -> LogIndex {
        self.entries.last_key_value().map_or(self.start.index, |(&index, _)| index)
    }

    fn stored(&self) -> StoredGroup {
        StoredGroup {
            genesis: self.genesis.clone(),
            hard_state: self.hard_state,
            start: self.start,
            last_index: self.last_index(),
            runs: term_runs(self.start, self.entries.values().map(|e| e.position)),
            install: self.install.clone(),
        }
    }
}

/// The runs of equal terms from `start` on, each by its first position.
fn term_runs(start: LogPosition, entries: impl Iterator<Item = LogPosition>) -> Vec<LogPosition> {
    let mut runs = vec![start];
    for position in entries {
        if runs.last().is_none_or(|last| last.term != position.term) {
            runs.push(position);
        }
    }
    runs
}

fn refusal(context: String) -> LogError {
    LogError { context, source: None }
}
