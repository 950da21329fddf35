//! The shared test of stores: any steps, done on a store and on a sorted map.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use proptest::prelude::*;
use ringkv_topology::{GroupId, Slot};

use crate::keys::{self, KeyRange};
use crate::store::{Store, Write};

/// One thing done to a store.
#[derive(Clone, Debug)]
pub enum Step {
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

/// At most `most` rows of a range, as a scan shows them.
pub fn scanned<S: Store>(store: &S, range: &KeyRange, most: usize) -> Vec<(Bytes, Bytes)> {
    let mut rows = Vec::new();
    store
        .scan(range, &mut |key, value| {
            rows.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            if rows.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })
        .expect("scan");
    rows
}

/// Any steps.
pub fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 0..30)
}

/// Does the steps on an empty store and on a sorted map, and compares what both show. `flush`
/// makes the store durable, if it has a disk.
///
/// # Panics
/// If they differ.
pub fn behaves_like_a_sorted_map<S: Store>(store: &S, steps: &[Step], flush: impl Fn()) {
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
            // RocksDB refuses a range that ends before it starts; no caller uses one.
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
