//! The test of every log store, then what only a disk can get wrong.

mod destroy;
mod golden;

use std::path::Path;

use proptest::prelude::*;
use ringkv_consensus::testing::{Change, Writer, check_log_store, log_store_steps};
use ringkv_consensus::{
    GroupWrite, HardState, LogBatch, LogError, LogIndex, LogReader, LogWriter, StoredGroup, Term,
};
use ringkv_topology::GroupId;
use rocksdb::DB;

use crate::layout::{Kind, entry_key, key};
use crate::options;
use crate::rocks_log::RocksLog;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn both_stores_hold_the_same_after_any_batches(
        steps in log_store_steps(),
        bytes_max in 0..1_000u64,
    ) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        check_log_store(&steps, bytes_max, || RocksLog::open(dir.path()).expect("opens"))?;
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

fn refusal(result: Result<Vec<StoredGroup>, LogError>) -> String {
    result.expect_err("must be refused").to_string()
}

#[test]
fn a_flipped_bit_in_an_entry_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        let key = entry_key(GroupId(1), LogIndex(4));
        let mut value = db.get(key).expect("readable").expect("there");
        value[20] ^= 1;
        db.put(key, value).expect("written");
    });
    let error = log.entries(GroupId(1), LogIndex(4), LogIndex(5), 1_000).expect_err("damaged");
    assert_eq!(error.to_string(), "read entry 4 of group 1");
    log.entries(GroupId(1), LogIndex(2), LogIndex(4), 1_000).expect("the others are whole");
}

#[test]
fn an_entry_under_the_wrong_key_is_found_when_it_is_read() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        let value = db.get(entry_key(GroupId(1), LogIndex(3))).expect("readable").expect("there");
        db.put(entry_key(GroupId(1), LogIndex(4)), value).expect("written");
    });
    log.entries(GroupId(1), LogIndex(4), LogIndex(5), 1_000).expect_err("misdirected");
}

#[test]
fn a_gap_in_the_log_is_refused_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        db.delete(entry_key(GroupId(1), LogIndex(3))).expect("written");
    });
    let message = refusal(log.load());
    assert!(message.ends_with("entries 3 to 4 are missing"), "{message}");
}

#[test]
fn a_log_that_ends_before_its_commit_index_is_refused_at_start() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        db.delete(entry_key(GroupId(1), LogIndex(6))).expect("written");
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
    let format = crate::layout::format_key();
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
        hard_state: Some(HardState { term: Term(9), vote: 9, commit: LogIndex(6) }),
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
