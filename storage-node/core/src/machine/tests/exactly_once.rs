//! Request ids: a retry gets the first answer after any other write, and only for a limited time.

use ringkv_kv_types::{Condition, RequestId, Written};
use std::ops::ControlFlow;

use crate::command::Command;
use crate::command_result::{CommandResult, Rejection};
use crate::keys;
use crate::machine::{Keep, KvMachine, Retention};
use crate::store::Store as _;
use crate::store::memory::MemoryStore;
use crate::testing::machine::{GROUP, Harness, delete, put};

const KEEP: Keep = Keep { kept_ms: 100, kept_under_pressure_ms: 20, count_max: 8 };
const RETENTION: Retention = Retention { gateway: KEEP, user: Keep { kept_ms: 1_000, ..KEEP } };

fn short() -> Harness<MemoryStore> {
    Harness::on(MemoryStore::new(), RETENTION)
}

fn user(command: Command) -> Command {
    let request = RequestId { chosen_by_user: true, ..command.request };
    Command { request, ..command }
}

#[test]
fn a_retry_gets_the_first_result_and_does_nothing() {
    let mut harness = short();
    harness.write(&put("k", "0"));
    let command = Command { return_previous: true, ..put("k", "1") };
    let first = harness.write(&command);
    harness.write(&put("k", "2"));
    let again = harness.write(&command);
    assert_eq!(again, Written { repeated: true, ..first });
    assert_eq!(harness.value("k").as_deref(), Some(&b"2"[..]));
}

#[test]
fn a_retry_in_the_same_entry_gets_the_first_result() {
    let mut harness = short();
    let command = put("k", "1");
    let results = harness.apply(&[command.clone(), put("k", "2"), command]);
    let [CommandResult::Written(first), _, CommandResult::Written(again)] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!((first.repeated, again.repeated), (false, true));
    assert_eq!(first.revision, again.revision);
    assert_eq!(harness.value("k").as_deref(), Some(&b"2"[..]));
}

#[test]
fn rejections_that_looked_at_data_are_remembered_too() {
    let mut harness = short();
    let removal = delete("k");
    let condition = Condition { if_match: vec![1], ..Condition::default() };
    let conditional = Command { condition, ..put("k", "no") };
    assert_eq!(harness.reject(&removal), Rejection::KeyAbsent);
    let failed = harness.reject(&conditional);
    harness.write(&put("k", "1"));
    assert_eq!(harness.reject(&removal), Rejection::KeyAbsent);
    assert_eq!(harness.reject(&conditional), failed);
    assert_eq!(harness.value("k").as_deref(), Some(&b"1"[..]));
}

#[test]
fn an_id_used_for_another_write_of_the_key_is_refused() {
    let mut harness = short();
    let command = put("k", "1");
    harness.write(&command);
    let other = Command { request: command.request, ..put("k", "2") };
    assert_eq!(harness.reject(&other), Rejection::RequestIdReused);
    assert_eq!(harness.value("k").as_deref(), Some(&b"1"[..]));
    let elsewhere = Command { request: command.request, ..put("another key", "2") };
    assert!(!harness.write(&elsewhere).repeated);
}

#[test]
fn ids_are_remembered_for_their_time_by_the_group_clock_and_then_forgotten() {
    let mut harness = short();
    let (made, chosen) = (put("a", "1"), user(put("b", "1")));
    harness.write(&made);
    harness.write(&chosen);
    harness.clock_ms += 99;
    assert!(harness.write(&made).repeated);
    harness.clock_ms += 1;
    assert!(!harness.write(&made).repeated);
    assert!(harness.write(&chosen).repeated);
    harness.clock_ms += 900;
    assert!(!harness.write(&chosen).repeated);
}

#[test]
fn the_window_survives_a_restart() {
    let mut harness = short();
    let command = put("k", "1");
    let first = harness.write(&command);
    let reloaded = KvMachine::with_retention(harness.store.clone(), RETENTION).expect("reload");
    harness.machine = reloaded;
    assert_eq!(harness.write(&command), Written { repeated: true, ..first });
}

#[test]
fn a_full_window_refuses_rather_than_forgets_and_recovers_with_time() {
    let mut harness = short();
    let first = put("k", "first");
    harness.write(&first);
    for number in 1..KEEP.count_max {
        harness.write(&put("k", &number.to_string()));
    }
    let refused = put("k", "one too many");
    assert_eq!(harness.reject(&refused), Rejection::Busy);
    assert!(harness.write(&first).repeated, "what is remembered stays remembered");
    assert!(!harness.write(&user(put("k", "other window"))).repeated);
    harness.clock_ms += KEEP.kept_under_pressure_ms;
    assert!(!harness.write(&refused).repeated, "a refusal is not remembered");
}

#[test]
fn rows_of_forgotten_results_are_dropped() {
    let mut harness = short();
    for number in 0..50 {
        harness.clock_ms += 50;
        harness.write(&put("k", &number.to_string()));
    }
    let mut rows = 0;
    harness
        .store
        .scan(&keys::results_range(GROUP), &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })
        .expect("scan");
    assert_eq!(rows, 2);
}
