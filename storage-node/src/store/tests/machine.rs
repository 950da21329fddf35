//! The machine on RocksDB as the engine drives it: flush, snapshot, install, restart.

use std::path::Path;

use ringkv_consensus::{Apply as _, LogIndex, StateMachine as _};
use ringkv_kv_types::Written;
use ringkv_storage_core::keys;
use ringkv_storage_core::machine::{KvMachine, Retention};
use ringkv_storage_core::store::{SnapshotStore as _, Store as _};
use ringkv_storage_core::testing::machine::{
    GROUP, Harness, SLOT, batch, command_batch, genesis, put,
};
use ringkv_topology::GroupId;

use crate::store::RocksStore;
use crate::store::tests::{SMALL, crash};

fn open(dir: &Path) -> RocksStore {
    RocksStore::open(dir, &SMALL).expect("open")
}

fn harness(dir: &Path) -> Harness<RocksStore> {
    Harness::on(open(dir), Retention::default())
}

#[test]
fn a_flush_names_what_is_durable_and_a_restart_finds_it() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut harness = harness(dir.path());
    harness.write(&put("k", "v"));
    let flusher = harness.machine.flusher();
    assert_eq!(flusher.flush().expect("flush"), [(GROUP, LogIndex(2))]);
    let (applied, checksum) = (harness.machine.groups(), harness.machine.checksum(GROUP));
    harness.write(&put("k", "lost in the crash: the log replays it"));
    let crashed = crash(dir.path());
    let machine = KvMachine::new(open(crashed.path())).expect("reload");
    assert_eq!((machine.groups(), machine.checksum(GROUP)), (applied, checksum));
    let record = machine.reader().get(GROUP, SLOT, b"k", false).expect("read");
    assert_eq!(record.expect("present").value, &b"v"[..]);
    assert_eq!(flusher.flush().expect("flush"), [(GROUP, LogIndex(3))]);
    let machine = KvMachine::new(open(crash(dir.path()).path())).expect("reload");
    assert_eq!(machine.groups(), harness.machine.groups());
}

#[test]
fn a_snapshot_brings_another_replica_to_the_same_rows_and_replaces_all_it_had() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let mut source = harness(&dir.path().join("source"));
    for number in 0..300 {
        source.write(&put(&format!("k{number}"), &number.to_string()));
    }
    let command = put("retried", "1");
    let first = source.write(&command);
    let builder = source.machine.snapshot_builder();
    let applied = builder.build(GROUP, files.path()).expect("build");
    let rows = source.machine.export(GROUP).expect("export");
    source.write(&put("k0", "after the snapshot"));

    let mut target = harness(&dir.path().join("target"));
    target.write(&put("stale", "gone after the install"));
    for _ in 0..2 {
        target.machine.install(GROUP, files.path(), &applied).expect("install");
        assert_eq!(target.machine.export(GROUP).expect("export"), rows);
        assert_eq!(target.machine.groups(), [(GROUP, applied.clone())]);
    }
    assert_eq!(target.value("stale"), None);
    assert_eq!(target.value("k0").as_deref(), Some(&b"0"[..]));
    target.index = applied.position.index;
    assert_eq!(target.write(&command), Written { repeated: true, ..first });
}

#[test]
fn an_installed_snapshot_is_durable_without_another_flush() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let mut source = harness(&dir.path().join("source"));
    source.write(&put("k", "v"));
    let applied = source.machine.snapshot_builder().build(GROUP, files.path()).expect("build");
    let path = dir.path().join("target");
    let mut machine = KvMachine::new(open(&path)).expect("an empty store");
    machine.install(GROUP, files.path(), &applied).expect("install");
    let crashed = crash(&path);
    let machine = KvMachine::new(open(crashed.path())).expect("reload");
    assert_eq!(machine.groups(), [(GROUP, applied)]);
    let record = machine.reader().get(GROUP, SLOT, b"k", false).expect("read");
    assert_eq!(record.expect("present").value, &b"v"[..]);
}

