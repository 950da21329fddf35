use ringkv_consensus::{CommandBatch, Committed, EntryTimes, LogPosition, Members, Term};
use ringkv_placement_core::command::Command;
use ringkv_topology::{ClusterId, NodeId, ReadMode, ReplicaId, Settings, SlotCount};

use super::*;

fn genesis() -> Genesis {
    Genesis {
        group: GROUP,
        replica: ReplicaId(1),
        members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
        context: Bytes::new(),
    }
}

fn init_at(index: u64) -> GroupBatch {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 1,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    };
    let command = Command::Init { cluster: ClusterId(index), settings }.encode();
    let commands = Some(CommandBatch::new(0, [command].iter()));
    let index = LogIndex(index);
    let entry = Committed { index, commands, tickets: Vec::new(), times: EntryTimes::default() };
    let after =
        AppliedState { position: LogPosition { term: Term(2), index }, members: genesis().members };
    GroupBatch { group: GROUP, entries: vec![entry], after }
}

fn applied_in(dir: &Path) -> Machine {
    let mut machine = Machine::open(dir).unwrap();
    machine.create(&genesis()).unwrap();
    machine.apply(&[init_at(2)]).unwrap();
    machine
}

fn index(machine: &Machine) -> Option<u64> {
    machine.groups().first().map(|(_, applied)| applied.position.index.0)
}

fn cluster(machine: &Machine) -> Option<u64> {
    machine.state().borrow().topology().map(|topology| topology.cluster.0)
}

#[test]
fn what_was_flushed_is_there_after_a_restart_and_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = applied_in(dir.path());
    assert_eq!(index(&Machine::open(dir.path()).unwrap()), None, "nothing was flushed");
    assert_eq!(machine.flusher().flush().unwrap(), [(GROUP, LogIndex(2))]);
    machine.apply(&[init_at(3)]).unwrap();
    let reopened = Machine::open(dir.path()).unwrap();
    assert_eq!((index(&reopened), cluster(&reopened)), (Some(2), Some(2)));
}

#[test]
fn every_apply_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let mut machine = Machine::open(dir.path()).unwrap();
    machine.create(&genesis()).unwrap();
    let mut state = machine.state();
    state.mark_unchanged();
    machine.apply(&[init_at(2)]).unwrap();
    assert!(state.has_changed().unwrap());
    assert_eq!(cluster(&machine), Some(2));
}

#[test]
fn a_snapshot_installed_elsewhere_is_the_same_state_and_durable_at_once() {
    let (from, to, files) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let applied = applied_in(from.path()).snapshot_builder().build(GROUP, files.path()).unwrap();
    let mut machine = Machine::open(to.path()).unwrap();
    for _again_after_a_crash in 0..2 {
        machine.install(GROUP, files.path(), &applied).unwrap();
    }
    assert_eq!(cluster(&machine), Some(2));
    let reopened = Machine::open(to.path()).unwrap();
    assert_eq!((index(&reopened), cluster(&reopened)), (Some(2), Some(2)));
}

#[test]
fn a_snapshot_of_another_moment_is_refused() {
    let (from, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut machine = applied_in(from.path());
    let applied = machine.snapshot_builder().build(GROUP, files.path()).unwrap();
    let other = AppliedState { position: LogPosition::new(2, 3), ..applied };
    assert!(machine.install(GROUP, files.path(), &other).is_err());
}

#[test]
fn a_damaged_file_refuses_to_open() {
    let dir = tempfile::tempdir().unwrap();
    applied_in(dir.path()).flusher().flush().unwrap();
    let path = dir.path().join(FILE);
    let mut bytes = fs::read(&path).unwrap();
    bytes[9] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(Machine::open(dir.path()).is_err());
}
