//! The topology as JSON.

use std::collections::BTreeMap;

use ringkv_client::View;
use ringkv_topology::{GroupId, NodeState, Role, Topology};
use serde_json::{Value, json};

/// The body of `/topology`: nodes and groups ascending by id, slots as ranges
/// `[first, last, group]`, both ends included.
pub(super) fn page(view: &View) -> Value {
    let topology = &*view.topology;
    let ranges = ranges(&topology.owners);
    let mut slots: BTreeMap<GroupId, usize> = BTreeMap::new();
    for owner in &topology.owners {
        *slots.entry(*owner).or_default() += 1;
    }
    json!({
        "cluster": topology.cluster.to_string(),
        "epoch": topology.epoch.0,
        "formed": topology.is_bootstrapped(),
        "slot_count": topology.settings.slot_count.get(),
        "replication_factor": topology.settings.replication_factor,
        "value_bytes_max": topology.settings.value_bytes_max,
        "read_mode": topology.settings.read_mode.to_string(),
        "nodes": nodes(view, topology),
        "groups": topology.groups.values().map(|group| json!({
            "id": group.id.0,
            "leader": view.leaders.get(&group.id).map(|node| node.0),
            "preferred_leader": group.preferred_leader.0,
            "slots": slots.get(&group.id).copied().unwrap_or(0),
            "replicas": group.replicas.iter().map(|replica| json!({
                "id": replica.id.0,
                "node": replica.node.0,
                "role": match replica.role { Role::Voter => "voter", Role::Learner => "learner", Role::Leaving => "leaving" },
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "slots": ranges.iter().map(|(first, last, group)| json!([first, last, group.0]))
            .collect::<Vec<_>>(),
    })
}

fn nodes(view: &View, topology: &Topology) -> Vec<Value> {
    let node = |node: &ringkv_topology::Node| {
        json!({
            "id": node.id.0,
            "address": node.address,
            "zone": node.zone,
            "capacity": node.capacity,
            "state": match node.state {
                NodeState::Active => "active",
                NodeState::Draining => "draining",
            },
            "alive": view.alive.contains(&node.id),
        })
    };
    topology.nodes.values().map(node).collect()
}

fn ranges(owners: &[GroupId]) -> Vec<(usize, usize, GroupId)> {
    let mut ranges: Vec<(usize, usize, GroupId)> = Vec::new();
    for (slot, owner) in owners.iter().enumerate() {
        match ranges.last_mut() {
            Some((_, last, group)) if group == owner => *last = slot,
            _ => ranges.push((slot, slot, *owner)),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_side_by_side_become_one_range() {
        let owners = [1, 1, 2, 1].map(GroupId);
        let one = GroupId(1);
        assert_eq!(ranges(&owners), [(0, 1, one), (2, 2, GroupId(2)), (3, 3, one)]);
        assert!(ranges(&[]).is_empty());
    }
}
