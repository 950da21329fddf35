use proptest::prelude::*;
use ringkv_topology::{
    ClusterId, Epoch, GroupId, NodeId, PlannedGroup, ReadMode, ReplicaId, Settings, SlotCount,
};

use super::*;
use crate::command::{
    AddressHolder, Claim, Command, CommandResult, Incarnation, Join, MembersCommand,
    MembersRefusal, OperationCommand, Refusal, Registration, ReplicaCommand,
};
use crate::operation::tests::operation_kind;
use crate::operation::{OperationId, OperationKind};
use crate::place::Place;

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

fn secret() -> impl Strategy<Value = NodeSecret> {
    any::<[u8; 16]>().prop_map(NodeSecret::new)
}

fn registration() -> impl Strategy<Value = Registration> {
    let claim = prop::option::of((1..=u64::MAX, 1..=u64::MAX, secret()));
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), any::<Option<u64>>());
    (claim, ".{0,20}", ".{0,5}", numbers).prop_map(|(claim, address, zone, numbers)| {
        let (capacity, incarnation, starts, directory) = numbers;
        let claim = claim.map(|(cluster, node, secret)| Claim {
            cluster: ClusterId(cluster),
            node: NodeId(node),
            secret,
        });
        Registration { claim, address, zone, capacity, incarnation, starts, directory }
    })
}

fn register() -> impl Strategy<Value = Command> {
    let displaces = prop::collection::vec((1..=u64::MAX, any::<u64>()), 0..3);
    (registration(), secret(), displaces).prop_map(|(registration, secret, displaces)| {
        let incarnation = |(node, number)| Incarnation { node: NodeId(node), number };
        let displaces = displaces.into_iter().map(incarnation).collect();
        Command::Register { registration, secret, displaces }
    })
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
        any::<u64>(),
    )
        .prop_map(|(epoch, groups, owners, now_ms)| Command::Bootstrap {
            planned_at: Epoch(epoch),
            groups,
            owners: owners.into_iter().map(GroupId).collect(),
            now_ms,
        });
    prop_oneof![
        init,
        register(),
        bootstrap,
        replica_command().prop_map(Command::Replicas),
        operation_command().prop_map(Command::Operation),
        members_command().prop_map(Command::Members),
    ]
}

fn members_command() -> impl Strategy<Value = MembersCommand> {
    let values = (0..8, 1..=u64::MAX, any::<u64>(), ".{0,9}");
    values.prop_map(|(kind, id, number, address)| {
        let (replica, seen) = (ReplicaId(id), Epoch(number));
        match kind {
            0 => MembersCommand::Admit { place: Place(id), address, token: number },
            1 => MembersCommand::Promote { replica, seen },
            2 => MembersCommand::Found { seen },
            3 => MembersCommand::Forget { replica, seen },
            4 => MembersCommand::Relocate { replica, address },
            5 => MembersCommand::Invite { address },
            6 => MembersCommand::Uninvite { address },
            _ => MembersCommand::Remove { replica },
        }
    })
}

fn members_refusal() -> impl Strategy<Value = MembersRefusal> {
    let values = (0..11, 1..=u64::MAX, any::<u64>(), any::<u64>(), ".{0,9}");
    values.prop_map(|(kind, id, first, second, address)| {
        let replica = ReplicaId(id);
        match kind {
            0 => MembersRefusal::PlaceUnknown { place: Place(id), address },
            1 => MembersRefusal::TooManyReplicas { max: first },
            2 => MembersRefusal::ReplicaUnknown { replica },
            3 => MembersRefusal::AddressUnknown { address },
            4 => MembersRefusal::AddressTaken { replica },
            5 => MembersRefusal::TooManyInvited { max: first },
            6 => MembersRefusal::LastReplica { replica },
            7 => MembersRefusal::Founding,
            8 => MembersRefusal::ReplicaAlive { replica },
            9 => MembersRefusal::QuorumAtRisk { replica, live: first, voters: second },
            _ => MembersRefusal::LeaderIsNew,
        }
    })
}

