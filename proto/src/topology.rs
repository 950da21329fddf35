//! Conversions between the topology on the wire and the map of `ringkv-topology`.
//!
//! Owns the check of what arrives: a topology from [`from_proto`] has the invariants of the map, so
//! that no other code checks them again. Never changes a value.

use std::collections::BTreeMap;

use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, SlotCount, Topology,
};

use crate::v1;

/// An invalid topology on the wire: the field and the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("topology field `{field}` {problem}")]
pub struct InvalidTopology {
    pub field: &'static str,
    pub problem: String,
}

/// The wire form of a topology; nodes and groups ascend by id.
pub fn to_proto(topology: &Topology) -> v1::Topology {
    v1::Topology {
        cluster: topology.cluster.0,
        epoch: topology.epoch.0,
        settings: Some(settings_to_proto(&topology.settings)),
        runtime: Some(v1::RuntimeSettings {
            replace_after_s: topology.runtime.replace_after_s,
            snapshot_bytes_per_s: topology.runtime.snapshot_bytes_per_s,
        }),
        nodes: topology.nodes.values().map(node_to_proto).collect(),
        groups: topology.groups.values().map(group_to_proto).collect(),
        slot_owners: topology.owners.iter().map(|owner| owner.0).collect(),
    }
}

/// The map of a topology on the wire.
///
/// # Errors
/// [`InvalidTopology`] names the first field that breaks an invariant of the map: the caller
/// drops the whole message and keeps the topology it has.
pub fn from_proto(wire: &v1::Topology) -> Result<Topology, InvalidTopology> {
    let settings = settings_from_proto(wire.settings.as_ref())?;
    let runtime = runtime_from_proto(wire.runtime.as_ref())?;
    let mut nodes = BTreeMap::new();
    for node in &wire.nodes {
        let node = node_from_proto(node)?;
        if let Some(twice) = nodes.insert(node.id, node) {
            return invalid("nodes.id", format!("names node {} twice", twice.id));
        }
    }
    let mut groups = BTreeMap::new();
    for group in &wire.groups {
        let group = group_from_proto(group, &nodes)?;
        if let Some(twice) = groups.insert(group.id, group) {
            return invalid("groups.id", format!("names group {} twice", twice.id));
        }
    }
    let owners = owners_from_proto(&wire.slot_owners, &settings, &groups)?;
    Ok(Topology {
        cluster: id("cluster", wire.cluster, ClusterId::from_wire)?,
        epoch: Epoch(wire.epoch),
        settings,
        runtime,
        nodes,
        groups,
        owners,
    })
}

/// The wire form of the cluster settings.
fn settings_to_proto(settings: &Settings) -> v1::Settings {
    v1::Settings {
        slot_count: u32::from(settings.slot_count.get()),
        replication_factor: u32::from(settings.replication_factor),
        value_bytes_max: settings.value_bytes_max,
        read_mode: match settings.read_mode {
            ReadMode::ReadIndex => v1::ReadMode::ReadIndex.into(),
            ReadMode::Lease => v1::ReadMode::Lease.into(),
        },
    }
}

/// The cluster settings on the wire.
///
/// # Errors
/// [`InvalidTopology`] when they are missing, the slot count is no power of two from 1 to 32,768,
/// the replication factor is not 1, 3 or 5, or the read mode is unknown.
fn settings_from_proto(wire: Option<&v1::Settings>) -> Result<Settings, InvalidTopology> {
    let Some(wire) = wire else {
        return invalid("settings", "is missing");
    };
    let Some(slot_count) = SlotCount::new(wire.slot_count) else {
        return invalid("settings.slot_count", format!("is {}: not a count", wire.slot_count));
    };
    let replication_factor = match wire.replication_factor {
        1 => 1,
        3 => 3,
        5 => 5,
        other => {
            return invalid("settings.replication_factor", format!("is {other}: not 1, 3 or 5"));
        }
    };
    let read_mode = match wire.read_mode() {
        v1::ReadMode::ReadIndex => ReadMode::ReadIndex,
        v1::ReadMode::Lease => ReadMode::Lease,
        v1::ReadMode::Unspecified => {
            return invalid("settings.read_mode", format!("{} is unknown", wire.read_mode));
        }
    };
    let value_bytes_max = wire.value_bytes_max;
    Ok(Settings { slot_count, replication_factor, value_bytes_max, read_mode })
}

