//! What must hold after every step, recomputed from scratch.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_placement_core::command::{Command, ReplicaCommand};
use ringkv_placement_core::observations::{GroupReport, MemberRole};
use ringkv_placement_core::operation::OperationState;
use ringkv_placement_core::state::State;
use ringkv_topology::{Group, GroupId, NodeId, ReplicaId, Role, Topology};

use crate::group::{Homes, Nodes};

/// The replicas of every group, and that none has an id that another had before.
pub(crate) fn check_state(state: &State, homes: &mut Homes) {
    let Some(topology) = state.topology() else { return };
    let factor = usize::from(topology.settings.replication_factor);
    for group in topology.groups.values() {
        let count = |role| group.replicas.iter().filter(|one| one.role == role).count();
        let (voters, others) = (count(Role::Voter), count(Role::Learner) + count(Role::Leaving));
        assert!(others <= 1, "two changes of group {}: {:?}", group.id, group.replicas);
        assert!((factor..=factor + 1).contains(&voters), "{voters} voters: {group:?}");
        let mut nodes: BTreeSet<NodeId> = BTreeSet::new();
        let removed = state.removed().filter(|(_, one)| one.group == group.id);
        let replicas = group.replicas.iter().map(|one| (one.id, one.node));
        for (id, node) in replicas.chain(removed.map(|(id, one)| (id, one.node))) {
            assert!(nodes.insert(node), "two replicas of group {} on node {node}", group.id);
            let home = *homes.entry(id).or_insert((group.id, node));
            assert_eq!(home, (group.id, node), "replica id {id} is used again");
        }
        let mut voters = group.voters();
        assert!(voters.any(|voter| voter.node == group.preferred_leader), "{group:?}");
    }
}

/// A step that changes voters leaves a majority of both halves that the leader reports as caught up.
pub(crate) fn check_step(
    step: &Command,
    state: &State,
    delivered: &BTreeMap<GroupId, GroupReport>,
) {
    let Some(topology) = state.topology() else { return };
    let (id, changed, added, leaving) = match step {
        Command::Replicas(ReplicaCommand::Promote { group, changed, joining }) => {
            let mut moves = state.moves();
            let leaving = moves.find(|(id, _)| id == group).and_then(|(_, one)| one.leaving);
            let is_only = topology.groups[group].voters().count() == 1;
            (group, changed, Some(*joining), leaving.filter(|_| !is_only))
        }
        Command::Replicas(ReplicaCommand::Leave { group, changed, replica }) => {
            let mut moves = state.moves();
            let back = moves.find(|(id, one)| id == group && one.joining == *replica);
            (group, changed, back.and_then(|(_, one)| one.leaving), Some(*replica))
        }
        _ => return,
    };
    let group = &topology.groups[id];
    let before: BTreeSet<ReplicaId> = group.voters().map(|voter| voter.id).collect();
    let mut after: BTreeSet<ReplicaId> = before.iter().copied().chain(added).collect();
    leaving.map(|leaving| after.remove(&leaving));
    if group.changed != *changed || before == after {
        return;
    }
    let report = delivered.get(id).unwrap_or_else(|| panic!("no leader of group {id}: {step:?}"));
    assert!(report.members.iter().all(|member| member.role != MemberRole::Outgoing), "{step:?}");
    let is_current = |id: &&ReplicaId| {
        let mut members = report.members.iter();
        members.any(|one| one.replica == **id && one.active && one.lag_entries <= 1_000)
    };
    let voters = report.members.iter().filter(|member| member.role == MemberRole::Voter);
    let in_force: BTreeSet<ReplicaId> = voters.map(|member| member.replica).collect();
    for half in [in_force, after] {
        let current = half.iter().filter(is_current).count();
        assert!(current > half.len() / 2, "{current} of {half:?} are caught up: {step:?}");
    }
}

/// What is not as it should be in the end, if anything.
pub(crate) fn unfinished(state: &State, nodes: &Nodes) -> Option<String> {
    let topology = state.topology()?;
    let running: Vec<String> = state
        .operations()
        .iter()
        .filter(|operation| operation.state == OperationState::Running)
        .map(|operation| format!("{} ({})", operation.kind, operation.cause))
        .collect();
    if !running.is_empty() {
        return Some(format!("running: {running:?}"));
    }
    if let Some((id, removed)) = state.removed().next() {
        return Some(format!("replica {id} is not destroyed: {removed:?}"));
    }
    let is_up = |node: NodeId| nodes.get(&node).is_some_and(|node| node.up);
    topology.groups.values().find_map(|group| {
        let is_whole = group.replicas.len() == usize::from(topology.settings.replication_factor)
            && group.replicas.iter().all(|one| one.role == Role::Voter && is_up(one.node));
        (!is_whole).then(|| format!("{group:?}"))
    })
}

/// Checks that replicas, zones and leaders are spread over the nodes that take replicas.
pub(crate) fn check_spread(topology: &Topology, active: &BTreeSet<NodeId>) {
    let weight = |node: &NodeId| u64::from(topology.nodes[node].capacity);
    let groups = || topology.groups.values();
    let zone = |node: NodeId| topology.nodes[&node].zone.as_str();
    let in_zone = |group: &Group, name: &str| {
        group.replicas.iter().filter(|one| zone(one.node) == name).count()
    };
    for group in groups() {
        let is_shared = group.replicas.iter().any(|one| in_zone(group, zone(one.node)) > 1);
        let mut free = active.iter().filter(|node| in_zone(group, zone(**node)) == 0);
        assert!(!is_shared || free.next().is_none(), "zones of {group:?}");
    }
    let load = |node: &NodeId| groups().filter(|group| group.replica_on(*node).is_some()).count();
    let led = |node: &NodeId| groups().filter(|group| group.preferred_leader == *node).count();
    for (from, to) in active.iter().flat_map(|from| active.iter().map(move |to| (from, to))) {
        let is_uneven = |count: &dyn Fn(&NodeId) -> usize| {
            (count(to) as u64 + 1) * weight(from) < count(from) as u64 * weight(to)
        };
        let can_move = |group: &&Group| {
            let own = usize::from(zone(*from) == zone(*to));
            group.replica_on(*from).is_some()
                && group.replica_on(*to).is_none()
                && in_zone(group, zone(*to)) - own < in_zone(group, zone(*from))
        };
        if is_uneven(&load) {
            assert_eq!(groups().find(can_move), None, "from {from} to {to}");
        }
        if is_uneven(&led) {
            let can_lead =
                |group: &&Group| group.preferred_leader == *from && group.replica_on(*to).is_some();
            assert_eq!(groups().find(can_lead), None, "leader from {from} to {to}");
        }
    }
}
