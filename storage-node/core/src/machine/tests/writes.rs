//! What a write does to records: revisions, times, conditions, ownership, expiry.

use bytes::Bytes;
use ringkv_consensus::{Apply as _, CommandBatch, Committed, EntryTimes, Genesis, LogIndex};
use ringkv_kv_types::{Condition, Metadata, Record};
use ringkv_topology::{GroupId, Slot};

use crate::command::{Command, Operation};
use crate::command_result::{CommandResult, Rejection};
use crate::keys;
use crate::machine::{KvMachine, ReadError};
use crate::store::{Store as _, StoreError, Write};
use crate::testing::machine::{
    GROUP, Harness, SLOT, attributes, batch, command_batch, delete, genesis, put,
};

#[test]
fn a_put_is_read_back_whole() {
    let mut harness = Harness::in_memory();
    let written = harness.write(&put("k", "v"));
    assert!(!written.existed && written.previous.is_none() && !written.repeated);
    let expected = Record {
        revision: written.revision,
        created_ms: 1_000,
        updated_ms: 1_000,
        expires_ms: None,
        content_type: "text/plain".into(),
        metadata: vec![Metadata { name: "name".into(), value: "value".into() }],
        value: Bytes::from_static(b"v"),
        value_bytes: 1,
    };
    assert_eq!(harness.get("k"), Some(expected.clone()));
    let without_value = harness.machine.reader().get(GROUP, SLOT, b"k", true).expect("read");
    assert_eq!(without_value, Some(Record { value: Bytes::new(), ..expected }));
}

#[test]
fn an_update_keeps_the_creation_time_and_a_new_start_after_a_delete_does_not() {
    let mut harness = Harness::in_memory();
    harness.write(&put("k", "1"));
    harness.clock_ms = 2_000;
    assert!(harness.write(&put("k", "2")).existed);
    let record = harness.get("k").expect("present");
    assert_eq!((record.created_ms, record.updated_ms), (1_000, 2_000));
    harness.write(&delete("k"));
    harness.clock_ms = 3_000;
    assert!(!harness.write(&put("k", "3")).existed);
    assert_eq!(harness.get("k").expect("present").created_ms, 3_000);
}

#[test]
fn revisions_rise_with_every_write_of_a_slot_deletes_included() {
    let mut harness = Harness::in_memory();
    let writes = [put("a", "1"), put("b", "1"), delete("a"), put("a", "2"), delete("b")];
    let revisions: Vec<u64> =
        writes.iter().map(|command| harness.write(command).revision).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
    assert_eq!(harness.get("a").expect("present").revision, revisions[3]);
}

#[test]
fn the_group_clock_never_falls_when_a_leader_s_clock_does() {
    let mut harness = Harness::in_memory();
    harness.clock_ms = 9_000;
    harness.write(&put("a", "1"));
    harness.clock_ms = 5_000;
    harness.write(&put("b", "1"));
    assert_eq!(harness.get("b").expect("present").created_ms, 9_000);
}

