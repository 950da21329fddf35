//! The same entries give the same rows and results, however they are cut and wherever a replica
//! was restarted or brought up by a snapshot.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use ringkv_consensus::{Apply as _, CommandBatch, LogIndex};
use ringkv_kv_types::{Condition, RequestId};
use ringkv_topology::{GroupId, Slot};

use crate::command::{Command, Operation};
use crate::keys;
use crate::machine::{Keep, KvMachine, Retention};
use crate::store::memory::MemoryStore;
use crate::store::{Store as _, Write};
use crate::testing::machine::{SLOT, attributes, batch, command_batch, delete, genesis, put};

const KEEP: Keep = Keep { kept_ms: 200, kept_under_pressure_ms: 50, count_max: 12 };
const RETENTION: Retention = Retention { gateway: KEEP, user: KEEP };
const GROUPS: [GroupId; 2] = [GroupId(1), GroupId(2)];

fn command() -> impl Strategy<Value = Command> {
    let condition = prop_oneof![
        4 => Just(Condition::default()),
        1 => Just(Condition { if_none_match_any: true, ..Condition::default() }),
        1 => Just(Condition { if_match_any: true, ..Condition::default() }),
        1 => (1u64..40).prop_map(|revision| Condition {
            if_match: vec![revision],
            ..Condition::default()
        }),
    ];
    let operation = prop_oneof![
        1 => Just(Operation::Delete),
        3 => (prop_oneof![Just(0), 1u64..300], "[a-c]{0,4}").prop_map(|(ttl_ms, value)| {
            Operation::Put { ttl_ms, attributes: attributes(), value: value.into_bytes().into() }
        }),
    ];
    // Few keys and ids, so that retries, reuse and conflicts happen; slot 5 is not owned.
    (0u8..30, any::<[bool; 2]>(), 3u16..6, "[x-z]", condition, operation).prop_map(
        |(id, [chosen_by_user, return_previous], slot, key, condition, operation)| Command {
            slot: Slot(slot),
            key: key.into_bytes().into(),
            request: RequestId { id: [id; 16], chosen_by_user },
            condition,
            return_previous,
            operation,
        },
    )
}

/// Entries of two groups, in the order in which they commit.
fn history() -> impl Strategy<Value = Vec<(GroupId, CommandBatch)>> {
    let commands = prop::collection::vec(command(), 0..6);
    let entry = (any::<bool>(), 0u64..120, commands);
    prop::collection::vec(entry, 1..40).prop_map(|entries| {
        let mut clock_ms = 1_000;
        let mut pack_entry = |(second, pause, commands): (bool, u64, Vec<Command>)| {
            // A leader's clock may be behind that of the one before.
            clock_ms += pause;
            (GROUPS[usize::from(second)], command_batch(clock_ms - pause % 7, &commands))
        };
        entries.into_iter().map(&mut pack_entry).collect()
    })
}

fn machine(store: &MemoryStore) -> KvMachine<MemoryStore> {
    let mut machine = KvMachine::with_retention(store.clone(), RETENTION).expect("load");
    for group in GROUPS {
        machine.create(&genesis(group)).expect("create");
    }
    machine
}

/// Applies entries as one call: consecutive ones of a group share a batch.
fn apply(
    machine: &mut KvMachine<MemoryStore>,
    entries: &[(GroupId, CommandBatch)],
) -> Vec<Vec<Bytes>> {
    let mut next: BTreeMap<GroupId, LogIndex> = machine
        .groups()
        .into_iter()
        .map(|(id, applied)| (id, applied.position.index.next()))
        .collect();
    let mut batches = Vec::new();
    for run in entries.chunk_by(|a, b| a.0 == b.0) {
        let group = run[0].0;
        let first = next[&group];
        let batch = batch(group, first.0, run.iter().map(|(_, batch)| batch.clone()));
        next.insert(group, batch.after.position.index.next());
        batches.push(batch);
    }
    machine.apply(&batches).expect("apply")
}

