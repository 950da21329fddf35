use proptest::prelude::*;
use ringkv_consensus::{CommandBatch, Committed, EntryTimes, LogIndex, LogPosition, Members};
use ringkv_topology::{ClusterId, Epoch, ReadMode, ReplicaId, Settings, SlotCount};

use super::*;
use crate::command::{CommandResult, Registration};
use crate::operation::tests::operation_kind;
use crate::operation::{Operation, OperationId, OperationState};
use crate::state::operations::Operations;
use crate::state::replicas::{Move, Removed};

const SECRET: NodeSecret = NodeSecret::new([9; 16]);

fn genesis() -> Genesis {
    Genesis {
        group: GROUP,
        replica: ReplicaId(1),
        members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
        context: Bytes::new(),
    }
}

fn init() -> Command {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 1,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    };
    Command::Init { cluster: ClusterId(9), settings }
}

fn register(address: &str) -> Command {
    let registration = Registration {
        claim: None,
        address: address.into(),
        zone: String::new(),
        capacity: 100,
        incarnation: 1,
        starts: 1,
        directory: Some(3),
    };
    Command::Register { registration, secret: SECRET, displaces: Vec::new() }
}

fn batch(first: u64, entries: &[Option<&[Command]>]) -> GroupBatch {
    let entry = |(index, commands): (u64, &Option<&[Command]>)| Committed {
        index: LogIndex(index),
        commands: commands.map(|commands| {
            let encoded: Vec<Bytes> = commands.iter().map(Command::encode).collect();
            CommandBatch::new(0, encoded.iter())
        }),
        tickets: Vec::new(),
        times: EntryTimes::default(),
    };
    let committed: Vec<Committed> = (first..).zip(entries).map(entry).collect();
    let last = first + entries.len() as u64 - 1;
    let after = AppliedState { position: LogPosition::new(2, last), members: genesis().members };
    GroupBatch { group: GROUP, entries: committed, after }
}

fn filled() -> Image {
    let mut image = Image::default();
    image.create(&genesis()).expect("a genesis of ours");
    image.apply(&[batch(2, &[None, Some(&[init(), register("n1:1")])])]).expect("valid entries");
    image
}

#[test]
fn results_come_by_entry_and_command_and_the_position_moves_on() {
    let mut image = Image::default();
    image.create(&genesis()).expect("a genesis of ours");
    let (one, two) = ([init(), register("n1:1")], [register("n2:1")]);
    let results = image.apply(&[batch(2, &[None, Some(&one)]), batch(4, &[Some(&two)])]);
    let results: Vec<Vec<CommandResult>> = results
        .expect("valid entries")
        .into_iter()
        .map(|entry| entry.iter().map(|bytes| CommandResult::decode(bytes).unwrap()).collect())
        .collect();
    let registered = |node| CommandResult::Registered {
        cluster: ClusterId(9),
        node: NodeId(node),
        slot_count: 4096,
        secret: Some(SECRET),
        holder: None,
    };
    assert_eq!(
        results,
        [vec![], vec![CommandResult::Initialized, registered(1)], vec![registered(2)]]
    );
    assert_eq!(image.applied().map(|applied| applied.position.index.0), Some(4));
}

#[test]
fn an_entry_is_never_applied_twice() {
    let mut image = filled();
    assert!(image.apply(&[batch(3, &[Some(&[register("n2:1")])])]).is_err());
}

#[test]
fn entries_of_another_group_or_before_genesis_are_refused() {
    let entries = batch(9, &[None]);
    assert!(Image::default().apply(std::slice::from_ref(&entries)).is_err());
    assert!(filled().apply(&[GroupBatch { group: GroupId(2), ..entries }]).is_err());
}

#[test]
fn an_image_comes_back_as_it_was_written() {
    for image in [Image::default(), filled()] {
        assert_eq!(Image::decode(&image.encode()).expect("just encoded"), image);
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    use OperationState::{Aborted, Done, Running};
    let state = prop::sample::select(vec![Running, Done, Aborted]);
    (any::<[u64; 5]>(), operation_kind(), ".{0,20}", state, any::<[u32; 2]>()).prop_map(
        |([id, began_ms, ended_ms, total_bytes, done_bytes], kind, cause, state, steps)| {
            let [total_steps, done_steps] = steps;
            Operation {
                id: OperationId(id),
                kind,
                cause,
                state,
                began_ms,
                ended_ms,
                total_steps,
                done_steps,
                total_bytes,
                done_bytes,
            }
        },
    )
}

proptest! {
    #[test]
    fn moves_removed_replicas_and_operations_come_back(
        removed in prop::collection::btree_map(any::<u64>(), any::<[u64; 3]>(), 0..4),
        moves in prop::collection::btree_map(any::<u64>(), any::<[u64; 4]>(), 0..4),
        running in prop::collection::vec(operation(), 0..4),
        ended in prop::collection::vec(operation(), 0..4),
        last in any::<u64>(),
    ) {
        let mut image = filled();
        let cluster = image.state.cluster.as_mut().expect("initialized");
        cluster.removed = removed
            .into_iter()
            .map(|(id, [group, node, dropped])| {
                let (group, node, dropped) = (GroupId(group), NodeId(node), Epoch(dropped));
                (ReplicaId(id), Removed { group, node, dropped })
            })
            .collect();
        cluster.moves = moves
            .into_iter()
            .map(|(group, [joining, leaving, operation, bytes])| {
                let (joining, leaving) = (ReplicaId(joining), ReplicaId::from_wire(leaving));
                let operation = OperationId(operation);
                (GroupId(group), Move { joining, leaving, operation, bytes })
            })
            .collect();
        cluster.operations = Operations {
            last,
            running: running.into_iter().map(|one| (one.id, one)).collect(),
            ended: ended.into(),
        };
        prop_assert_eq!(Image::decode(&image.encode()).expect("just encoded"), image);
    }
}

#[test]
fn any_changed_or_missing_byte_is_found() {
    let bytes = filled().encode();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        assert!(Image::decode(&changed).is_err(), "byte {at} changed");
        assert!(Image::decode(&bytes[..at]).is_err(), "cut to {at} bytes");
    }
}

#[test]
fn an_unknown_version_is_refused_by_its_number() {
    let mut bytes = filled().encode();
    bytes.truncate(bytes.len() - 4);
    bytes[0] = 7;
    let sum = crc32fast::hash(&bytes);
    bytes.put_u32_le(sum);
    let error = Image::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("version 7"), "{error}");
}
