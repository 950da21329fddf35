use ringkv_topology::{BootstrapWhen, ReadMode, Settings, SlotCount, plan_bootstrap};

use super::*;
use crate::command::Command;
use crate::state::tests::{CLUSTER, fresh, register, returning};

fn settings() -> Settings {
    Settings {
        slot_count: SlotCount::new(16).expect("a power of two"),
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    }
}

/// The topology of three nodes with their groups.
fn topology() -> Topology {
    let mut state = State::default();
    state.apply(Command::Init { cluster: CLUSTER, settings: settings() });
    for node in 1..=3 {
        register(&mut state, fresh(&format!("n{node}:1"), node)).expect("a new node");
    }
    let topology = state.topology().expect("initialized").clone();
    let plan = plan_bootstrap(topology.nodes.values(), &settings(), &BootstrapWhen::default());
    let plan = plan.expect("enough nodes");
    let (planned_at, groups, owners) = (topology.epoch, plan.groups, plan.owners);
    state.apply(Command::Bootstrap { planned_at, groups, owners, now_ms: 0 });
    state.topology().expect("initialized").clone()
}

fn node(id: u64, topology: &Topology) -> NodeFound {
    let replica = |group: &Group| {
        Some(GroupFound {
            group: group.id,
            replica: group.replica_on(NodeId(id))?.id,
            term: 3,
            members_epoch: group.changed,
            replicas: group.replicas.clone(),
        })
    };
    NodeFound {
        cluster: topology.cluster,
        node: NodeId(id),
        address: format!("n{id}:1"),
        topology: Some(topology.clone()),
        groups: topology.groups.values().filter_map(replica).collect(),
    }
}

fn peers() -> Peers {
    [(Place(1), "p1:7000".to_owned()), (Place(2), "p2:7000".to_owned())].into()
}

#[test]
fn the_recovered_placement_goes_on_above_everything_seen() {
    let topology = topology();
    let found = [1, 2, 3].map(|id| node(id, &topology));
    let plan = plan(&found).expect("all agree");
    plan.check_majority().expect("all answered");
    assert_eq!((plan.notes.len(), plan.missing.len()), (0, 0));
    assert_eq!(plan.topology.groups, topology.groups);
    let last = topology.groups.values().flat_map(|group| &group.replicas).map(|r| r.id.0).max();
    assert_eq!(plan.last_replica, last.expect("there are replicas") + GAP);
    let epoch = Epoch(topology.epoch.0 + GAP);
    let mut state = plan.into_state(Place(1), &peers(), 1_800_000_000, "ops".into());
    assert_eq!(state.epoch(), epoch);
    let record = &state.members().recoveries[0];
    assert_eq!((record.epoch_found, record.epoch), (topology.epoch, epoch));
    assert!(state.members().is_founding(), "the other places join it");
    assert_eq!(register(&mut state, returning(2, "n2:1", 77)), Ok(NodeId(2)));
    assert_eq!(register(&mut state, fresh("n4:1", 78)), Ok(NodeId(3 + GAP + 1)));
}

#[test]
fn a_recovered_state_survives_as_a_genesis() {
    let topology = topology();
    let plan = plan(&[node(1, &topology), node(2, &topology)]).expect("both agree");
    let state = plan.into_state(Place(1), &peers(), 1, "ops".into());
    assert_eq!(State::from_context(&state.to_context()).expect("ours"), state);
}

#[test]
fn the_newest_topology_and_newer_members_win() {
    let new = topology();
    let mut old = new.clone();
    old.epoch.0 -= 1;
    let group = *new.groups.keys().next().expect("there are groups");
    let mut found = vec![node(1, &old), node(2, &new), node(4, &old)];
    let moved = Replica { id: ReplicaId(500), node: NodeId(4), role: Role::Voter };
    let changed = found[1].groups.iter_mut().find(|found| found.group == group).expect("there");
    changed.replicas[0] = moved;
    changed.members_epoch = Epoch(40);
    let plan = plan(&found).expect("one cluster");
    assert_eq!(plan.epoch_found, new.epoch);
    assert_eq!(plan.topology.epoch, Epoch(40 + GAP));
    assert_eq!(plan.last_replica, 500 + GAP);
    let recovered = &plan.topology.groups[&group];
    assert!(recovered.replicas.contains(&moved));
    assert_eq!(recovered.changed, Epoch(40));
    assert_eq!(plan.notes.len(), 2, "a new node and a changed group: {:?}", plan.notes);
    plan.check_majority().expect("two of three, and the new one");
}

#[test]
fn a_minority_is_not_enough() {
    let topology = topology();
    let plan = plan(&[node(1, &topology)]).expect("one cluster");
    let error = plan.check_majority().unwrap_err().to_string();
    assert!(error.starts_with("1 of the 3 nodes"), "{error}");
    assert!(error.contains("2 at n2:1, 3 at n3:1"), "{error}");
}

#[test]
fn contradictions_are_named() {
    let topology = topology();
    assert_eq!(plan(&[]), Err(CannotRecover::NoNode));
    let empty = NodeFound { topology: None, groups: Vec::new(), ..node(1, &topology) };
    assert_eq!(plan(&[empty]), Err(CannotRecover::NoTopology));
    let foreign = NodeFound { cluster: ClusterId(8), ..node(2, &topology) };
    let error = CannotRecover::TwoClusters(CLUSTER, ClusterId(8));
    assert_eq!(plan(&[node(1, &topology), foreign]), Err(error));
    let copy = NodeFound { address: "copy:1".into(), ..node(1, &topology) };
    let error = plan(&[node(1, &topology), copy]).unwrap_err().to_string();
    assert!(error.contains("n1:1 and copy:1 both say that they are node 1"), "{error}");
}
