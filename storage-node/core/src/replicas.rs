//! Which replicas are missing on this node: the difference between topology and engine.
//!
//! Level-triggered: it is called again with the present state and keeps no state of its own.
//! Invariant: a replica starts as a founding voter only while its group has the replicas it was
//! created with; every other one joins: it starts empty, without a vote, and waits for its leader.

use ringkv_consensus::{Genesis, GroupStatus, Members};
use ringkv_topology::{Group, NodeId, Role, Slot, Topology};

/// A replica to set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub genesis: Genesis,
    /// This node should lead the group: stand for election at once.
    pub campaign: bool,
}

/// The replicas that the topology places on `node` and the engine does not have, by group. While
/// an earlier replica of a group is here, the next one is not missing yet. `owned_slots` encodes
/// the slots a group starts with.
pub fn missing(
    topology: &Topology,
    node: NodeId,
    present: &[GroupStatus],
    owned_slots: impl Fn(&[Slot]) -> bytes::Bytes,
) -> Vec<Missing> {
    let is_present = |group: &Group| present.iter().any(|status| status.group == group.id);
    let absent = topology.groups.values().filter(|group| !is_present(group));
    absent
        .filter_map(|group| {
            let replica = group.replica_on(node).filter(|replica| replica.role != Role::Leaving)?;
            let is_founding = group.is_founding() || cfg!(feature = "planted-founding-genesis");
            let members = if is_founding { founding(group) } else { Members::default() };
            let slots: Vec<Slot> = topology.slots_of(group.id).collect();
            let genesis = Genesis {
                group: group.id,
                replica: replica.id,
                members,
                context: owned_slots(&slots),
            };
            Some(Missing { genesis, campaign: is_founding && group.preferred_leader == node })
        })
        .collect()
}

fn founding(group: &Group) -> Members {
    let voters = group.voters().map(|replica| (replica.id, replica.node));
    Members::of_voters(voters).as_of(group.formed)
}

/// Why clients should not be sent to this node yet; `None` when all of its replicas are in use.
pub fn unready_reason(
    topology: Option<&Topology>,
    node: NodeId,
    present: &[GroupStatus],
) -> Option<String> {
    let Some(topology) = topology.filter(|topology| topology.is_bootstrapped()) else {
        return Some("the cluster is not bootstrapped yet".to_owned());
    };
    let mine: Vec<&Group> =
        topology.groups.values().filter(|group| votes_on(group, node)).collect();
    let led = |group: &&&Group| {
        present.iter().any(|status| status.group == group.id && status.leader.is_some())
    };
    let waiting = mine.len() - mine.iter().filter(led).count();
    (waiting > 0).then(|| format!("{waiting} of {} groups here have no leader", mine.len()))
}

fn votes_on(group: &Group, node: NodeId) -> bool {
    group.replica_on(node).is_some_and(|replica| replica.role == Role::Voter)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringkv_topology::{Epoch, GroupId, ReplicaId};

    use super::*;
    use crate::testing::topology::{bootstrapped, status};

    fn count(slots: &[Slot]) -> Bytes {
        Bytes::from(slots.len().to_string())
    }

    #[test]
    fn a_fresh_node_lacks_all_its_replicas_and_campaigns_where_it_is_preferred() {
        let topology = bootstrapped(3);
        let missing = missing(&topology, NodeId(2), &[], count);
        let groups: Vec<_> = missing.iter().map(|m| (m.genesis.group.0, m.campaign)).collect();
        assert_eq!(groups, [(1, false), (2, true), (3, false)]);
        let genesis = &missing[1].genesis;
        assert_eq!(genesis.replica, ReplicaId(22));
        assert_eq!(genesis.members.node_of(ReplicaId(23)), Some(NodeId(3)));
        assert_eq!(genesis.members.voters.len(), 3);
        assert_eq!(genesis.context, "5");
    }

    #[test]
    fn what_is_there_or_elsewhere_or_leaves_is_not_missing() {
        let mut topology = bootstrapped(3);
        let present = [status(1, 2, None), status(2, 2, None)];
        assert!(missing(&topology, NodeId(9), &[], count).is_empty());
        assert_eq!(missing(&topology, NodeId(2), &present, count).len(), 1);
        let group = topology.groups.get_mut(&GroupId(3)).unwrap();
        group.replicas[1].role = Role::Leaving;
        assert!(missing(&topology, NodeId(2), &present, count).is_empty());
    }

    #[test]
    fn a_replica_of_a_group_that_has_changed_joins() {
        let mut topology = bootstrapped(3);
        let group = topology.groups.get_mut(&GroupId(2)).unwrap();
        assert_eq!(founding(group).epoch, Epoch(2));
        group.changed = Epoch(3);
        group.replicas[1].id = ReplicaId(40);
        group.replicas[1].role = Role::Learner;
        let missing = missing(&topology, NodeId(2), &[], count);
        let joining: Vec<_> = missing.iter().map(|m| m.genesis.is_joining()).collect();
        assert_eq!(joining, [false, true, false]);
        assert!(!missing[1].campaign, "it has no vote yet");
        assert_eq!(missing[1].genesis.replica, ReplicaId(40));
    }

    #[test]
    fn ready_once_every_local_group_has_a_leader() {
        let topology = bootstrapped(2);
        let node = NodeId(1);
        assert!(unready_reason(None, node, &[]).is_some());
        let halfway = [status(1, 1, Some(1)), status(2, 1, None)];
        let reason = unready_reason(Some(&topology), node, &halfway);
        assert_eq!(reason.as_deref(), Some("1 of 2 groups here have no leader"));
        let led = [status(1, 1, Some(1)), status(2, 1, Some(2))];
        assert_eq!(unready_reason(Some(&topology), node, &led), None);
    }
}
