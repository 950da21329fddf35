//! A log in memory that forgets like a disk: what was not synced may be gone after a crash.
//!
//! The log store of the simulation and of tests, held to the same behaviour as RocksDB's by one
//! shared test. A
//! batch without `sync` stays in doubt until the next one with it; [`MemoryLog::crash`] keeps a
//! prefix of what is in doubt, as an ordered write-ahead log does.
//! Never touches a clock, thread or file.

mod state;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringkv_topology::{GroupId, ReplicaId};
use state::State;

use crate::log_store::{Entry, LogBatch, LogError, LogReader, LogWriter, StoredGroup};
use crate::position::LogIndex;

/// A handle on one node's log; clones share it, as writer and reader of a store do.
#[derive(Clone, Debug, Default)]
pub struct MemoryLog {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// What survives any crash.
    durable: State,
    /// Written after `durable`, not yet synced, in order.
    unsynced: Vec<LogBatch>,
    /// `durable` with all of `unsynced`: what readers see.
    visible: State,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many batches a crash now could lose.
    pub fn unsynced_count(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Loses all unsynced batches but the first `keep_unsynced` of them. What is left is durable.
    pub fn crash(&self, keep_unsynced: usize) {
        let mut inner = self.lock();
        inner.unsynced.truncate(keep_unsynced);
        inner.settle();
        inner.visible = inner.durable.clone();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A writer that panicked has failed its test; what comes after must not hide that.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Makes everything in doubt durable.
    fn settle(&mut self) {
        for batch in self.unsynced.drain(..) {
            self.durable.write(&batch).expect("the visible state has taken this batch already");
        }
    }
}

impl LogWriter for MemoryLog {
    fn write(&mut self, batch: &LogBatch) -> Result<(), LogError> {
        let mut inner = self.lock();
        inner.visible.write(batch)?;
        inner.unsynced.push(batch.clone());
        if batch.sync {
            inner.settle();
        }
        Ok(())
    }
}

impl LogReader for MemoryLog {
    fn load(&self) -> Result<Vec<StoredGroup>, LogError> {
        Ok(self.lock().visible.load())
    }

    fn tombstones(&self) -> Result<Vec<(GroupId, ReplicaId)>, LogError> {
        Ok(self.lock().visible.tombstones())
    }

    fn entries(
        &self,
        group: GroupId,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, LogError> {
        self.lock().visible.entries(group, from, to, bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_store::{EntryKind, GroupWrite};
    use crate::machine::Genesis;
    use crate::members::Members;
    use crate::position::LogPosition;
    use bytes::Bytes;

    const GROUP: GroupId = GroupId(7);

    fn create() -> GroupWrite {
        let genesis = Genesis {
            group: GROUP,
            replica: ReplicaId(1),
            members: Members::default(),
            context: Bytes::new(),
        };
        GroupWrite { create: Some(genesis), ..GroupWrite::default() }
    }

    fn append(index: u64) -> GroupWrite {
        let entry = Entry {
            position: LogPosition::new(1, index),
            kind: EntryKind::Empty,
            data: Bytes::new(),
        };
        GroupWrite { append: vec![entry], ..GroupWrite::default() }
    }

    fn write(log: &mut MemoryLog, write: GroupWrite, sync: bool) {
        let batch = LogBatch { number: 1, groups: vec![(GROUP, write)], sync };
        log.write(&batch).expect("a valid batch");
    }

    fn last_index(log: &MemoryLog) -> u64 {
        log.load().expect("readable")[0].last_index.0
    }

    #[test]
    fn a_crash_keeps_what_was_synced_and_loses_what_was_not() {
        let mut log = MemoryLog::new();
        write(&mut log, create(), true);
        write(&mut log, append(1), true);
        write(&mut log, append(2), false);
        assert_eq!(last_index(&log), 2, "readers see unsynced writes");
        log.crash(0);
        assert_eq!(last_index(&log), 1);
    }

    #[test]
    fn a_sync_makes_everything_before_it_durable() {
        let mut log = MemoryLog::new();
        write(&mut log, create(), false);
        write(&mut log, append(1), false);
        assert_eq!(log.unsynced_count(), 2);
        write(&mut log, append(2), true);
        assert_eq!(log.unsynced_count(), 0);
        log.crash(0);
        assert_eq!(last_index(&log), 2);
    }

    #[test]
    fn a_crash_keeps_a_prefix_of_the_unsynced_batches_and_it_stays() {
        let mut log = MemoryLog::new();
        write(&mut log, create(), true);
        for index in 1..=3 {
            write(&mut log, append(index), false);
        }
        log.crash(2);
        assert_eq!(last_index(&log), 2);
        log.crash(0);
        assert_eq!(last_index(&log), 2, "what a crash left behind is durable");
    }

    #[test]
    fn a_write_to_a_group_that_is_not_there_is_refused_whole() {
        let mut log = MemoryLog::new();
        let batch = LogBatch {
            number: 1,
            groups: vec![(GROUP, create()), (GroupId(8), append(1))],
            sync: true,
        };
        log.write(&batch).expect_err("group 8 was never created");
        assert!(log.load().expect("readable").is_empty(), "nothing of the batch is there");
    }
}
