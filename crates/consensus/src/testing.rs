//! The test that every log store must pass: random batches over several groups, with the store
//! closed and opened again in between.
//!
//! A store must hold the same as the memory log after each batch, and what the writer of the
//! batches knows of them. For the tests of log stores only.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::log_store::{
    Entry, EntryKind, GroupWrite, HardState, InstallMarker, LogBatch, LogReader, LogWriter,
    StoredGroup,
};
use crate::machine::Genesis;
use crate::members::Members;
use crate::memory_log::MemoryLog;
use crate::position::{LogIndex, LogPosition, Term};

/// One random change; numbers are cut down to what is legal in the group's present state.
#[derive(Clone, Debug)]
pub enum Change {
    /// Drop this many entries off the end, then append entries of these sizes in a new term.
    Append {
        /// How many entries give way.
        dropped: u64,
        /// The size of each new entry's data.
        sizes: Vec<usize>,
        /// Whether the term rises first.
        new_term: bool,
    },
    /// Commit all there is.
    Commit,
    /// Cut all but this many of the committed entries.
    Compact {
        /// How many committed entries stay.
        kept: u64,
    },
    /// A snapshot replaces the log, this far behind its end.
    Reset {
        /// How far past the end of the log the snapshot is.
        ahead: u64,
    },
    /// The install of the snapshot is done.
    ClearInstall,
    /// The replica is destroyed. Any later change creates the next one.
    Destroy {
        /// Whether the same write creates the next one.
        replaced: bool,
    },
}

fn change() -> impl Strategy<Value = Change> {
    let append = (0..3u64, prop::collection::vec(0..300usize, 0..6), any::<bool>())
        .prop_map(|(dropped, sizes, new_term)| Change::Append { dropped, sizes, new_term });
    prop_oneof![
        6 => append,
        2 => Just(Change::Commit),
        2 => (0..4u64).prop_map(|kept| Change::Compact { kept }),
        1 => (1..9u64).prop_map(|ahead| Change::Reset { ahead }),
        1 => Just(Change::ClearInstall),
        1 => any::<bool>().prop_map(|replaced| Change::Destroy { replaced }),
    ]
}

/// Turns changes into legal writes of one group.
pub struct Writer {
    group: GroupId,
    /// The replica that is here, or was here last.
    replica: ReplicaId,
    is_here: bool,
    start: LogPosition,
    /// The term of each entry after `start`.
    terms: Vec<Term>,
    hard_state: HardState,
}

impl Writer {
    /// A writer of a new group, and the write that creates it.
    pub fn new(group: GroupId) -> (Self, GroupWrite) {
        let mut writer = Self {
            group,
            replica: ReplicaId(group.0 / 2),
            is_here: false,
            start: Genesis::POSITION,
            terms: Vec::new(),
            hard_state: HardState::default(),
        };
        let mut write = GroupWrite::default();
        writer.create(&mut write);
        (writer, write)
    }

    /// Adds the creation of the next replica.
    fn create(&mut self, write: &mut GroupWrite) {
        self.replica.0 += 1;
        self.is_here = true;
        self.start = Genesis::POSITION;
        self.terms.clear();
        self.hard_state = HardState { term: self.start.term, vote: 3, commit: self.start.index };
        write.create = Some(genesis(self.group, self.replica));
        write.reset = Some(self.start);
        write.hard_state = Some(self.hard_state);
    }

    fn last_index(&self) -> LogIndex {
        LogIndex(self.start.index.0 + self.terms.len() as u64)
    }

    fn term_at(&self, index: LogIndex) -> Term {
        match index.entries_after(self.start.index) as usize {
            0 => self.start.term,
            at => self.terms[at - 1],
        }
    }

    /// The write of one change.
    pub fn write(&mut self, change: &Change) -> GroupWrite {
        let mut write = GroupWrite::default();
        match change {
            Change::Destroy { replaced } => {
                write.destroy = Some(self.replica);
                self.is_here = false;
                if *replaced {
                    self.create(&mut write);
                }
                return write;
            }
            _ if !self.is_here => {
                self.create(&mut write);
                return write;
            }
            Change::Append { dropped, sizes, new_term } => {
                let uncommitted = self.last_index().entries_after(self.hard_state.commit);
                let from = self.last_index().saturating_sub(*dropped.min(&uncommitted)).next();
                write.truncate_from = (*dropped > 0).then_some(from);
                self.terms.truncate(from.entries_after(self.start.index) as usize - 1);
                self.hard_state.term.0 += u64::from(*new_term);
                write.append = sizes.iter().map(|&size| self.next_entry(size)).collect();
            }
            Change::Commit => self.hard_state.commit = self.last_index(),
            Change::Compact { kept } => {
                let index = self.hard_state.commit.saturating_sub(*kept).max(self.start.index);
                let start = LogPosition { term: self.term_at(index), index };
                self.terms.drain(..index.entries_after(self.start.index) as usize);
                self.start = start;
                write.compact_to = Some(start);
            }
            Change::Reset { ahead } => {
                let index = LogIndex(self.last_index().0 + ahead);
                self.hard_state.term.0 += 1;
                self.hard_state.commit = index;
                self.start = LogPosition { term: self.hard_state.term, index };
                self.terms.clear();
                write.reset = Some(self.start);
                write.install = Some(Some(InstallMarker {
                    snapshot_id: format!("{}-{index}", self.group),
                    manifest: Bytes::from_static(b"files"),
                }));
            }
            Change::ClearInstall => write.install = Some(None),
        }
        write.hard_state = Some(self.hard_state);
        write
    }

