//! A group's log as raft-rs sees it: the recent entries in memory, the rest by request.
//!
//! Owns where the log begins and ends, the term of every index, and the tail of entries. What a
//! follower needs from behind the tail is fetched by another thread (pitfall 4); only the replay
//! after a restart reads in line. Never writes: the group turns each change into a log batch.
//! Invariants: `start.index <= last`, the tail ends at `last`, runs cover `[start.index, last]`.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use raft::eraftpb::{ConfState, Entry, HardState, Snapshot};
use raft::{Error, GetEntriesContext, RaftState, Storage, StorageError};
use ringkv_topology::{GroupId, ReplicaId};

use crate::core::effects::{Fetch, FetchContext, SnapshotBuilt};
use crate::core::wire;
use crate::log_store::{LogReader, StoredGroup};
use crate::position::{LogIndex, LogPosition, Term};

/// What raft-rs reads of a group.
pub(crate) struct LogTail {
    group: GroupId,
    start: LogPosition,
    last: LogIndex,
    /// The first position of each run of entries of one term, ascending; the first run starts at or
    /// before `start.index`.
    runs: Vec<LogPosition>,
    /// The newest entries, ending at `last`.
    entries: VecDeque<Entry>,
    bytes: usize,
    initial: RaftState,
    reader: Arc<dyn LogReader>,
    /// raft-rs asks through `&self`; the answers to come are collected here.
    asked: RefCell<Asked>,
}

#[derive(Default)]
struct Asked {
    fetches: Vec<Fetch>,
    fetching: BTreeSet<LogIndex>,
    /// Entries just fetched, for the one `entries` call that asked for them.
    fetched: Vec<Entry>,
    /// A follower needs a snapshot that is not there.
    snapshot: bool,
    built: Option<SnapshotBuilt>,
}

impl LogTail {
    /// The log of a stored group whose state machine is at `applied`.
    pub(crate) fn new(
        stored: &StoredGroup,
        commit: LogIndex,
        conf: ConfState,
        reader: Arc<dyn LogReader>,
    ) -> Self {
        let mut hard_state: HardState = wire::hard_state_to_raft(&stored.hard_state);
        hard_state.commit = commit.0;
        Self {
            group: stored.genesis.group,
            start: stored.start,
            last: stored.last_index,
            runs: stored.runs.clone(),
            entries: VecDeque::new(),
            bytes: 0,
            initial: RaftState::new(hard_state, conf),
            reader,
            asked: RefCell::default(),
        }
    }

    pub(crate) fn start(&self) -> LogPosition {
        self.start
    }

    pub(crate) fn last(&self) -> LogIndex {
        self.last
    }

    /// Takes over entries that raft-rs has appended; returns the index from which old ones were
    /// replaced.
    pub(crate) fn append(&mut self, entries: &[Entry]) -> Option<LogIndex> {
        let first = LogIndex(entries.first()?.index);
        assert!(
            first > self.start.index && first <= self.last.next(),
            "group {}: entry {first} does not follow log [{}, {}]",
            self.group,
            self.start.index,
            self.last
        );
        let replaced = (first <= self.last).then_some(first);
        if replaced.is_some() {
            self.truncate_from(first);
        }
        for entry in entries {
            let position = LogPosition::new(entry.term, entry.index);
            if self.runs.last().is_none_or(|run| run.term != position.term) {
                self.runs.push(position);
            }
            self.bytes += entry_bytes(entry);
            self.entries.push_back(entry.clone());
            self.last = position.index;
        }
        replaced
    }

    fn truncate_from(&mut self, first: LogIndex) {
        while self.entries.back().is_some_and(|e| e.index >= first.0) {
            let dropped = self.entries.pop_back().expect("just seen");
            self.bytes -= entry_bytes(&dropped);
        }
        self.runs.retain(|run| run.index < first);
        self.last = first.previous().expect("the start of the log is not cut off its end");
    }

    /// A snapshot replaces everything.
    pub(crate) fn reset(&mut self, start: LogPosition) {
        self.entries.clear();
        self.bytes = 0;
        self.start = start;
        self.last = start.index;
        self.runs = vec![start];
    }

    /// Cuts the front up to and including `index`, which stays known by its term.
    pub(crate) fn compact(&mut self, index: LogIndex) -> LogPosition {
        assert!(index > self.start.index && index <= self.last, "a cut lies inside the log");
        let term = self.run_term(index).expect("inside the log");
        while self.entries.front().is_some_and(|e| e.index <= index.0) {
            let dropped = self.entries.pop_front().expect("just seen");
            self.bytes -= entry_bytes(&dropped);
        }
        let run = self.runs.partition_point(|run| run.index <= index) - 1;
        self.runs.drain(..run);
        self.start = LogPosition { term, index };
        self.start
    }

    /// Lets go of entries up to `settled` (durable and applied) while the tail is over `bytes_max`.
    pub(crate) fn trim(&mut self, settled: LogIndex, bytes_max: usize) {
        while self.bytes > bytes_max && self.entries.front().is_some_and(|e| e.index <= settled.0) {
            let dropped = self.entries.pop_front().expect("just seen");
            self.bytes -= entry_bytes(&dropped);
        }
    }

    /// The reads raft-rs has asked for since the last call.
    pub(crate) fn take_fetches(&mut self) -> Vec<Fetch> {
        std::mem::take(&mut self.asked.get_mut().fetches)
    }

    /// Holds fetched entries ready for the call that asked for them.
    pub(crate) fn put_fetched(&mut self, from: LogIndex, entries: Vec<Entry>) {
        let asked = self.asked.get_mut();
        asked.fetching.remove(&from);
        asked.fetched = entries;
    }

