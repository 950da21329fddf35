//! The shared test of stores on RocksDB; the rest is RocksDB's own promises.

mod machine;

use std::path::Path;

use bytes::Bytes;
use proptest::prelude::*;
use ringkv_storage_core::keys;
use ringkv_storage_core::store::{SnapshotStore as _, Store as _, Write};
use ringkv_storage_core::testing::store::{behaves_like_a_sorted_map, scanned, steps};
use ringkv_topology::{GroupId, Slot};

use crate::store::{RocksSettings, RocksStore};

const SMALL: RocksSettings = RocksSettings {
    block_cache_bytes: 1024 * 1024,
    memtable_bytes: 1024 * 1024,
    write_buffer_bytes: 4096,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn rocks_does_what_a_sorted_map_does(steps in steps()) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let rocks = RocksStore::open(dir.path(), &SMALL).expect("open");
        behaves_like_a_sorted_map(&rocks, &steps, || rocks.flush().expect("flush"));
    }
}

#[test]
fn a_reader_beside_a_writer_never_sees_a_row_go_back() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = RocksStore::open(dir.path(), &SMALL).expect("open");
    let key = keys::record(GroupId(1), Slot(0), b"counter");
    let seen = |store: &RocksStore| {
        let value = store.get(&key).expect("get")?;
        Some(u64::from_le_bytes(value[..8].try_into().expect("eight bytes")))
    };
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = None;
            while last != Some(1_999) {
                let now = seen(&store);
                assert!(now >= last, "{now:?} after {last:?}");
                last = now;
            }
        });
        for number in 0..2_000u64 {
            let value = Some(Bytes::copy_from_slice(&number.to_le_bytes()));
            let filler = put(1, &number.to_le_bytes(), &[0; 200]);
            store.write(vec![Write { key: key.clone(), value }, filler]).expect("write");
        }
        reader.join().expect("the reader");
    });
}

/// The files as a crash of the process would leave them: copied while the store is open. Closing
/// a store would flush it first.
fn crash(dir: &Path) -> tempfile::TempDir {
    let crashed = tempfile::tempdir().expect("a temporary directory");
    for entry in std::fs::read_dir(dir).expect("list") {
        let entry = entry.expect("an entry");
        if entry.file_type().expect("a type").is_file() && entry.file_name() != "LOCK" {
            std::fs::copy(entry.path(), crashed.path().join(entry.file_name())).expect("copy");
        }
    }
    crashed
}

fn put(group: u64, rest: &[u8], value: &[u8]) -> Write {
    Write {
        key: keys::record(GroupId(group), Slot(0), rest),
        value: Some(Bytes::copy_from_slice(value)),
    }
}

#[test]
fn a_second_process_cannot_open_the_store() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let first = RocksStore::open(dir.path(), &SMALL).expect("open");
    let error = RocksStore::open(dir.path(), &SMALL).err().expect("it is open already");
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(first);
    RocksStore::open(dir.path(), &SMALL).expect("it is free again");
}

