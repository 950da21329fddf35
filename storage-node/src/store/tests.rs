//! One property test drives both stores against a sorted map; the rest is RocksDB's own promises.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::keys;
use ringkv_topology::{GroupId, Slot};

const SMALL: RocksSettings = RocksSettings {
    block_cache_bytes: 1024 * 1024,
    memtable_bytes: 1024 * 1024,
    write_buffer_bytes: 4096,
};

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<(Bytes, Option<Bytes>)>),
    Clear(KeyRange),
    Scan(KeyRange, usize),
    Flush,
}

/// Keys of the shape the store is tuned for, over few groups and slots so that ranges overlap.
fn key() -> impl Strategy<Value = Bytes> {
    (1u64..4, 0u16..3, prop::collection::vec(0u8..3, 0..3))
        .prop_map(|(group, slot, rest)| keys::record(GroupId(group), Slot(slot), &rest))
}

fn range() -> impl Strategy<Value = KeyRange> {
    prop_oneof![
        (key(), key()).prop_map(|(start, end)| KeyRange { start, end }),
        (1u64..4).prop_map(|group| keys::group_range(GroupId(group))),
        (1u64..4, 0u16..3).prop_map(|(group, slot)| keys::slot_range(GroupId(group), Slot(slot))),
        Just(keys::everything()),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from));
    prop_oneof![
        6 => prop::collection::vec((key(), value), 0..8).prop_map(Step::Write),
        1 => range().prop_map(Step::Clear),
        2 => (range(), 1usize..10).prop_map(|(range, most)| Step::Scan(range, most)),
        1 => Just(Step::Flush),
    ]
}

fn scanned<S: Store>(store: &S, range: &KeyRange, most: usize) -> Vec<(Bytes, Bytes)> {
    let mut rows = Vec::new();
    store
        .scan(range, &mut |key, value| {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            if rows.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .expect("scan");
    rows
}

fn drive<S: Store>(store: &S, steps: &[Step], flush: impl Fn()) {
    let mut model: BTreeMap<Bytes, Bytes> = BTreeMap::new();
    for step in steps {
        match step {
            Step::Write(rows) => {
                let write = |(key, value): &(Bytes, Option<Bytes>)| Write {
                    key: key.clone(),
                    value: value.clone(),
                };
                store.write(rows.iter().map(write).collect()).expect("write");
                for (key, value) in rows {
                    match value {
                        Some(value) => model.insert(key.clone(), value.clone()),
                        None => model.remove(key),
                    };
                }
            }
            // RocksDB refuses a range that ends before it starts; nobody asks for one.
            Step::Clear(range) if range.start > range.end => {}
            Step::Clear(range) => {
                store.clear(range).expect("clear");
                model.retain(|key, _| !range.contains(key));
            }
            Step::Scan(range, most) => {
                let expected: Vec<_> = model
                    .iter()
                    .filter(|(key, _)| range.contains(key))
                    .take(*most)
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                assert_eq!(scanned(store, range, *most), expected);
            }
            Step::Flush => flush(),
        }
    }
    for group in 1..4 {
        for rest in [&b""[..], &[0], &[1, 2]] {
            let key = keys::record(GroupId(group), Slot(1), rest);
            let found = store.get(&key).expect("get");
            assert_eq!(found.as_deref(), model.get(&key).map(|value| &value[..]));
        }
    }
    let all = keys::everything();
    assert_eq!(scanned(store, &all, usize::MAX), model.into_iter().collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn both_stores_do_what_a_sorted_map_does(steps in prop::collection::vec(step(), 0..30)) {
        drive(&MemoryStore::new(), &steps, || {});
        let dir = tempfile::tempdir().expect("a temporary directory");
        let rocks = RocksStore::open(dir.path(), &SMALL).expect("open");
        drive(&rocks, &steps, || rocks.flush().expect("flush"));
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
pub(crate) fn crash(dir: &Path) -> tempfile::TempDir {
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
