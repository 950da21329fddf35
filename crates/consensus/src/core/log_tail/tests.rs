//! What raft-rs reads of a log whose parts are on disk and in memory.

use bytes::Bytes;
use ringkv_topology::{NodeId, ReplicaId};

use super::*;
use crate::log_store::{Entry as LogEntry, EntryKind, GroupWrite, LogBatch, LogWriter};
use crate::machine::{AppliedState, Genesis};
use crate::members::Members;
use crate::memory_log::MemoryLog;

const GROUP: GroupId = GroupId(1);

fn entry(term: u64, index: u64, kind: EntryKind) -> LogEntry {
    let data = if kind == EntryKind::Empty { Bytes::new() } else { Bytes::from_static(b"data") };
    LogEntry { position: LogPosition::new(term, index), kind, data }
}

/// A tail as after a restart: entries 2 to 5 are on disk, none is in memory.
fn restarted() -> LogTail {
    let members = Members::of_voters([(ReplicaId(1), NodeId(1))]);
    let genesis = Genesis { group: GROUP, replica: ReplicaId(1), members, context: Bytes::new() };
    let write = GroupWrite {
        create: Some(genesis),
        reset: Some(Genesis::POSITION),
        append: (2..=5).map(|index| entry(1, index, EntryKind::Commands)).collect(),
        ..GroupWrite::default()
    };
    let mut log = MemoryLog::new();
    log.write(&LogBatch { number: 1, groups: vec![(GROUP, write)], sync: true }).expect("valid");
    let stored = log.load().expect("readable").remove(0);
    LogTail::new(&stored, LogIndex(5), ConfState::default(), Arc::new(log))
}

fn read(tail: &LogTail, low: u64, high: u64, bytes_max: Option<u64>) -> Vec<(u64, u64)> {
    let entries = tail.entries(low, high, bytes_max, GetEntriesContext::empty(false));
    entries.expect("there").iter().map(|entry| (entry.term, entry.index)).collect()
}

/// raft-rs looks through all that is not applied for a change of members before it stands.
#[test]
fn a_range_that_begins_on_disk_goes_on_in_memory() {
    let mut tail = restarted();
    let change = entry(1, 7, EntryKind::Members);
    tail.append(&[entry(1, 6, EntryKind::Commands), change].map(|e| wire::to_raft(&e)));
    assert_eq!(read(&tail, 3, 8, None), [(1, 3), (1, 4), (1, 5), (1, 6), (1, 7)]);
    assert_eq!(read(&tail, 3, 5, None), [(1, 3), (1, 4)]);
    assert_eq!(read(&tail, 6, 8, None), [(1, 6), (1, 7)]);
}

#[test]
fn an_entry_in_memory_hides_the_one_that_it_replaces_on_disk() {
    let mut tail = restarted();
    tail.append(&[5, 6].map(|index| wire::to_raft(&entry(2, index, EntryKind::Members))));
    assert_eq!(read(&tail, 3, 7, None), [(1, 3), (1, 4), (2, 5), (2, 6)]);
}

#[test]
fn a_read_of_disk_and_memory_stops_at_its_size() {
    let mut tail = restarted();
    tail.append(&[6, 7].map(|index| wire::to_raft(&entry(1, index, EntryKind::Commands))));
    let one = entry_bytes(&wire::to_raft(&entry(1, 6, EntryKind::Commands))) as u64;
    assert_eq!(read(&tail, 4, 8, Some(3 * one)), [(1, 4), (1, 5), (1, 6)]);
    assert_eq!(read(&tail, 4, 8, Some(0)), [(1, 4)], "at least one");
}

/// It would be refused there, and sent again and again.
#[test]
fn a_snapshot_from_before_a_replica_was_a_member_is_not_offered_to_it() {
    let mut tail = restarted();
    let members = Members::of_voters([(ReplicaId(1), NodeId(1)), (ReplicaId(2), NodeId(2))]);
    let applied = AppliedState { position: LogPosition::new(1, 5), members };
    let built = SnapshotBuilt { id: "1".into(), applied, manifest: Bytes::new() };
    tail.offer_snapshot(Some(built));
    assert!(tail.snapshot(0, 2).is_ok() && !tail.take_snapshot_wish());
    assert!(tail.snapshot(0, 3).is_err() && tail.take_snapshot_wish());
}