#[test]
fn what_was_flushed_is_there_after_a_crash_and_nothing_is_there_in_part() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = RocksStore::open(dir.path(), &SMALL).expect("open");
    store.write(vec![put(1, b"a", b"1"), put(2, b"a", b"1")]).expect("write");
    store.flush().expect("flush");
    store.write(vec![put(1, b"a", b"2"), put(2, b"a", b"2")]).expect("write");
    let crashed = crash(dir.path());
    let store = RocksStore::open(crashed.path(), &SMALL).expect("open after the crash");
    for group in [1, 2] {
        let found = store.get(&keys::record(GroupId(group), Slot(0), b"a")).expect("get");
        assert_eq!(found.as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn files_of_a_range_hold_one_moment_and_replace_the_range_elsewhere_twice_over() {
    let (dir, files) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let source = RocksStore::open(&dir.path().join("source"), &SMALL).expect("open");
    let target = RocksStore::open(&dir.path().join("target"), &SMALL).expect("open");
    source
        .write(vec![put(1, b"a", b"new"), put(1, b"b", b"new"), put(2, b"a", b"other")])
        .expect("");
    target
        .write(vec![put(1, b"a", b"old"), put(1, b"c", b"old"), put(2, b"a", b"kept")])
        .expect("");
    let (range, key) = (keys::group_range(GroupId(1)), keys::record(GroupId(1), Slot(0), b"b"));
    let row = source.write_files(&range, &key, files.path()).expect("write files");
    assert_eq!(row.as_deref(), Some(&b"new"[..]));
    for _ in 0..2 {
        target.replace_by_files(&range, files.path()).expect("replace");
        let expected: Vec<(Bytes, Bytes)> =
            [put(1, b"a", b"new"), put(1, b"b", b"new"), put(2, b"a", b"kept")]
                .map(|write| (write.key, write.value.expect("a put")))
                .into();
        assert_eq!(scanned(&target, &keys::everything(), 9), expected);
        target.write(vec![put(1, b"a", b"later"), put(1, b"d", b"later")]).expect("write");
    }
}

#[test]
fn a_replaced_range_is_durable_at_once() {
    let (dir, files) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let source = RocksStore::open(&dir.path().join("source"), &SMALL).expect("open");
    source.write(vec![put(1, b"a", b"new")]).expect("write");
    let (range, key) = (keys::group_range(GroupId(1)), keys::record(GroupId(1), Slot(0), b"a"));
    source.write_files(&range, &key, files.path()).expect("write files");
    let path = dir.path().join("target");
    let target = RocksStore::open(&path, &SMALL).expect("open");
    target.write(vec![put(1, b"a", b"old"), put(1, b"c", b"old")]).expect("write");
    target.replace_by_files(&range, files.path()).expect("replace");
    let crashed = crash(&path);
    let target = RocksStore::open(crashed.path(), &SMALL).expect("open after the crash");
    assert_eq!(scanned(&target, &keys::everything(), 9).len(), 1);
    assert_eq!(target.get(&key).expect("get").as_deref(), Some(&b"new"[..]));
}

/// Waits until no file comes or goes by itself.
fn settle(store: &RocksStore) {
    let is_busy = || {
        ["rocksdb.num-running-compactions", "rocksdb.compaction-pending"]
            .iter()
            .any(|name| store.figure(name) != Some(0))
    };
    while is_busy() {
        std::thread::yield_now();
    }
}

/// A row of 500 bytes that do not compress well.
fn large_row(round: u64, group: u64, number: u64) -> Write {
    let mut seed = round << 48 | group << 32 | number;
    let mut value = Vec::new();
    while value.len() < 500 {
        seed = seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
        value.extend_from_slice(&(seed >> 16).to_le_bytes()[..5]);
    }
    put(group, &number.to_be_bytes(), &value)
}

#[test]
fn a_removed_range_is_gone_for_good_with_all_its_versions() {
    let (dir, files) = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let range = keys::group_range(GroupId(2));
    let source = RocksStore::open(&dir.path().join("source"), &SMALL).expect("open");
    source.write((0..4_000).map(|n| large_row(9, 2, n)).collect()).expect("write");
    source.write_files(&range, b"", files.path()).expect("write files");
    let path = dir.path().join("target");
    let store = RocksStore::open(&path, &SMALL).expect("open");
    // Until a compaction has made files of their own of them.
    for _ in 0..6 {
        store.replace_by_files(&range, files.path()).expect("replace");
    }
    settle(&store);
    // And newer versions in a file that they share with other groups.
    let rows = (1..4).flat_map(|group| (0..300).map(move |n| large_row(3, group, n)));
    store.write(rows.collect()).expect("write");
    store.flush().expect("flush");
    settle(&store);
    assert!(store.disk_bytes(&range) > 2_000_000, "the rows are in files");
    store.remove(&range).expect("remove");
    settle(&store);
    let crashed = crash(&path);
    for store in [store, RocksStore::open(crashed.path(), &SMALL).expect("open")] {
        assert_eq!(scanned(&store, &range, 1), []);
        for group in [1, 3] {
            let rows = scanned(&store, &keys::group_range(GroupId(group)), 3_000);
            let newest = (0..300).map(|n| large_row(3, group, n));
            let newest = newest.map(|row| (row.key, row.value.expect("a put")));
            assert!(rows.into_iter().eq(newest), "the rows of group {group}");
        }
    }
}
