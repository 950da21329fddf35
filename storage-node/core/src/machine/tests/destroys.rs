//! Groups that go out of service: their rows, and the reads that are under way.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use ringkv_consensus::Apply as _;
use ringkv_topology::GroupId;

use crate::keys::{self, KeyRange};
use crate::machine::{KvMachine, ReadError};
use crate::store::memory::MemoryStore;
use crate::store::{Store, StoreError, Visit, Write};
use crate::testing::machine::{GROUP, Harness, SLOT, batch, command_batch, genesis, put};

const OTHER: GroupId = GroupId(7);

#[test]
fn a_destroyed_group_leaves_no_row_and_the_others_theirs() {
    let mut harness = Harness::in_memory();
    harness.machine.create(&genesis(OTHER)).expect("created");
    harness.write(&put("k", "v"));
    let other = batch(OTHER, 2, [command_batch(5, &[put("k", "kept")])]);
    harness.machine.apply(&[other]).expect("applied");
    let kept = harness.machine.export(OTHER).expect("export");
    for _ in 0..2 {
        harness.machine.destroy(GROUP).expect("destroyed, or absent");
        assert_eq!(harness.store.rows(), kept);
        let groups: Vec<_> = harness.machine.groups().into_iter().map(|(id, _)| id).collect();
        assert_eq!(groups, [OTHER]);
    }
    let read = harness.machine.reader().get(GROUP, SLOT, b"k", false);
    assert!(matches!(read, Err(ReadError::NoGroup)), "{read:?}");
    harness.machine.create(&genesis(GROUP)).expect("the next replica");
    assert_eq!(harness.value("k"), None, "it starts empty");
}

#[test]
fn a_destroy_removes_what_is_left_of_a_group_that_does_not_load() {
    let mut harness = Harness::in_memory();
    harness.write(&put("k", "v"));
    let dropped = Write { key: keys::group_state(GROUP), value: None };
    harness.store.write(vec![dropped]).expect("written");
    let mut machine = KvMachine::new(harness.store.clone()).expect("half a group is no damage");
    assert_eq!(machine.groups(), []);
    machine.destroy(GROUP).expect("destroyed");
    assert_eq!(harness.store.rows(), []);
}

type Act = Box<dyn FnOnce() + Send>;

/// A memory store that does something else after a read has begun and before it looks.
#[derive(Clone, Default)]
struct Interrupted {
    rows: MemoryStore,
    before_get: Arc<Mutex<Option<Act>>>,
}

impl Store for Interrupted {
    type Value<'a> = Bytes;

    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let act = self.before_get.lock().take();
        if let Some(act) = act {
            act();
        }
        self.rows.get(key)
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.rows.write(writes)
    }

    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.rows.scan(range, visit)
    }

    fn clear(&self, range: &KeyRange) -> Result<(), StoreError> {
        self.rows.clear(range)
    }
}

#[test]
fn a_key_is_never_absent_because_its_group_was_replaced_during_the_read() {
    let store = Interrupted::default();
    let mut machine = KvMachine::new(store.clone()).expect("an empty store");
    machine.create(&genesis(GROUP)).expect("created");
    let write = batch(GROUP, 2, [command_batch(5, &[put("k", "v")])]);
    machine.apply(&[write]).expect("applied");
    let (rows, applied) = (machine.export(GROUP).expect("export"), machine.groups().remove(0).1);
    let reader = machine.reader();
    let machine = Arc::new(Mutex::new(machine));
    let get = |act: Act| {
        *store.before_get.lock() = Some(act);
        reader.get(GROUP, SLOT, b"k", false)
    };
    let read = get(Box::new(|| ())).expect("read").map(|record| record.value);
    assert_eq!(read.as_deref(), Some(&b"v"[..]));
    let destroyed = Arc::clone(&machine);
    let read = get(Box::new(move || destroyed.lock().destroy(GROUP).expect("destroyed")));
    assert!(matches!(read, Err(ReadError::NoGroup)), "{read:?}");
    machine.lock().import(GROUP, rows, &applied).expect("imported");
    let absent = reader.get(GROUP, SLOT, b"other", false).expect("in service again");
    assert_eq!(absent, None);
}