#[test]
fn an_install_cut_off_by_a_crash_leaves_no_half_group_and_is_run_again() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let mut source = harness(&dir.path().join("source"));
    source.write(&put("k", "v"));
    let applied = source.machine.snapshot_builder().build(GROUP, files.path()).expect("build");
    let path = dir.path().join("target");
    let mut target = harness(&path);
    target.write(&put("k", "old"));
    // The range is dropped durably, then the crash comes.
    target.store.clear(&keys::group_range(GROUP)).expect("clear");
    target.store.flush().expect("flush");
    let crashed = crash(&path);
    let mut machine = KvMachine::new(open(crashed.path())).expect("reload");
    assert_eq!(machine.groups(), []);
    machine.install(GROUP, files.path(), &applied).expect("install");
    assert_eq!(machine.groups(), [(GROUP, applied)]);
}

#[test]
fn a_snapshot_of_an_absent_group_or_without_its_files_is_an_error() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let mut harness = harness(dir.path());
    let builder = harness.machine.snapshot_builder();
    assert!(builder.build(GroupId(9), files.path()).is_err());
    let applied = harness.machine.groups().remove(0).1;
    assert!(harness.machine.install(GROUP, files.path(), &applied).is_err());
}

#[test]
fn many_groups_share_a_store_and_a_write() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let mut harness = harness(dir.path());
    harness.machine.create(&genesis(GroupId(7))).expect("create");
    let batches =
        [GROUP, GroupId(7)].map(|group| batch(group, 2, [command_batch(5, &[put("k", "v")])]));
    let results = harness.machine.apply(&batches).expect("apply");
    assert_eq!(results.len(), 2);
    harness.machine.flusher().flush().expect("flush");
    let crashed = crash(dir.path());
    let machine = KvMachine::new(open(crashed.path())).expect("reload");
    let groups: Vec<GroupId> = machine.groups().into_iter().map(|(group, _)| group).collect();
    assert_eq!(groups, [GROUP, GroupId(7)]);
}

#[test]
fn a_group_is_replaced_and_removed_while_another_one_is_applied_to() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let files = tempfile::tempdir().expect("a temporary directory");
    let mut source = harness(&dir.path().join("source"));
    source.write(&put("k", "new"));
    let applied = source.machine.snapshot_builder().build(GROUP, files.path()).expect("build");
    let path = dir.path().join("target");
    let mut target = harness(&path);
    target.write(&put("k", "old"));
    target.machine.create(&genesis(GroupId(7))).expect("create");
    let installer = target.machine.installer();
    let apply = |machine: &mut KvMachine<_>, index| {
        let entry = batch(GroupId(7), index, [command_batch(5, &[put("k", "v")])]);
        machine.apply(&[entry]).expect("apply");
    };

    target.machine.release(GROUP);
    apply(&mut target.machine, 2);
    installer.install(GROUP, files.path()).expect("install");
    apply(&mut target.machine, 3);
    let read = target.machine.reader().get(GROUP, SLOT, b"k", false);
    assert!(read.is_err(), "it is not in service yet: {read:?}");
    target.machine.adopt(GROUP, &applied).expect("adopt");
    assert_eq!(target.value("k").as_deref(), Some(&b"new"[..]));
    let error = target.machine.adopt(GROUP, &applied).expect_err("nothing is installed");
    assert!(error.to_string().contains("wrong applied index"), "{error}");

    target.machine.release(GROUP);
    installer.remove(GROUP).expect("remove");
    apply(&mut target.machine, 4);
    let machine = KvMachine::new(open(crash(&path).path())).expect("reload");
    let groups: Vec<GroupId> = machine.groups().into_iter().map(|(group, _)| group).collect();
    assert_eq!(groups, [GroupId(7)], "the removal is durable");
    assert_eq!(machine.export(GROUP).expect("export"), []);
}
