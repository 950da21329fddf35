use ringkv_topology::{
    ClusterId, Epoch, GroupId, Node, NodeState, ReadMode, Replica, ReplicaId, Role, Settings,
    SlotCount,
};

use super::*;
use crate::command::{Command, OperationCommand};
use crate::observations::GroupReport;
use crate::reconciler::Blocker;
use crate::state::Cluster;

/// Three nodes with a replica of groups 1 and 2 each.
fn state() -> State {
    let settings = Settings {
        slot_count: SlotCount::DEFAULT,
        replication_factor: 3,
        value_bytes_max: 1 << 20,
        read_mode: ReadMode::ReadIndex,
    };
    let mut cluster = Cluster::new(ClusterId(9), settings);
    for id in 1..=3 {
        let node = Node {
            id: NodeId(id),
            address: format!("n{id}:1"),
            zone: String::new(),
            capacity: 100,
            state: NodeState::Active,
        };
        cluster.topology.nodes.insert(node.id, node);
    }
    for id in 1..=2 {
        let replica =
            |node| Replica { id: ReplicaId(id * 10 + node), node: NodeId(node), role: Role::Voter };
        let group = Group {
            id: GroupId(id),
            replicas: (1..=3).map(replica).collect(),
            preferred_leader: NodeId(id),
            formed: Epoch(1),
            changed: Epoch(1),
        };
        cluster.topology.groups.insert(group.id, group);
    }
    State { cluster: Some(cluster), ..State::default() }
}

/// All nodes are heard from at 0, nodes 1 and 2 until 20 s; node 1 leads group 1.
fn observations() -> Observations {
    let mut observations = Observations::default();
    observations.leads(0);
    for node in 1..=3 {
        observations.heard(0, NodeId(node));
    }
    let leads = GroupReport { leader: true, ..GroupReport::new(GroupId(1), None, 1) };
    observations.reported(20_000, NodeId(1), Epoch(1), &[leads]);
    observations.heard(20_000, NodeId(2));
    observations
}

#[test]
fn a_silent_node_and_what_it_leaves_behind_are_named() {
    let state = state();
    let observations = observations();
    let status = reply(&state, &observations, &Progress::default(), 20_000).expect("initialized");
    let silent: Vec<_> = status.nodes.iter().map(|node| node.silent_s).collect();
    assert_eq!(silent, [Some(0), Some(0), Some(20)]);
    assert_eq!((status.nodes[0].replicas, status.nodes[0].leads), (2, 1));
    assert_eq!(status.groups_without_leader, [2]);
    assert_eq!((status.groups, status.under_replicated_groups), (2, vec![1, 2]));
}

#[test]
fn a_new_leader_says_of_no_node_that_it_is_silent() {
    let state = state();
    let mut observations = Observations::default();
    observations.leads(0);
    observations.heard(1_000, NodeId(1));
    let status = reply(&state, &observations, &Progress::default(), 1_000).expect("initialized");
    let silent: Vec<_> = status.nodes.iter().map(|node| node.silent_s).collect();
    assert_eq!(silent, [Some(0), None, None]);
    assert!(status.under_replicated_groups.is_empty());
}

#[test]
fn only_operations_that_run_are_shown_and_each_blocker_once() {
    let mut state = state();
    let command = OperationCommand::DrainNode { node: NodeId(3), now_ms: 1 };
    state.apply(Command::Operation(command));
    let value = "60s".to_owned();
    let name = "replace-after".to_owned();
    state.apply(Command::Operation(OperationCommand::SetSetting { name, value, now_ms: 2 }));
    let id = state.operations()[0].id;
    let blocker = |operation, reason: &str| Blocker { operation, reason: reason.into() };
    let mut progress = Progress::default();
    let blocked = vec![blocker(Some(id), "no target"), blocker(None, "group 2 has no leader")];
    progress.look(0, &state.operations(), blocked);
    let status = reply(&state, &Observations::default(), &progress, 0).expect("initialized");
    let [drain] = &status.operations[..] else { panic!("one operation: {status:?}") };
    assert_eq!((drain.id, drain.blocked_by.join(";")), (id.0, "no target".to_owned()));
    assert_eq!(status.blocked_by, ["group 2 has no leader"]);
    assert_eq!(status.nodes[2].state(), v1::NodeState::Draining);
    assert_eq!(status.runtime.map(|runtime| runtime.replace_after_s), Some(60));
}