fn replica_command() -> impl Strategy<Value = ReplicaCommand> {
    let join = (
        (any::<u64>(), any::<u64>(), 1..=u64::MAX, any::<u64>()),
        operation_kind(),
        ".{0,20}",
        any::<(u64, u64)>(),
    )
        .prop_map(|((group, changed, node, leaving), kind, cause, (bytes, now_ms))| {
            ReplicaCommand::Join(Join {
                group: GroupId(group),
                changed: Epoch(changed),
                node: NodeId(node),
                leaving: ReplicaId::from_wire(leaving),
                kind,
                cause,
                bytes,
                now_ms,
            })
        });
    let step = (0..3, any::<u64>(), any::<u64>(), 1..=u64::MAX).prop_map(
        |(kind, group, changed, replica)| {
            let (group, changed, replica) = (GroupId(group), Epoch(changed), ReplicaId(replica));
            match kind {
                0 => ReplicaCommand::Promote { group, changed, joining: replica },
                1 => ReplicaCommand::Leave { group, changed, replica },
                _ => ReplicaCommand::Drop { group, changed, replica },
            }
        },
    );
    let destroyed = prop::collection::vec(any::<u64>().prop_map(ReplicaId), 0..5)
        .prop_map(|replicas| ReplicaCommand::Destroyed { replicas });
    let prefer = (any::<u64>(), 1..=u64::MAX).prop_map(|(group, node)| {
        ReplicaCommand::PreferLeader { group: GroupId(group), node: NodeId(node) }
    });
    prop_oneof![join, step, destroyed, prefer]
}

fn operation_command() -> impl Strategy<Value = OperationCommand> {
    let numbers = (0..6, 1..=u64::MAX, 1..=u64::MAX, any::<u64>());
    let numbers = numbers.prop_map(|(kind, first, second, now_ms)| {
        let (node, operation) = (NodeId(first), OperationId(first));
        match kind {
            0 => OperationCommand::DrainNode { node, now_ms },
            1 => OperationCommand::UndrainNode { node, now_ms },
            2 => OperationCommand::ReplaceNode { old: node, new: NodeId(second), now_ms },
            3 => OperationCommand::ForgetNode { node },
            4 => OperationCommand::Abort { operation, now_ms },
            _ => OperationCommand::End { operation, now_ms },
        }
    });
    let set = (".{0,9}", ".{0,9}", any::<u64>());
    let set =
        set.prop_map(|(name, value, now_ms)| OperationCommand::SetSetting { name, value, now_ms });
    prop_oneof![numbers, set]
}

fn registered() -> impl Strategy<Value = CommandResult> {
    let holder = any::<Option<(u64, u32)>>();
    let ids = (any::<u64>(), any::<u64>(), any::<u32>());
    (ids, prop::option::of(secret()), holder).prop_map(|(ids, secret, holder)| {
        let (cluster, node, slot_count) = ids;
        let holder = holder.map(|(node, replicas)| AddressHolder { node: NodeId(node), replicas });
        let (cluster, node) = (ClusterId(cluster), NodeId(node));
        CommandResult::Registered { cluster, node, slot_count, secret, holder }
    })
}

fn result() -> impl Strategy<Value = CommandResult> {
    let refusal = |refusal: fn(u64) -> Refusal| {
        any::<u64>().prop_map(move |number| CommandResult::Refused(refusal(number)))
    };
    prop_oneof![
        Just(CommandResult::Initialized),
        registered(),
        any::<u64>().prop_map(|epoch| CommandResult::Bootstrapped { epoch: Epoch(epoch) }),
        refusal(|_| Refusal::NotInitialized),
        refusal(|id| Refusal::WrongCluster { ours: ClusterId(id), theirs: ClusterId(!id) }),
        refusal(|id| Refusal::UnknownNode { node: NodeId(id) }),
        refusal(|id| Refusal::NodeRemoved { node: NodeId(id) }),
        refusal(|id| Refusal::WrongSecret { node: NodeId(id) }),
        refusal(|id| Refusal::OlderCopy { node: NodeId(id), starts: !id, seen: id }),
        (any::<u64>(), ".{0,20}").prop_map(|(node, address)| {
            let node = NodeId(node);
            CommandResult::Refused(Refusal::NotRegistered { node, address })
        }),
        refusal(|max| Refusal::TooManyNodes { max: max as u32 }),
        refusal(|_| Refusal::Stale),
        ".{0,20}".prop_map(|problem| CommandResult::Refused(Refusal::Impossible(problem))),
        any::<u64>().prop_map(|epoch| CommandResult::Changed { epoch: Epoch(epoch) }),
        any::<u64>().prop_map(|id| CommandResult::Began { operation: OperationId(id) }),
        refusal(|id| Refusal::NoSuchNode { node: NodeId(id) }),
        refusal(|id| Refusal::NotRunning { operation: OperationId(id) }),
        ".{0,20}".prop_map(|problem| CommandResult::Refused(Refusal::InvalidSetting(problem))),
        ".{0,20}".prop_map(|problem| CommandResult::Refused(Refusal::Conflict(problem))),
        members_refusal().prop_map(|refusal| CommandResult::Refused(Refusal::Members(refusal))),
        any::<u64>().prop_map(|id| CommandResult::ReplicaAdmitted { replica: ReplicaId(id) }),
        Just(CommandResult::MembersChanged),
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
        kind in 0u8..80,
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
    assert_eq!(Command::decode(&[VERSION, 255]), Err(kind("command kind")));
    assert_eq!(CommandResult::decode(&[VERSION, 0]), Err(kind("result kind")));
    assert_eq!(CommandResult::decode(&[VERSION, 255]), Err(kind("result kind")));
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
        let claim = Claim { cluster: ClusterId(cluster), node: NodeId(node), secret: SECRET };
        Command::decode(&known_as(Some(claim)).encode())
    };
    assert!(register(1, 1).is_ok());
    assert_eq!(register(0, 1), Err(DecodeError::Implausible("cluster")));
    assert_eq!(register(1, 0), Err(DecodeError::Implausible("node")));
}