fn runtime_from_proto(
    wire: Option<&v1::RuntimeSettings>,
) -> Result<RuntimeSettings, InvalidTopology> {
    let Some(wire) = wire else {
        return invalid("runtime", "is missing");
    };
    if wire.snapshot_bytes_per_s == 0 {
        return invalid("runtime.snapshot_bytes_per_s", "is 0: nothing would ever arrive");
    }
    Ok(RuntimeSettings {
        replace_after_s: wire.replace_after_s,
        snapshot_bytes_per_s: wire.snapshot_bytes_per_s,
    })
}

fn node_to_proto(node: &Node) -> v1::Node {
    let state = match node.state {
        NodeState::Active => v1::NodeState::Active,
        NodeState::Draining => v1::NodeState::Draining,
    };
    v1::Node {
        id: node.id.0,
        address: node.address.clone(),
        zone: node.zone.clone(),
        capacity: node.capacity,
        state: state.into(),
    }
}

fn node_from_proto(wire: &v1::Node) -> Result<Node, InvalidTopology> {
    let state = match wire.state() {
        v1::NodeState::Active => NodeState::Active,
        v1::NodeState::Draining => NodeState::Draining,
        v1::NodeState::Unspecified => {
            return invalid("nodes.state", format!("is {}: not a known state", wire.state));
        }
    };
    Ok(Node {
        id: id("nodes.id", wire.id, NodeId::from_wire)?,
        address: wire.address.clone(),
        zone: wire.zone.clone(),
        capacity: wire.capacity,
        state,
    })
}

fn group_to_proto(group: &Group) -> v1::Group {
    let replica = |replica: &Replica| v1::Replica {
        id: replica.id.0,
        node: replica.node.0,
        role: match replica.role {
            Role::Voter => v1::ReplicaRole::Voter,
            Role::Learner => v1::ReplicaRole::Learner,
            Role::Leaving => v1::ReplicaRole::Leaving,
        }
        .into(),
    };
    v1::Group {
        id: group.id.0,
        replicas: group.replicas.iter().map(replica).collect(),
        preferred_leader: group.preferred_leader.0,
        formed_epoch: group.formed.0,
        changed_epoch: group.changed.0,
    }
}

fn group_from_proto(
    wire: &v1::Group,
    nodes: &BTreeMap<NodeId, Node>,
) -> Result<Group, InvalidTopology> {
    let known = |field, wire| {
        let node = id(field, wire, NodeId::from_wire)?;
        match nodes.contains_key(&node) {
            true => Ok(node),
            false => invalid(field, format!("is {node}: no such node in the topology")),
        }
    };
    let mut replicas = Vec::with_capacity(wire.replicas.len());
    for replica in &wire.replicas {
        let role = match replica.role() {
            v1::ReplicaRole::Voter => Role::Voter,
            v1::ReplicaRole::Learner => Role::Learner,
            v1::ReplicaRole::Leaving => Role::Leaving,
            v1::ReplicaRole::Unspecified => {
                let problem = format!("is {}: not a known role", replica.role);
                return invalid("groups.replicas.role", problem);
            }
        };
        replicas.push(Replica {
            id: id("groups.replicas.id", replica.id, ReplicaId::from_wire)?,
            node: known("groups.replicas.node", replica.node)?,
            role,
        });
    }
    Ok(Group {
        id: id("groups.id", wire.id, GroupId::from_wire)?,
        replicas,
        preferred_leader: known("groups.preferred_leader", wire.preferred_leader)?,
        formed: Epoch(wire.formed_epoch),
        changed: Epoch(wire.changed_epoch),
    })
}

