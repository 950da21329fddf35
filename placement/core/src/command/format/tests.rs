use proptest::prelude::*;
use ringkv_topology::{
    ClusterId, Epoch, GroupId, NodeId, PlannedGroup, ReadMode, Settings, SlotCount,
};

use super::*;
use crate::command::{Command, CommandResult, Refusal, Registration};

fn settings() -> impl Strategy<Value = Settings> {
    (0u32..16, prop::sample::select(vec![1u8, 3, 5]), any::<u32>(), any::<bool>()).prop_map(
        |(power, factor, max, lease)| Settings {
            slot_count: SlotCount::new(1 << power).expect("a power of two up to 32,768"),
            replication_factor: factor,
            value_bytes_max: max,
            read_mode: if lease { ReadMode::Lease } else { ReadMode::ReadIndex },
        },
    )
}

fn registration() -> impl Strategy<Value = Registration> {
    let identity = prop::option::of((1..=u64::MAX, 1..=u64::MAX));
    (identity, ".{0,20}", ".{0,5}", any::<u32>(), any::<u64>()).prop_map(
        |(identity, address, zone, capacity, incarnation)| Registration {
            identity: identity.map(|(cluster, node)| (ClusterId(cluster), NodeId(node))),
            address,
            zone,
            capacity,
            incarnation,
        },
    )
}

fn group() -> impl Strategy<Value = PlannedGroup> {
    (any::<u64>(), prop::collection::vec(any::<u64>(), 0..6)).prop_map(|(id, nodes)| PlannedGroup {
        id: GroupId(id),
        nodes: nodes.into_iter().map(NodeId).collect(),
    })
}

fn command() -> impl Strategy<Value = Command> {
    let init = (1..=u64::MAX, settings())
        .prop_map(|(cluster, settings)| Command::Init { cluster: ClusterId(cluster), settings });
    let bootstrap = (
        any::<u64>(),
        prop::collection::vec(group(), 0..5),
        prop::collection::vec(any::<u64>(), 0..9),
    )
        .prop_map(|(epoch, groups, owners)| Command::Bootstrap {
            planned_at: Epoch(epoch),
            groups,
            owners: owners.into_iter().map(GroupId).collect(),
        });
    prop_oneof![init, registration().prop_map(Command::Register), bootstrap]
}

fn result() -> impl Strategy<Value = CommandResult> {
    let refusal = |refusal: fn(u64) -> Refusal| {
        any::<u64>().prop_map(move |number| CommandResult::Refused(refusal(number)))
    };
    prop_oneof![
        Just(CommandResult::Initialized),
        (any::<u64>(), any::<u64>(), any::<u32>()).prop_map(|(cluster, node, slot_count)| {
            CommandResult::Registered {
                cluster: ClusterId(cluster),
                node: NodeId(node),
                slot_count,
            }
        }),
        any::<u64>().prop_map(|epoch| CommandResult::Bootstrapped { epoch: Epoch(epoch) }),
        refusal(|_| Refusal::NotInitialized),
        refusal(|id| Refusal::WrongCluster { ours: ClusterId(id), theirs: ClusterId(!id) }),
        refusal(|id| Refusal::UnknownNode { node: NodeId(id) }),
        refusal(|id| Refusal::NodeReplaced { node: NodeId(id) }),
        refusal(|max| Refusal::TooManyNodes { max: max as u32 }),
        refusal(|_| Refusal::Stale),
        ".{0,20}".prop_map(|problem| CommandResult::Refused(Refusal::Impossible(problem))),
    ]
}

proptest! {
    #[test]
    fn a_command_comes_back_as_it_was_encoded(command in command()) {
        prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
    }

    #[test]
    fn a_result_comes_back_as_it_was_encoded(result in result()) {
        prop_assert_eq!(CommandResult::decode(&result.encode()), Ok(result));
    }

    #[test]
    fn bytes_cut_short_or_left_over_are_refused(command in command(), result in result()) {
        let (command, result) = (command.encode(), result.encode());
        for end in 0..command.len() {
            prop_assert_eq!(Command::decode(&command[..end]), Err(DecodeError::EndedEarly));
        }
        for end in 0..result.len() {
            prop_assert_eq!(CommandResult::decode(&result[..end]), Err(DecodeError::EndedEarly));
        }
        let longer = |bytes: &[u8]| [bytes, &[0]].concat();
        prop_assert_eq!(Command::decode(&longer(&command)), Err(DecodeError::TrailingBytes));
        prop_assert_eq!(CommandResult::decode(&longer(&result)), Err(DecodeError::TrailingBytes));
    }

    #[test]
    fn any_bytes_decode_or_fail_without_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..120),
        kind in 0u8..12,
        plausible in any::<bool>(),
    ) {
        if plausible {
            bytes.splice(0..0, [VERSION, kind]);
        }
        let _ = Command::decode(&bytes);
        let _ = CommandResult::decode(&bytes);
    }
}

