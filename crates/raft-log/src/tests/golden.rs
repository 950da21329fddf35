//! The bytes of every record, written out: a log on disk outlives the release that wrote it.

use std::fmt::Write as _;

use bytes::Bytes;
use ringkv_consensus::{
    Entry, EntryKind, Genesis, HardState, InstallMarker, LogIndex, LogPosition, Members, Term,
};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::layout::{self, Kind, entry_key, format_key, key};

const GROUP: GroupId = GroupId(0x0102);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

#[test]
fn every_key_is_the_same_in_every_release() {
    let kinds =
        [Kind::Genesis, Kind::HardState, Kind::Start, Kind::Install, Kind::Entry, Kind::Tombstone];
    assert_eq!(hex(&format_key()), "000000000000000000");
    for (number, kind) in (1..).zip(kinds) {
        assert_eq!(hex(&key(GROUP, kind)), format!("00000000000001020{number}"));
    }
    assert_eq!(hex(&entry_key(GROUP, LogIndex(0x0304))), "0000000000000102050000000000000304");
}

#[test]
fn every_record_is_the_same_in_every_release() {
    let at = |kind| key(GROUP, kind);
    let genesis = Genesis {
        group: GROUP,
        replica: ReplicaId(5),
        members: Members::of_voters([(ReplicaId(5), NodeId(6))]),
        context: Bytes::from_static(b"slots"),
    };
    let hard_state = HardState { term: Term(7), vote: 5, commit: LogIndex(9) };
    let marker =
        InstallMarker { snapshot_id: "2-a-0".into(), manifest: Bytes::from_static(b"files") };
    let entry = Entry {
        position: LogPosition::new(7, 10),
        kind: EntryKind::Commands,
        data: Bytes::from_static(b"put"),
    };
    let mut entry_record = Vec::new();
    layout::encode_entry(&entry_key(GROUP, LogIndex(10)), &entry, &mut entry_record);
    let records = [
        (layout::encode_format(&format_key()), "0102000000fc98d246"),
        (
            layout::encode_genesis(&at(Kind::Genesis), &genesis),
            "0105000000000000000100050000000000000000000000000000010005000000\
             0000000006000000000000000000000000000000736c6f747399495399",
        ),
        (
            layout::encode_hard_state(&at(Kind::HardState), hard_state),
            "010700000000000000050000000000000009000000000000009e8d1379",
        ),
        (
            layout::encode_start(&at(Kind::Start), LogPosition::new(7, 9)),
            "01090000000000000007000000000000006392a104",
        ),
        (
            layout::encode_install(&at(Kind::Install), &marker),
            "0105000000322d612d3066696c6573656a3818",
        ),
        (entry_record, "010107000000000000007075748f75d0cb"),
        (
            layout::encode_tombstone(&at(Kind::Tombstone), ReplicaId(5)),
            "010500000000000000835057f6",
        ),
    ];
    for (record, written) in records {
        assert_eq!(hex(&record), written);
    }
}

#[test]
fn a_log_of_the_format_without_tombstones_is_refused() {
    let mut record = vec![1];
    record.extend(1u32.to_le_bytes());
    let sum = crc32fast::hash(&[&format_key()[..], &record[..]].concat());
    record.extend(sum.to_le_bytes());
    let refused = layout::decode_format(&format_key(), &record).expect_err("another format");
    assert!(refused.to_string().contains("written by another release"), "{refused}");
}