    /// Forgets fetched entries once they were offered: they may be overwritten later.
    pub(crate) fn drop_fetched(&mut self) {
        self.asked.get_mut().fetched = Vec::new();
    }

    /// Whether a snapshot was asked for that is not there, since the last call.
    pub(crate) fn take_snapshot_wish(&mut self) -> bool {
        std::mem::take(&mut self.asked.get_mut().snapshot)
    }

    /// Offers a snapshot to followers; the one offered before, if any, is given back.
    pub(crate) fn offer_snapshot(&mut self, built: Option<SnapshotBuilt>) -> Option<SnapshotBuilt> {
        std::mem::replace(&mut self.asked.get_mut().built, built)
    }

    /// The snapshot on offer.
    pub(crate) fn offered(&self) -> Option<SnapshotBuilt> {
        self.asked.borrow().built.clone()
    }

    fn run_term(&self, index: LogIndex) -> Option<Term> {
        let run = self.runs.partition_point(|run| run.index <= index);
        run.checked_sub(1).map(|run| self.runs[run].term)
    }

    /// Entries `[low, high)` from memory, or from the fetch that was made for them.
    fn in_memory(
        &self,
        low: LogIndex,
        high: LogIndex,
        bytes_max: Option<u64>,
    ) -> Option<Vec<Entry>> {
        let asked = self.asked.borrow();
        if asked.fetched.first().is_some_and(|e| e.index == low.0) {
            let fetched = asked.fetched.iter().take_while(|e| e.index < high.0);
            return Some(limited(fetched, bytes_max));
        }
        let first = self.entries.front()?.index;
        let skip = usize::try_from(low.0.checked_sub(first)?).ok()?;
        Some(limited(self.entries.iter().skip(skip).take_while(|e| e.index < high.0), bytes_max))
    }
}

impl LogTail {
    /// Entries `[low, high)`, of which the first are on disk only. Only the replay after a restart
    /// comes here: nothing else is behind the tail. What is in memory must not be read from the disk,
    /// which may not have it yet, or have what it replaces: raft-rs would miss a change of members
    /// there and stand for election in spite of it.
    fn stored_and_recent(
        &self,
        low: LogIndex,
        high: LogIndex,
        bytes_max: u64,
    ) -> raft::Result<Vec<Entry>> {
        let memory = self.entries.front().map_or(high, |first| high.min(LogIndex(first.index)));
        let stored = self.reader.entries(self.group, low, memory, bytes_max);
        let stored = stored.map_err(|e| Error::Store(StorageError::Other(Box::new(e))))?;
        let mut entries: Vec<Entry> = stored.iter().map(wire::to_raft).collect();
        if entries.len() as u64 == memory.0 - low.0 {
            entries.extend(self.entries.iter().take_while(|e| e.index < high.0).cloned());
        }
        Ok(limited(entries.iter(), Some(bytes_max)))
    }
}

impl Storage for LogTail {
    fn initial_state(&self) -> raft::Result<RaftState> {
        Ok(self.initial.clone())
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        let (low, high) = (LogIndex(low), LogIndex(high));
        let bytes_max = max_size.into();
        if low <= self.start.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last.next(), "raft-rs asks only for entries it knows");
        if let Some(entries) = self.in_memory(low, high, bytes_max) {
            return Ok(entries);
        }
        if context.can_async() {
            let mut asked = self.asked.borrow_mut();
            if asked.fetching.insert(low) {
                let bytes_max = bytes_max.unwrap_or(u64::MAX);
                let context = FetchContext(context);
                asked.fetches.push(Fetch {
                    group: self.group,
                    from: low,
                    to: high,
                    bytes_max,
                    context,
                });
            }
            return Err(Error::Store(StorageError::LogTemporarilyUnavailable));
        }
        self.stored_and_recent(low, high, bytes_max.unwrap_or(u64::MAX))
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        let index = LogIndex(index);
        if index < self.start.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        if index > self.last {
            return Err(Error::Store(StorageError::Unavailable));
        }
        if index == self.start.index {
            return Ok(self.start.term.0);
        }
        Ok(self.run_term(index).expect("runs cover the log").0)
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.start.index.next().0)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last.0)
    }

    /// A replica refuses a snapshot from before it was a member: it needs another one.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<Snapshot> {
        let mut asked = self.asked.borrow_mut();
        let needed = LogIndex(request_index).max(self.start.index);
        let suits = |built: &&SnapshotBuilt| {
            let applied = &built.applied;
            applied.position.index >= needed && applied.members.node_of(ReplicaId(to)).is_some()
        };
        match asked.built.as_ref().filter(suits) {
            Some(built) => Ok(wire::snapshot(&built.applied)),
            None => {
                asked.snapshot = true;
                Err(Error::Store(StorageError::SnapshotTemporarilyUnavailable))
            }
        }
    }
}

/// What an entry counts for in byte bounds.
pub(crate) fn entry_bytes(entry: &Entry) -> usize {
    entry.data.len() + entry.context.len() + 32
}

/// At least one entry, then as many as stay within `bytes_max`.
fn limited<'a>(entries: impl Iterator<Item = &'a Entry>, bytes_max: Option<u64>) -> Vec<Entry> {
    let mut left = bytes_max.unwrap_or(u64::MAX);
    let mut out = Vec::new();
    for entry in entries {
        let bytes = entry_bytes(entry) as u64;
        if bytes > left && !out.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes);
        out.push(entry.clone());
    }
    out
}
