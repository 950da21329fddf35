use ringkv_topology::{ReadMode, SlotCount};

use super::*;

fn commands() -> Vec<Command> {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    };
    let registration = |identity| {
        Command::Register(Registration {
            identity,
            address: "node-1:50051".into(),
            zone: "a".into(),
            capacity: 100,
            incarnation: 77,
        })
    };
    vec![
        Command::Init { cluster: ClusterId(5), settings },
        registration(None),
        registration(Some((ClusterId(5), NodeId(2)))),
        Command::Bootstrap {
            planned_at: Epoch(4),
            groups: vec![PlannedGroup { id: GroupId(1), nodes: vec![NodeId(2), NodeId(1)] }],
            owners: vec![GroupId(1); 4096],
        },
    ]
}

#[test]
fn commands_come_back_as_they_went_in() {
    for command in commands() {
        assert_eq!(Command::decode(&command.encode()).expect("just encoded"), command);
    }
}

#[test]
fn outcomes_come_back_as_they_went_in() {
    let node = NodeId(3);
    let refusals = [
        Refusal::NotInitialized,
        Refusal::WrongCluster { ours: ClusterId(1), theirs: ClusterId(2) },
        Refusal::UnknownNode { node },
        Refusal::NodeReplaced { node },
        Refusal::TooManyNodes { max: 9 },
        Refusal::Stale,
        Refusal::Impossible("no".into()),
    ];
    let done = [
        Outcome::Initialized,
        Outcome::Registered { cluster: ClusterId(1), node, slot_count: 4096 },
        Outcome::Bootstrapped { epoch: Epoch(9) },
    ];
    for outcome in refusals.map(Outcome::Refused).into_iter().chain(done) {
        assert_eq!(Outcome::decode(&outcome.encode()).expect("just encoded"), outcome);
    }
}

#[test]
fn an_unknown_version_is_refused() {
    let mut bytes = commands()[0].encode().to_vec();
    bytes[0] = 2;
    assert!(matches!(Command::decode(&bytes), Err(DecodeError::Version { found: Some(2) })));
    assert!(matches!(Command::decode(&[]), Err(DecodeError::Version { found: None })));
}

#[test]
fn bytes_cut_short_are_refused() {
    for command in commands() {
        let bytes = command.encode();
        assert!(Command::decode(&bytes[..bytes.len() - 1]).is_err());
    }
}
