//! One property test for both log stores, then what only a disk can get wrong.

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use ringkv_topology::{GroupId, NodeId, ReplicaId};
use rocksdb::DB;

use super::layout::{Kind, entry_key, key};
use super::{RocksLog, options};
use crate::{
    Entry, EntryKind, Genesis, GroupWrite, HardState, InstallMarker, LogBatch, LogIndex, LogReader,
    LogStart, LogWriter, Members, MemoryLog, StoredGroup, Term,
};

/// One random change; numbers are cut down to what is legal in the group's present state.
#[derive(Clone, Debug)]
enum Change {
    /// Drop this many entries off the end, then append entries of these sizes in a new term.
    Append {
        dropped: u64,
        sizes: Vec<usize>,
        new_term: bool,
    },
    Commit,
    Compact {
        kept: u64,
    },
    Reset {
        ahead: u64,
    },
    ClearInstall,
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
    ]
}

/// Turns changes into legal writes of one group.
struct Writer {
    group: GroupId,
    start: LogStart,
    /// The term of each entry after `start`.
    terms: Vec<Term>,
    hard_state: HardState,
}

impl Writer {
    fn new(group: GroupId) -> (Self, GroupWrite) {
        let start = LogStart { index: Genesis::INDEX, term: Genesis::TERM };
        let hard_state = HardState { term: 1, vote: 3, commit: 1 };
        let write = GroupWrite {
            create: Some(genesis(group)),
            reset: Some(start),
            hard_state: Some(hard_state),
            ..GroupWrite::default()
        };
        (Self { group, start, terms: Vec::new(), hard_state }, write)
    }

    fn last_index(&self) -> LogIndex {
        self.start.index + self.terms.len() as u64
    }

    fn term_at(&self, index: LogIndex) -> Term {
        match (index - self.start.index) as usize {
            0 => self.start.term,
            at => self.terms[at - 1],
        }
    }

    fn write(&mut self, change: &Change) -> GroupWrite {
        let mut write = GroupWrite::default();
        match change {
            Change::Append { dropped, sizes, new_term } => {
                let uncommitted = self.last_index() - self.hard_state.commit;
                let from = self.last_index() + 1 - dropped.min(&uncommitted);
                write.truncate_from = (*dropped > 0).then_some(from);
                self.terms.truncate((from - 1 - self.start.index) as usize);
                self.hard_state.term += u64::from(*new_term);
                write.append = sizes.iter().map(|&size| self.next_entry(size)).collect();
            }
            Change::Commit => self.hard_state.commit = self.last_index(),
            Change::Compact { kept } => {
                let index = self.hard_state.commit.saturating_sub(*kept).max(self.start.index);
                let start = LogStart { index, term: self.term_at(index) };
                self.terms.drain(..(index - self.start.index) as usize);
                self.start = start;
                write.compact_to = Some(start);
            }
            Change::Reset { ahead } => {
                let index = self.last_index() + ahead;
                self.hard_state.term += 1;
                self.hard_state.commit = index;
                self.start = LogStart { index, term: self.hard_state.term };
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

    fn next_entry(&mut self, size: usize) -> Entry {
        let index = self.last_index() + 1;
        let term = self.hard_state.term;
        self.terms.push(term);
        let kind = [EntryKind::Empty, EntryKind::Commands, EntryKind::Members][index as usize % 3];
        Entry { index, term, kind, data: vec![index as u8; size].into() }
    }
}

fn genesis(group: GroupId) -> Genesis {
    Genesis {
        group,
        replica: ReplicaId(group.0 / 2 + 1),
        members: Members::of_voters([(ReplicaId(group.0 / 2 + 1), NodeId(1))]),
        context: Bytes::from(format!("context of {group}")),
    }
}

/// Everything a reader can see of a group's entries, read in pieces of `bytes_max`.
fn all_entries(log: &impl LogReader, stored: &StoredGroup, bytes_max: u64) -> Vec<Vec<Entry>> {
    let mut pieces = Vec::new();
    let mut from = stored.start.index + 1;
    while from <= stored.last_index {
        let piece = log
            .entries(stored.genesis.group, from, stored.last_index + 1, bytes_max)
            .expect("the entry is there");
        from += piece.len() as u64;
        pieces.push(piece);
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_stores_hold_the_same_after_any_batches(
        steps in prop::collection::vec(
            (
                prop::collection::vec((0..3usize, change()), 1..4),
                any::<bool>(),
                prop::bool::weighted(0.15),
            ),
            1..25,
        ),
        bytes_max in 0..1_000u64,
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut rocks = RocksLog::open(dir.path()).expect("a new log");
        let mut memory = MemoryLog::new();
        let ids = [GroupId(1), GroupId(2), GroupId(u64::MAX - 1)];
        let (mut writers, creations): (Vec<_>, Vec<_>) = ids
            .map(|id| { let (writer, write) = Writer::new(id); (writer, (id, write)) })
            .into_iter()
            .unzip();
        let mut batch = LogBatch { number: 1, groups: creations, sync: true };
        for (number, (changes, sync, reopen)) in (2..).zip(steps) {
            rocks.write(&batch).expect("written");
            memory.write(&batch).expect("written");
            let groups = changes
                .iter()
                .map(|(at, change)| (ids[*at], writers[*at].write(change)))
                .collect();
            batch = LogBatch { number, groups, sync };
            if reopen {
                drop(rocks);
                rocks = RocksLog::open(dir.path()).expect("an existing log");
            }
            let stored = memory.load().expect("readable");
            prop_assert_eq!(&rocks.load().expect("readable"), &stored);
            for group in &stored {
                prop_assert_eq!(
                    all_entries(&rocks, group, bytes_max),
                    all_entries(&memory, group, bytes_max)
                );
            }
        }
    }
}

fn log_with_entries(dir: &Path) -> RocksLog {
    let mut log = RocksLog::open(dir).expect("a new log");
    let (mut writer, create) = Writer::new(GroupId(1));
    let sizes = vec![40; 5];
    let append = writer.write(&Change::Append { dropped: 0, sizes, new_term: false });
    let commit = writer.write(&Change::Commit);
    for (number, write) in (1..).zip([create, append, commit]) {
        let batch = LogBatch { number, groups: vec![(GroupId(1), write)], sync: true };
        log.write(&batch).expect("written");
    }
    log
}

fn damage(log: RocksLog, dir: &Path, change: impl FnOnce(&DB)) -> RocksLog {
    drop(log);
    let db = DB::open(&options::database(), dir).expect("closed by the log");
    change(&db);
    drop(db);
    RocksLog::open(dir).expect("the database itself is whole")
}

fn refusal(result: Result<Vec<StoredGroup>, crate::LogError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn a_flipped_bit_in_an_entry_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        let key = entry_key(GroupId(1), 4);
        let mut value = db.get(key).expect("readable").expect("there");
        value[20] ^= 1;
        db.put(key, value).expect("written");
    });
    let error = log.entries(GroupId(1), 4, 5, 1_000).expect_err("damaged");
    assert_eq!(error.to_string(), "read entry 4 of group 1");
    log.entries(GroupId(1), 2, 4, 1_000).expect("the others are whole");
}

#[test]
fn an_entry_under_the_wrong_key_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        let value = db.get(entry_key(GroupId(1), 3)).expect("readable").expect("there");
        db.put(entry_key(GroupId(1), 4), value).expect("written");
    });
    log.entries(GroupId(1), 4, 5, 1_000).expect_err("misdirected");
}