#[test]
fn a_length_beyond_the_input_takes_no_memory() {
    let mut bytes =
        Command::Bootstrap { planned_at: Epoch(1), groups: vec![], owners: vec![], now_ms: 0 }
            .encode()
            .to_vec();
    let groups_at = 2 + 8;
    bytes[groups_at..groups_at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Command::decode(&bytes), Err(DecodeError::EndedEarly));
}

const SECRET: NodeSecret = NodeSecret::new([9; 16]);

/// Start 3 of a node, in directory 8 if it has an identity.
fn known_as(claim: Option<Claim>) -> Command {
    let registration = Registration {
        claim,
        address: "n1:1".into(),
        zone: "a".into(),
        capacity: 100,
        incarnation: 77,
        starts: 3,
        directory: claim.map(|_| 8),
    };
    let displaces = vec![Incarnation { node: NodeId(2), number: 76 }];
    Command::Register { registration, secret: SECRET, displaces }
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
    let claim = Claim { cluster: ClusterId(5), node: NodeId(2), secret: SECRET };
    let bootstrap = Command::Bootstrap {
        planned_at: Epoch(4),
        groups: vec![PlannedGroup { id: GroupId(1), nodes: vec![NodeId(2), NodeId(3)] }],
        owners: vec![GroupId(1), GroupId(1)],
        now_ms: 258,
    };
    for (command, expected) in [
        (
            Command::Init { cluster: ClusterId(5), settings },
            "0201 0500000000000000 0010 03 00001000 01",
        ),
        (
            known_as(None),
            "0202 00 04000000 6e313a31 01000000 61 64000000 4d00000000000000 0300000000000000 00 \
             09090909090909090909090909090909 01000000 0200000000000000 4c00000000000000",
        ),
        (
            known_as(Some(claim)),
            "0202 01 0500000000000000 0200000000000000 09090909090909090909090909090909 \
             04000000 6e313a31 01000000 61 64000000 4d00000000000000 0300000000000000 \
             01 0800000000000000 \
             09090909090909090909090909090909 01000000 0200000000000000 4c00000000000000",
        ),
        (
            bootstrap,
            "0203 0400000000000000 01000000 0100000000000000 02000000 0200000000000000 \
             0300000000000000 02000000 0100000000000000 0100000000000000 0201000000000000",
        ),
    ] {
        assert_eq!(hex(&command.encode()), expected.replace(' ', ""), "{command:?}");
    }
}

/// The bytes of a command, with ids and times of one byte written as `n.`.
fn short(command: Command) -> String {
    let hex = hex(&command.encode());
    let mut out = String::new();
    let mut rest = hex.as_str();
    while let Some(byte) = rest.get(..2) {
        let is_id = rest.get(2..16) == Some("00000000000000");
        out.push_str(byte);
        out.push_str(if is_id { "." } else { "" });
        rest = &rest[if is_id { 16 } else { 2 }..];
    }
    out
}

