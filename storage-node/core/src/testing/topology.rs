//! A small topology of a bootstrapped cluster, for tests: as many groups as nodes, and a replica of
//! each group on every node.

use std::collections::BTreeMap;

use ringkv_consensus::{self as consensus, GroupStatus, LogIndex, Term};
use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, SlotCount, Topology,
};

/// Nodes and groups `1..=nodes`, 16 slots dealt round robin; group `n` prefers node `n` as leader.
/// The replica of group `g` on node `n` is `10 * g + n`.
pub fn bootstrapped(nodes: u64) -> Topology {
    let node = |id: u64| Node {
        id: NodeId(id),
        address: format!("node-{id}:50051"),
        zone: String::new(),
        capacity: 100,
        state: NodeState::Active,
    };
    let replica = |group: u64, node: u64| Replica {
        id: ReplicaId(10 * group + node),
        node: NodeId(node),
        role: Role::Voter,
    };
    let group = |id: u64| Group {
        id: GroupId(id),
        replicas: (1..=nodes).map(|node| replica(id, node)).collect(),
        preferred_leader: NodeId(id),
        formed: Epoch(2),
        changed: Epoch(2),
    };
    Topology {
        cluster: ClusterId(42),
        epoch: Epoch(2),
        settings: Settings {
            slot_count: SlotCount::new(16).expect("a power of two"),
            replication_factor: u8::try_from(nodes).expect("few nodes"),
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        },
        runtime: RuntimeSettings::default(),
        nodes: (1..=nodes).map(|id| (NodeId(id), node(id))).collect::<BTreeMap<_, _>>(),
        groups: (1..=nodes).map(|id| (GroupId(id), group(id))).collect(),
        owners: (0..16).map(|slot| GroupId(slot % nodes + 1)).collect(),
    }
}

/// The status of a replica of `group` on `node`; it leads if it is the leader.
pub fn status(group: u64, node: u64, leader: Option<u64>) -> GroupStatus {
    let leads = leader == Some(node);
    GroupStatus {
        group: GroupId(group),
        replica: ReplicaId(10 * group + node),
        role: if leads { consensus::Role::Leader } else { consensus::Role::Follower },
        term: Term(1),
        leader: leader.map(NodeId),
        commit_index: LogIndex(1),
        applied_index: LogIndex(1),
        first_index: LogIndex(2),
        last_index: LogIndex(1),
        members: std::sync::Arc::default(),
        peers: Vec::new(),
    }
}