    /// Whether a store holds what was written.
    fn check(&self, stored: &StoredGroup) -> Result<(), TestCaseError> {
        prop_assert_eq!(stored.genesis.replica, self.replica);
        prop_assert_eq!((stored.start, stored.last_index), (self.start, self.last_index()));
        prop_assert_eq!(stored.hard_state, self.hard_state);
        for index in stored.start.index.through(stored.last_index) {
            let run = stored.runs.partition_point(|first| first.index <= index) - 1;
            prop_assert_eq!(stored.runs[run].term, self.term_at(index), "at {}", index);
        }
        Ok(())
    }

    fn next_entry(&mut self, size: usize) -> Entry {
        let position = LogPosition { term: self.hard_state.term, index: self.last_index().next() };
        let index = position.index.0;
        self.terms.push(position.term);
        let kind = [EntryKind::Empty, EntryKind::Commands, EntryKind::Members][index as usize % 3];
        Entry { position, kind, data: vec![index as u8; size].into() }
    }
}

fn genesis(group: GroupId, replica: ReplicaId) -> Genesis {
    Genesis {
        group,
        replica,
        members: Members::of_voters([(replica, NodeId(1))]),
        context: Bytes::from(format!("context of {group}")),
    }
}

/// Everything a reader can see of a group's entries, read in pieces of `bytes_max`.
fn all_entries(log: &impl LogReader, stored: &StoredGroup, bytes_max: u64) -> Vec<Vec<Entry>> {
    let mut pieces = Vec::new();
    let mut from = stored.start.index.next();
    while from <= stored.last_index {
        let piece = log
            .entries(stored.genesis.group, from, stored.last_index.next(), bytes_max)
            .expect("the entry is there");
        from.0 += piece.len() as u64;
        pieces.push(piece);
    }
    pieces
}

/// One batch of a run: the changes by the number of their group, and whether it is synced and the
/// store opened again after it.
#[derive(Clone, Debug)]
pub struct Step {
    changes: Vec<(usize, Change)>,
    sync: bool,
    reopen: bool,
}

/// Random runs for [`check_log_store`].
pub fn log_store_steps() -> impl Strategy<Value = Vec<Step>> {
    let changes = prop::collection::vec((0..3usize, change()), 1..4);
    let step = (changes, any::<bool>(), prop::bool::weighted(0.15));
    let step = step.prop_map(|(changes, sync, reopen)| Step { changes, sync, reopen });
    prop::collection::vec(step, 1..25)
}

/// Writes the steps to the store and to a memory log, and compares all that can be read after each.
/// `open` opens the store, which is closed before.
///
/// # Errors
/// `TestCaseError` where they differ.
pub fn check_log_store<L: LogReader + LogWriter>(
    steps: &[Step],
    bytes_max: u64,
    open: impl Fn() -> L,
) -> Result<(), TestCaseError> {
    let mut store = open();
    let mut memory = MemoryLog::new();
    let ids = [GroupId(1), GroupId(2), GroupId(u64::MAX - 1)];
    let (mut writers, creations): (Vec<_>, Vec<_>) = ids
        .map(|id| {
            let (writer, write) = Writer::new(id);
            (writer, (id, write))
        })
        .into_iter()
        .unzip();
    let mut batch = LogBatch { number: 1, groups: creations, sync: true };
    for (number, step) in (2..).zip(steps) {
        store.write(&batch).expect("written");
        memory.write(&batch).expect("written");
        if step.reopen {
            drop(store);
            store = open();
        }
        let stored = store.load().expect("readable");
        prop_assert_eq!(&stored, &memory.load().expect("readable"));
        let gone = writers.iter().filter(|writer| !writer.is_here);
        let tombstones: Vec<_> = gone.map(|writer| (writer.group, writer.replica)).collect();
        prop_assert_eq!(store.tombstones().expect("readable"), tombstones.clone());
        prop_assert_eq!(memory.tombstones().expect("readable"), tombstones);
        for (group, writer) in stored.iter().zip(writers.iter().filter(|writer| writer.is_here)) {
            writer.check(group)?;
            prop_assert_eq!(
                all_entries(&store, group, bytes_max),
                all_entries(&memory, group, bytes_max)
            );
        }
        let groups = step
            .changes
            .iter()
            .map(|(at, change)| (ids[*at], writers[*at].write(change)))
            .collect();
        batch = LogBatch { number, groups, sync: step.sync };
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest! {
        #[test]
        fn the_memory_log_holds_what_was_written(
            steps in log_store_steps(),
            bytes_max in 0..1_000u64,
        ) {
            let log = MemoryLog::new();
            check_log_store(&steps, bytes_max, || log.clone())?;
        }
    }
}