#[test]
fn a_gap_in_the_log_is_refused_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        db.delete(entry_key(GroupId(1), 3)).expect("written");
    });
    let message = refusal(log.load());
    assert!(message.ends_with("entries 3 to 4 are missing"), "{message}");
}

#[test]
fn a_log_that_ends_before_its_commit_index_is_refused_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        db.delete(entry_key(GroupId(1), 6)).expect("written");
    });
    let message = refusal(log.load());
    assert!(message.ends_with("it ends at entry 5, before its commit index 6"), "{message}");
}

#[test]
fn a_lost_vote_record_is_refused_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        db.delete(key(GroupId(1), Kind::HardState)).expect("written");
    });
    refusal(log.load());
}

#[test]
fn a_second_opener_is_turned_away() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = log_with_entries(dir.path());
    let error = RocksLog::open(dir.path()).err().expect("it is open already");
    assert!(error.to_string().starts_with("open the log in"), "{error}");
    drop(log);
    RocksLog::open(dir.path()).expect("closed now");
}

#[test]
fn a_log_of_another_format_is_turned_away() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    drop(log_with_entries(dir.path()));
    let db = DB::open(&options::database(), dir.path()).expect("closed by the log");
    let format = super::layout::format_key();
    let mut value = db.get(format).expect("readable").expect("there");
    value[0] = 2;
    let sum = {
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&format);
        hasher.update(&value[..value.len() - 4]);
        hasher.finalize()
    };
    let body = value.len() - 4;
    value[body..].copy_from_slice(&sum.to_le_bytes());
    db.put(format, value).expect("written");
    drop(db);
    let error = RocksLog::open(dir.path()).err().expect("an unknown version");
    let cause = std::error::Error::source(&error).expect("has a cause").to_string();
    assert!(cause.contains("format version 2"), "{cause}");
}

#[test]
fn a_torn_tail_costs_only_the_batches_in_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = log_with_entries(dir.path());
    let before = log.load().expect("readable");
    let write = GroupWrite {
        hard_state: Some(HardState { term: 9, vote: 9, commit: 6 }),
        ..GroupWrite::default()
    };
    let batch = LogBatch { number: 4, groups: vec![(GroupId(1), write)], sync: true };
    log.write(&batch).expect("written");
    drop(log);
    tear_last_byte(dir.path());
    let log = RocksLog::open(dir.path()).expect("point-in-time recovery");
    assert_eq!(log.load().expect("readable"), before);
}

/// Cuts the last byte of the write-ahead log that is in use.
fn tear_last_byte(dir: &Path) {
    let wal = std::fs::read_dir(dir)
        .expect("the log's directory")
        .map(|file| file.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|e| e == "log"))
        .max_by_key(|path| std::fs::metadata(path).expect("there").len())
        .expect("a write-ahead log");
    let file = std::fs::File::options().write(true).open(wal).expect("writable");
    let len = file.metadata().expect("readable").len();
    file.set_len(len - 1).expect("cut");
}