fn owners_from_proto(
    wire: &[u64],
    settings: &Settings,
    groups: &BTreeMap<GroupId, Group>,
) -> Result<Vec<GroupId>, InvalidTopology> {
    let expected = usize::from(settings.slot_count.get());
    if !wire.is_empty() && wire.len() != expected {
        return invalid("slot_owners", format!("has {} entries, not {expected}", wire.len()));
    }
    wire.iter()
        .map(|owner| match groups.contains_key(&GroupId(*owner)) {
            true => Ok(GroupId(*owner)),
            false => invalid("slot_owners", format!("names group {owner}: no such group")),
        })
        .collect()
}

fn id<T>(
    field: &'static str,
    wire: u64,
    from_wire: impl Fn(u64) -> Option<T>,
) -> Result<T, InvalidTopology> {
    from_wire(wire).ok_or(InvalidTopology { field, problem: "is 0: not an id".into() })
}

fn invalid<T>(field: &'static str, problem: impl Into<String>) -> Result<T, InvalidTopology> {
    Err(InvalidTopology { field, problem: problem.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bootstrapped() -> Topology {
        let node = |id: u64| Node {
            id: NodeId(id),
            address: format!("node-{id}:50051"),
            zone: format!("zone-{id}"),
            capacity: 100,
            state: if id == 3 { NodeState::Draining } else { NodeState::Active },
        };
        let group = |id: u64| Group {
            id: GroupId(id),
            replicas: vec![
                Replica { id: ReplicaId(10 + id), node: NodeId(1), role: Role::Voter },
                Replica { id: ReplicaId(20 + id), node: NodeId(2), role: Role::Learner },
                Replica { id: ReplicaId(30 + id), node: NodeId(3), role: Role::Leaving },
            ],
            preferred_leader: NodeId(1),
            formed: Epoch(4),
            changed: Epoch(5),
        };
        Topology {
            cluster: ClusterId(7),
            epoch: Epoch(5),
            settings: Settings {
                slot_count: SlotCount::new(4).expect("a power of two"),
                replication_factor: 3,
                value_bytes_max: 1024,
                read_mode: ReadMode::Lease,
            },
            runtime: RuntimeSettings { replace_after_s: 7, snapshot_bytes_per_s: 8 },
            nodes: (1..=3).map(|id| (NodeId(id), node(id))).collect(),
            groups: (1..=2).map(|id| (GroupId(id), group(id))).collect(),
            owners: [1, 2, 2, 1].map(GroupId).to_vec(),
        }
    }

    #[test]
    fn a_topology_comes_back_as_it_went_out() {
        assert_eq!(from_proto(&to_proto(&bootstrapped())), Ok(bootstrapped()));
        let waiting = Topology { owners: Vec::new(), groups: BTreeMap::new(), ..bootstrapped() };
        assert_eq!(from_proto(&to_proto(&waiting)), Ok(waiting));
    }

    #[test]
    fn a_broken_field_is_named() {
        type Break = fn(&mut v1::Topology);
        let cases: [(&str, Break); 15] = [
            ("cluster", |t| t.cluster = 0),
            ("settings", |t| t.settings = None),
            ("settings.slot_count", |t| t.settings.as_mut().unwrap().slot_count = 3),
            ("settings.replication_factor", |t| {
                t.settings.as_mut().unwrap().replication_factor = 2;
            }),
            ("settings.read_mode", |t| t.settings.as_mut().unwrap().read_mode = 9),
            ("nodes.id", |t| t.nodes[0].id = 0),
            ("nodes.id", |t| t.nodes[0].id = 2),
            ("nodes.state", |t| t.nodes[0].state = 99),
            ("groups.id", |t| t.groups[0].id = 2),
            ("groups.replicas.id", |t| t.groups[0].replicas[0].id = 0),
            ("groups.replicas.node", |t| t.groups[0].replicas[0].node = 9),
            ("groups.replicas.role", |t| t.groups[0].replicas[0].role = 0),
            ("groups.preferred_leader", |t| t.groups[0].preferred_leader = 9),
            ("slot_owners", |t| t.slot_owners[3] = 9),
            ("slot_owners", |t| t.slot_owners.truncate(3)),
        ];
        for (field, breaks) in cases {
            let mut wire = to_proto(&bootstrapped());
            breaks(&mut wire);
            assert_eq!(from_proto(&wire).map_err(|error| error.field), Err(field));
        }
    }
}