#[test]
fn an_unknown_version_or_kind_is_refused() {
    let version = DecodeError::Version { found: 1, known: VERSION };
    assert_eq!(Command::decode(&[1, 1]), Err(version));
    assert_eq!(CommandResult::decode(&[1, 1]), Err(version));
    let kind = |what| DecodeError::Implausible(what);
    assert_eq!(Command::decode(&[VERSION, 0]), Err(kind("command kind")));
    assert_eq!(Command::decode(&[VERSION, 4]), Err(kind("command kind")));
    assert_eq!(CommandResult::decode(&[VERSION, 0]), Err(kind("result kind")));
    assert_eq!(CommandResult::decode(&[VERSION, 11]), Err(kind("result kind")));
}

#[test]
fn a_value_that_an_image_could_not_load_is_refused() {
    let init = |cluster, replication_factor| {
        let settings = Settings {
            slot_count: SlotCount::DEFAULT,
            replication_factor,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        };
        Command::decode(&Command::Init { cluster: ClusterId(cluster), settings }.encode())
    };
    assert!(init(1, 3).is_ok());
    assert_eq!(init(0, 3), Err(DecodeError::Implausible("cluster")));
    assert_eq!(init(1, 2), Err(DecodeError::Implausible("replication factor")));
    let register = |cluster, node| {
        let registration = Registration {
            identity: Some((ClusterId(cluster), NodeId(node))),
            address: "n1:1".into(),
            zone: "a".into(),
            capacity: 100,
            incarnation: 77,
        };
        Command::decode(&Command::Register(registration).encode())
    };
    assert!(register(1, 1).is_ok());
    assert_eq!(register(0, 1), Err(DecodeError::Implausible("cluster")));
    assert_eq!(register(1, 0), Err(DecodeError::Implausible("node")));
}

#[test]
fn a_length_beyond_the_input_takes_no_memory() {
    let mut bytes = Command::Bootstrap { planned_at: Epoch(1), groups: vec![], owners: vec![] }
        .encode()
        .to_vec();
    let groups_at = 2 + 8;
    bytes[groups_at..groups_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Command::decode(&bytes), Err(DecodeError::EndedEarly));
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// These bytes are in the logs of running clusters. They change only with [`VERSION`].
#[test]
fn the_bytes_of_commands_are_the_same_in_every_build() {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::Lease,
    };
    let registration = Registration {
        identity: None,
        address: "n1:1".into(),
        zone: "a".into(),
        capacity: 100,
        incarnation: 77,
    };
    let known = Registration { identity: Some((ClusterId(5), NodeId(2))), ..registration.clone() };
    let bootstrap = Command::Bootstrap {
        planned_at: Epoch(4),
        groups: vec![PlannedGroup { id: GroupId(1), nodes: vec![NodeId(2), NodeId(3)] }],
        owners: vec![GroupId(1), GroupId(1)],
    };
    for (command, expected) in [
        (
            Command::Init { cluster: ClusterId(5), settings },
            "0201 0500000000000000 0010 03 00001000 01",
        ),
        (
            Command::Register(registration),
            "0202 00 04000000 6e313a31 01000000 61 64000000 4d00000000000000",
        ),
        (
            Command::Register(known),
            "0202 01 0500000000000000 0200000000000000 04000000 6e313a31 01000000 61 64000000 \
             4d00000000000000",
        ),
        (
            bootstrap,
            "0203 0400000000000000 01000000 0100000000000000 02000000 0200000000000000 \
             0300000000000000 02000000 0100000000000000 0100000000000000",
        ),
    ] {
        assert_eq!(hex(&command.encode()), expected.replace(' ', ""), "{command:?}");
    }
}

#[test]
fn the_bytes_of_results_are_the_same_in_every_build() {
    let (ours, theirs, node) = (ClusterId(5), ClusterId(6), NodeId(2));
    let refusals = [
        (Refusal::NotInitialized, "0204"),
        (Refusal::WrongCluster { ours, theirs }, "0205 0500000000000000 0600000000000000"),
        (Refusal::UnknownNode { node }, "0206 0200000000000000"),
        (Refusal::NodeReplaced { node }, "0207 0200000000000000"),
        (Refusal::TooManyNodes { max: 1_000 }, "0208 e8030000"),
        (Refusal::Stale, "0209"),
        (Refusal::Impossible("no".into()), "020a 02000000 6e6f"),
    ];
    let done = [
        (CommandResult::Initialized, "0201"),
        (
            CommandResult::Registered { cluster: ours, node, slot_count: 4096 },
            "0202 0500000000000000 0200000000000000 00100000",
        ),
        (CommandResult::Bootstrapped { epoch: Epoch(9) }, "0203 0900000000000000"),
    ];
    let refusals = refusals.map(|(refusal, bytes)| (CommandResult::Refused(refusal), bytes));
    for (result, expected) in refusals.into_iter().chain(done) {
        assert_eq!(hex(&result.encode()), expected.replace(' ', ""), "{result:?}");
    }
}