#[test]
fn the_bytes_of_replica_commands_are_the_same_in_every_build() {
    let (group, changed, replica) = (GroupId(7), Epoch(8), ReplicaId(9));
    let join = Join {
        group,
        changed,
        node: NodeId(4),
        leaving: Some(replica),
        kind: OperationKind::NodeReplace { old: NodeId(2), new: NodeId(4) },
        cause: "x".into(),
        bytes: 5,
        now_ms: 6,
    };
    for (command, expected) in [
        (ReplicaCommand::Join(join), "0214 07.08.04.09. 04 02.04. 01000000 78 05.06."),
        (ReplicaCommand::Promote { group, changed, joining: replica }, "0215 07.08.09."),
        (ReplicaCommand::Leave { group, changed, replica }, "0216 07.08.09."),
        (ReplicaCommand::Drop { group, changed, replica }, "0217 07.08.09."),
        (ReplicaCommand::Destroyed { replicas: vec![replica] }, "0218 01000000 09."),
        (ReplicaCommand::PreferLeader { group, node: NodeId(4) }, "0219 07.04."),
    ] {
        assert_eq!(short(Command::Replicas(command)), expected.replace(' ', ""));
    }
}

#[test]
fn the_bytes_of_operation_commands_are_the_same_in_every_build() {
    let (node, operation, now_ms) = (NodeId(4), OperationId(5), 6);
    let set = OperationCommand::SetSetting { name: "a".into(), value: "b".into(), now_ms };
    for (command, expected) in [
        (OperationCommand::DrainNode { node, now_ms }, "021e 04.06."),
        (OperationCommand::UndrainNode { node, now_ms }, "021f 04.06."),
        (OperationCommand::ReplaceNode { old: NodeId(2), new: node, now_ms }, "0220 02.04.06."),
        (OperationCommand::ForgetNode { node }, "0221 04."),
        (set, "0222 01000000 61 01000000 62 06."),
        (OperationCommand::Abort { operation, now_ms }, "0223 05.06."),
        (OperationCommand::End { operation, now_ms }, "0224 05.06."),
    ] {
        assert_eq!(short(Command::Operation(command)), expected.replace(' ', ""));
    }
}

#[test]
fn the_bytes_of_results_are_the_same_in_every_build() {
    let (ours, theirs, node) = (ClusterId(5), ClusterId(6), NodeId(2));
    let refusals = [
        (Refusal::NotInitialized, "0204"),
        (Refusal::WrongCluster { ours, theirs }, "0205 0500000000000000 0600000000000000"),
        (Refusal::UnknownNode { node }, "0206 0200000000000000"),
        (Refusal::NodeRemoved { node }, "0207 0200000000000000"),
        (Refusal::WrongSecret { node }, "020b 0200000000000000"),
        (
            Refusal::OlderCopy { node, starts: 3, seen: 4 },
            "020c 0200000000000000 0300000000000000 0400000000000000",
        ),
        (
            Refusal::NotRegistered { node, address: "n1:1".into() },
            "020d 0200000000000000 04000000 6e313a31",
        ),
        (Refusal::TooManyNodes { max: 1_000 }, "0208 e8030000"),
        (Refusal::Stale, "0209"),
        (Refusal::Impossible("no".into()), "020a 02000000 6e6f"),
        (Refusal::NoSuchNode { node }, "0216 0200000000000000"),
        (Refusal::NotRunning { operation: OperationId(3) }, "0217 0300000000000000"),
        (Refusal::InvalidSetting("no".into()), "0218 02000000 6e6f"),
        (Refusal::Conflict("no".into()), "0219 02000000 6e6f"),
    ];
    let done = [
        (CommandResult::Initialized, "0201"),
        (
            CommandResult::Registered {
                cluster: ours,
                node,
                slot_count: 4096,
                secret: Some(SECRET),
                holder: Some(AddressHolder { node, replicas: 12 }),
            },
            "0202 0500000000000000 0200000000000000 00100000 \
             01 09090909090909090909090909090909 01 0200000000000000 0c000000",
        ),
        (
            CommandResult::Registered {
                cluster: ours,
                node,
                slot_count: 4096,
                secret: None,
                holder: None,
            },
            "0202 0500000000000000 0200000000000000 00100000 00 00",
        ),
        (CommandResult::Bootstrapped { epoch: Epoch(9) }, "0203 0900000000000000"),
        (CommandResult::Changed { epoch: Epoch(9) }, "0214 0900000000000000"),
        (CommandResult::Began { operation: OperationId(3) }, "0215 0300000000000000"),
    ];
    let refusals = refusals.map(|(refusal, bytes)| (CommandResult::Refused(refusal), bytes));
    for (result, expected) in refusals.into_iter().chain(done) {
        assert_eq!(hex(&result.encode()), expected.replace(' ', ""), "{result:?}");
    }
}