proptest! {
    #[test]
    fn replicas_agree_however_entries_are_cut_into_batches(
        history in history(), cuts in prop::collection::vec(1usize..8, 40),
    ) {
        let (one_by_one, in_batches) = (MemoryStore::new(), MemoryStore::new());
        let mut first = machine(&one_by_one);
        let mut expected = Vec::new();
        for entry in &history {
            expected.extend(apply(&mut first, std::slice::from_ref(entry)));
        }
        let mut second = machine(&in_batches);
        let (mut rest, mut results) = (&history[..], Vec::new());
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            results.extend(apply(&mut second, now));
            rest = later;
        }
        prop_assert_eq!(results, expected);
        prop_assert_eq!(in_batches.rows(), one_by_one.rows());
        for group in GROUPS {
            prop_assert_eq!(first.checksum(group), second.checksum(group));
        }
    }

    #[test]
    fn a_replica_restarted_or_brought_up_by_a_snapshot_goes_on_the_same(
        history in history(), at in any::<prop::sample::Index>(), by_snapshot in any::<bool>(),
    ) {
        let (whole, before) = history.split_at(at.index(history.len()));
        let straight = MemoryStore::new();
        let mut first = machine(&straight);
        apply(&mut first, whole);
        let (store, mut second) = if by_snapshot {
            let store = MemoryStore::new();
            let mut second = machine(&store);
            apply(&mut second, &whole[..whole.len() / 2]);
            for (group, applied) in first.groups() {
                let rows = first.export(group).expect("export");
                second.import(group, rows, &applied).expect("import");
            }
            (store, second)
        } else {
            let store = straight.fork();
            let second = machine(&store);
            (store, second)
        };
        prop_assert_eq!(second.groups(), first.groups());
        let expected = apply(&mut first, before);
        prop_assert_eq!(apply(&mut second, before), expected);
        prop_assert_eq!(store.rows(), straight.rows());
    }
}

#[test]
fn the_checksum_tells_histories_apart() {
    let (a, b) = (MemoryStore::new(), MemoryStore::new());
    let (mut first, mut second) = (machine(&a), machine(&b));
    let group = GROUPS[0];
    apply(&mut first, &[(group, command_batch(1, &[put("k", "1")]))]);
    apply(&mut second, &[(group, command_batch(1, &[put("k", "2")]))]);
    let (one, two) = (first.checksum(group), second.checksum(group));
    assert_eq!(one.map(|(index, _)| index), two.map(|(index, _)| index));
    assert_ne!(one, two);
}

#[test]
fn the_checksum_sees_results_that_differ_after_equal_entries() {
    let (a, b) = (MemoryStore::new(), MemoryStore::new());
    let (mut first, mut second) = (machine(&a), machine(&b));
    let group = GROUPS[0];
    let entry = (group, command_batch(1, &[put("k", "1")]));
    apply(&mut first, std::slice::from_ref(&entry));
    apply(&mut second, std::slice::from_ref(&entry));
    assert_eq!(first.checksum(group), second.checksum(group));
    // A row lost on one replica only, as a fault of its disk might do.
    b.write(vec![Write { key: keys::record(group, SLOT, b"k"), value: None }]).expect("write");
    let entry = (group, command_batch(1, &[delete("k")]));
    apply(&mut first, std::slice::from_ref(&entry));
    apply(&mut second, std::slice::from_ref(&entry));
    assert_ne!(first.checksum(group), second.checksum(group));
}

#[test]
fn rows_that_do_not_stand_where_they_should_are_not_taken_in() {
    let store = MemoryStore::new();
    let mut machine = machine(&store);
    let (group, mut applied) = machine.groups().remove(0);
    let rows = machine.export(group).expect("export");
    applied.position.index.0 += 1;
    assert!(machine.import(group, rows.clone(), &applied).is_err());
    assert!(machine.import(group, Vec::new(), &applied).is_err());
    applied.position.index.0 -= 1;
    machine.import(group, rows, &applied).expect("import");
}
