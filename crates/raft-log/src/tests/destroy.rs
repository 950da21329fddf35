//! What the log keeps of a destroyed replica: its tombstone, and nothing else.

use std::path::Path;

use ringkv_consensus::testing::{Change, Writer};
use ringkv_consensus::{Genesis, GroupWrite, LogBatch, LogIndex, LogReader, LogWriter, Members};
use ringkv_topology::{GroupId, ReplicaId};
use rocksdb::{DB, IteratorMode};

use super::{damage, log_with_entries, refusal, tear_last_byte};
use crate::layout::{self, Kind, format_key, key};
use crate::options;
use crate::rocks_log::RocksLog;

const GROUP: GroupId = GroupId(1);
const OLD: ReplicaId = ReplicaId(1);

fn write(log: &mut RocksLog, groups: Vec<(GroupId, GroupWrite)>) {
    log.write(&LogBatch { number: 1, groups, sync: true }).expect("written");
}

fn destroyed() -> GroupWrite {
    GroupWrite { destroy: Some(OLD), ..GroupWrite::default() }
}

/// Every key in the closed log, in files or not.
fn keys(dir: &Path) -> Vec<Vec<u8>> {
    let db = DB::open(&options::database(), dir).expect("closed by the log");
    db.iterator(IteratorMode::Start).map(|row| row.expect("readable").0.into_vec()).collect()
}

/// A log of 4,000 entries, 4 MiB, cut and marked; half of it in files.
fn write_large_log(dir: &Path) {
    let (mut writer, create) = Writer::new(GROUP);
    let mut log = RocksLog::open(dir).expect("a new log");
    write(&mut log, vec![(GROUP, create)]);
    for round in 0..40 {
        let sizes = vec![1_000; 100];
        let append = writer.write(&Change::Append { dropped: 0, sizes, new_term: true });
        write(&mut log, vec![(GROUP, append)]);
        if round == 20 {
            drop(log);
            DB::open(&options::database(), dir).expect("closed").flush().expect("flushed");
            log = RocksLog::open(dir).expect("opened again");
        }
    }
    for change in [Change::Commit, Change::Compact { kept: 3_000 }, Change::Reset { ahead: 1 }] {
        let change = writer.write(&change);
        write(&mut log, vec![(GROUP, change)]);
    }
    let append = Change::Append { dropped: 0, sizes: vec![1_000; 100], new_term: true };
    let append = writer.write(&append);
    write(&mut log, vec![(GROUP, append)]);
}

#[test]
fn a_destroyed_replica_leaves_its_tombstone_and_nothing_else() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    write_large_log(dir.path());
    assert!(keys(dir.path()).len() > 100, "there is something to remove");
    let mut log = RocksLog::open(dir.path()).expect("opens");
    let (mut other, create) = Writer::new(GroupId(2));
    let append = other.write(&Change::Append { dropped: 0, sizes: vec![9], new_term: false });
    write(&mut log, vec![(GroupId(2), create)]);
    write(&mut log, vec![(GROUP, destroyed()), (GroupId(2), append)]);
    for _ in 0..2 {
        let stored = log.load().expect("readable");
        assert_eq!(stored.iter().map(|g| g.genesis.group).collect::<Vec<_>>(), [GroupId(2)]);
        assert_eq!(log.tombstones().expect("readable"), [(GROUP, OLD)]);
        let gone = log.entries(GROUP, LogIndex(4_003), LogIndex(4_004), 1_000);
        assert!(gone.expect_err("gone").source.is_none(), "absent, not damaged");
        drop(log);
        let keys = keys(dir.path());
        assert_eq!(keys[..2], [format_key(), key(GROUP, Kind::Tombstone)]);
        assert!(keys[2..].iter().all(|key| layout::group_of(key) == Ok(GroupId(2))), "{keys:?}");
        log = RocksLog::open(dir.path()).expect("opened again");
    }
}

#[test]
fn the_next_replica_takes_the_place_of_the_tombstone() {
    let next = Genesis {
        group: GROUP,
        replica: ReplicaId(7),
        members: Members::default(),
        context: bytes::Bytes::new(),
    };
    let create = GroupWrite { create: Some(next.clone()), ..GroupWrite::default() };
    let at_once = GroupWrite { destroy: Some(OLD), ..create.clone() };
    for writes in [vec![destroyed(), create], vec![at_once]] {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut log = log_with_entries(dir.path());
        for write_one in writes {
            write(&mut log, vec![(GROUP, write_one)]);
        }
        let stored = log.load().expect("readable");
        assert_eq!(stored.len(), 1);
        assert_eq!((&stored[0].genesis, stored[0].last_index), (&next, LogIndex(0)));
        assert_eq!(log.tombstones().expect("readable"), []);
        drop(log);
        assert_eq!(keys(dir.path()), [format_key().to_vec(), key(GROUP, Kind::Genesis).to_vec()]);
    }
}

#[test]
fn a_torn_destroy_leaves_the_replica_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut log = log_with_entries(dir.path());
    let before = log.load().expect("readable");
    write(&mut log, vec![(GROUP, destroyed())]);
    drop(log);
    tear_last_byte(dir.path());
    let log = RocksLog::open(dir.path()).expect("point-in-time recovery");
    assert_eq!(log.load().expect("readable"), before);
    assert_eq!(log.tombstones().expect("readable"), []);
}

#[test]
fn a_damaged_tombstone_is_refused() {
    let changes: [fn(&mut Vec<u8>); 3] =
        [|value| value[3] ^= 1, |value| value.truncate(5), Vec::clear];
    for change in changes {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut log = log_with_entries(dir.path());
        write(&mut log, vec![(GROUP, destroyed())]);
        let log = damage(log, dir.path(), |db| {
            let key = key(GROUP, Kind::Tombstone);
            let mut value = db.get(key).expect("readable").expect("there");
            change(&mut value);
            db.put(key, value).expect("written");
        });
        let error = log.tombstones().expect_err("damaged").to_string();
        assert_eq!(error, "load group 1: read its Tombstone record");
    }
}

#[test]
fn a_group_with_records_in_addition_to_its_tombstone_is_refused() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = damage(log_with_entries(dir.path()), dir.path(), |db| {
        let key = key(GROUP, Kind::Tombstone);
        db.put(key, layout::encode_tombstone(&key, OLD)).expect("written");
    });
    let message = refusal(log.load());
    assert!(message.ends_with("replica 1 of it was destroyed, but has records"), "{message}");
}