#[test]
fn commands_of_one_entry_and_of_one_batch_see_each_other() {
    let mut harness = Harness::in_memory();
    let create = Condition { if_none_match_any: true, ..Condition::default() };
    let create = |value| Command { condition: create.clone(), ..put("k", value) };
    let results = harness.apply(&[create("1"), create("2"), delete("k"), create("3")]);
    assert!(matches!(results[0], CommandResult::Written(_)));
    assert!(matches!(results[1], CommandResult::Rejected(Rejection::PreconditionFailed { .. })));
    assert!(matches!(results[2], CommandResult::Written(_)));
    assert!(matches!(results[3], CommandResult::Written(_)));
    assert_eq!(harness.value("k").as_deref(), Some(&b"3"[..]));
    let entries = [command_batch(1, &[delete("k")]), command_batch(2, &[create("4")])];
    let results = harness.machine.apply(&[batch(GROUP, 3, entries)]).expect("apply");
    assert_eq!(results.iter().map(Vec::len).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(harness.value("k").as_deref(), Some(&b"4"[..]));
}

#[test]
fn a_failed_condition_changes_nothing_and_tells_the_current_revision() {
    let mut harness = Harness::in_memory();
    let absent = Condition { if_match_any: true, ..Condition::default() };
    let rejection = harness.reject(&Command { condition: absent, ..put("k", "no") });
    assert_eq!(rejection, Rejection::PreconditionFailed { current_revision: 0 });
    assert_eq!(harness.get("k"), None);
    let revision = harness.write(&put("k", "1")).revision;
    let other = Condition { if_match: vec![revision + 100], ..Condition::default() };
    let rejection = harness.reject(&Command { condition: other, ..put("k", "no") });
    assert_eq!(rejection, Rejection::PreconditionFailed { current_revision: revision });
    assert_eq!(harness.value("k").as_deref(), Some(&b"1"[..]));
    let same = Condition { if_match: vec![revision], ..Condition::default() };
    harness.write(&Command { condition: same, ..put("k", "2") });
    assert_eq!(harness.value("k").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_delete_of_an_absent_key_says_so_unless_a_condition_failed_first() {
    let mut harness = Harness::in_memory();
    assert_eq!(harness.reject(&delete("k")), Rejection::KeyAbsent);
    let condition = Condition { if_match: vec![1], ..Condition::default() };
    let rejection = harness.reject(&Command { condition, ..delete("k") });
    assert_eq!(rejection, Rejection::PreconditionFailed { current_revision: 0 });
}

#[test]
fn the_previous_record_comes_back_when_asked_for() {
    let mut harness = Harness::in_memory();
    let asking = |command: Command| Command { return_previous: true, ..command };
    assert_eq!(harness.write(&asking(put("k", "1"))).previous, None);
    let first = harness.get("k");
    assert_eq!(harness.write(&put("k", "2")).previous, None);
    let second = harness.get("k");
    assert_ne!(first, second);
    assert_eq!(harness.write(&asking(put("k", "3"))).previous, second);
    let third = harness.get("k");
    assert_eq!(harness.write(&asking(delete("k"))).previous, third);
}

#[test]
fn a_slot_the_group_does_not_own_is_neither_written_nor_read() {
    let mut harness = Harness::in_memory();
    let elsewhere = Command { slot: Slot(5), ..put("k", "v") };
    assert_eq!(harness.reject(&elsewhere), Rejection::Moved);
    let reader = harness.machine.reader();
    assert!(matches!(reader.get(GROUP, Slot(5), b"k", false), Err(ReadError::Moved)));
    assert!(matches!(reader.get(GroupId(9), SLOT, b"k", false), Err(ReadError::NoGroup)));
}

#[test]
fn an_expired_record_is_absent_for_reads_conditions_and_deletes() {
    let mut harness = Harness::in_memory();
    let operation = Operation::Put { ttl_ms: 500, attributes: attributes(), value: Bytes::new() };
    harness.write(&Command { operation, ..put("k", "") });
    harness.clock_ms = 1_499;
    harness.write(&put("other", "moves the clock"));
    assert_eq!(harness.get("k").expect("still there").expires_ms, Some(1_500));
    harness.clock_ms = 1_500;
    harness.write(&put("other", "moves the clock"));
    assert_eq!(harness.get("k"), None);
    assert_eq!(harness.reject(&delete("k")), Rejection::KeyAbsent);
    let create = Condition { if_none_match_any: true, ..Condition::default() };
    let command = Command { condition: create, return_previous: true, ..put("k", "new") };
    let written = harness.write(&command);
    assert!(!written.existed && written.previous.is_none());
    assert_eq!(harness.get("k").expect("present").created_ms, 1_500);
}

#[test]
fn a_damaged_record_is_an_error_for_reader_and_writer_and_never_an_answer() {
    let mut harness = Harness::in_memory();
    harness.write(&put("k", "value"));
    let key = keys::record(GROUP, SLOT, b"k");
    let mut row = harness.store.get(&key).expect("get").expect("a row").to_vec();
    row[20] ^= 4;
    harness.store.write(vec![Write { key, value: Some(Bytes::from(row)) }]).expect("write");
    let read = harness.machine.reader().get(GROUP, SLOT, b"k", false);
    assert!(matches!(read, Err(ReadError::Store(StoreError::Damaged { .. }))));
    let entry = batch(GROUP, 3, [command_batch(1, &[put("k", "over it")])]);
    assert!(harness.machine.apply(&[entry]).is_err());
}

#[test]
fn a_command_or_a_group_that_is_not_known_stops_the_machine() {
    let mut harness = Harness::in_memory();
    let garbage = CommandBatch::new(1, [Bytes::from_static(b"\xFFgarbage")].iter());
    assert!(harness.machine.apply(&[batch(GROUP, 2, [garbage])]).is_err());
    let unknown = batch(GroupId(9), 2, [command_batch(1, &[put("k", "v")])]);
    assert!(harness.machine.apply(&[unknown]).is_err());
}

#[test]
fn an_entry_without_commands_still_moves_the_applied_state() {
    let mut harness = Harness::in_memory();
    let mut empty = batch(GROUP, 2, []);
    empty.entries.push(Committed {
        index: LogIndex(2),
        commands: None,
        tickets: Vec::new(),
        times: EntryTimes::default(),
    });
    let results = harness.machine.apply(&[empty.clone()]).expect("apply");
    assert_eq!(results, [Vec::<Bytes>::new()]);
    assert_eq!(harness.machine.groups(), [(GROUP, empty.after.clone())]);
    let again = KvMachine::new(harness.store.clone()).expect("reload");
    assert_eq!(again.groups(), [(GROUP, empty.after)]);
}

#[test]
fn creating_a_group_again_changes_nothing() {
    let mut harness = Harness::in_memory();
    harness.write(&put("k", "v"));
    harness.machine.create(&genesis(GROUP)).expect("create again");
    assert_eq!(harness.value("k").as_deref(), Some(&b"v"[..]));
    let bad = Genesis { context: Bytes::from_static(b"?"), ..genesis(GroupId(2)) };
    assert!(harness.machine.create(&bad).is_err());
}
