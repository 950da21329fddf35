//! What a placement that was wholly lost is rebuilt to, from what the storage nodes have.
//!
//! The newest topology that any node has is the base; where a group has changed since, the members
//! that its replicas have in force win. Invariants: the cluster's id stays; epochs and ids go on with
//! a wide gap above everything seen, so that nothing the lost placement assigned after the last seen
//! state is assigned again. Pure: the caller asks the nodes and writes the result.

mod found;

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, Replica, ReplicaId, Role, Topology,
};

pub use found::{GroupFound, NodeFound};

use crate::place::Place;
use crate::start::Peers;
use crate::state::{Cluster, PlacementMembers, Recovery, State};

/// Epochs and ids that are left out: more than a placement assigns in years.
pub const GAP: u64 = 1_000_000;
const CAPACITY_DEFAULT: u32 = 100;

/// What would be rebuilt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryPlan {
    /// The recovered topology, at its first epoch.
    pub topology: Topology,
    /// The newest epoch that a node had.
    pub epoch_found: Epoch,
    pub last_node: u64,
    pub last_replica: u64,
    /// The nodes that answered.
    pub nodes: BTreeSet<NodeId>,
    /// The nodes of the newest topology that did not.
    pub missing: BTreeMap<NodeId, String>,
    /// What is different from the newest topology, for the operator.
    pub notes: Vec<String>,
}

/// Why the answers cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CannotRecover {
    #[error("no storage node answered")]
    NoNode,
    #[error("no storage node has a topology: nothing was stored, start placement empty")]
    NoTopology,
    #[error("nodes of different clusters answered: {0} and {1}; name those of one cluster")]
    TwoClusters(ClusterId, ClusterId),
    #[error("{first} and {second} both say that they are node {node}; stop one of them")]
    NodeTwice { node: NodeId, first: String, second: String },
    #[error(
        "group {group} has a replica on node {node}, which did not answer and whose address no \
         topology has; add it to --nodes"
    )]
    UnknownNode { group: GroupId, node: NodeId },
    #[error(
        "{answered} of the {of} nodes of the newest topology answered, no majority; \
         missing: {missing}"
    )]
    NoMajority { answered: usize, of: usize, missing: String },
}

/// Plans the recovery from the answers of the nodes.
///
/// # Errors
/// [`CannotRecover`] says which answers contradict each other.
pub fn plan(found: &[NodeFound]) -> Result<RecoveryPlan, CannotRecover> {
    let by_id = distinct(found)?;
    let newest = found.iter().filter_map(|node| node.topology.as_ref());
    let newest = newest.max_by_key(|topology| topology.epoch).ok_or(CannotRecover::NoTopology)?;
    let mut topology = newest.clone();
    let mut notes = Vec::new();
    for (id, node) in &by_id {
        take_node(&mut topology, *id, &node.address, &mut notes);
    }
    for group in topology.groups.values_mut() {
        take_members(group, found, &mut notes);
    }
    for group in topology.groups.values() {
        let known = |replica: &&Replica| !topology.nodes.contains_key(&replica.node);
        if let Some(replica) = group.replicas.iter().find(known) {
            return Err(CannotRecover::UnknownNode { group: group.id, node: replica.node });
        }
    }
    let silent = newest.nodes.values().filter(|node| !by_id.contains_key(&node.id));
    let missing = silent.map(|node| (node.id, node.address.clone())).collect();
    topology.epoch = Epoch(highest_epoch(found) + GAP);
    let nodes: BTreeSet<NodeId> = by_id.keys().copied().collect();
    let last_node = topology.nodes.keys().map(|id| id.0).max().unwrap_or(0) + GAP;
    let last_replica = highest_replica(&topology, found) + GAP;
    let epoch_found = newest.epoch;
    Ok(RecoveryPlan { topology, epoch_found, last_node, last_replica, nodes, missing, notes })
}

impl RecoveryPlan {
    /// Checks that a majority of the nodes that the newest topology names have answered: a smaller
    /// part may have missed changes.
    ///
    /// # Errors
    /// Names the missing nodes.
    pub fn check_majority(&self) -> Result<(), CannotRecover> {
        let named = self.topology.nodes.len();
        let answered = named - self.missing.len();
        if answered > named / 2 {
            return Ok(());
        }
        let missing = self.missing.iter().map(|(id, address)| format!("{id} at {address}"));
        let missing = missing.collect::<Vec<_>>().join(", ");
        Err(CannotRecover::NoMajority { answered, of: named, missing })
    }

    /// The state of the first replica of the recovered placement.
    pub fn into_state(self, me: Place, peers: &Peers, at_s: u64, by: String) -> State {
        let record = Recovery {
            at_s,
            by,
            nodes: self.nodes.iter().map(|node| node.0).collect(),
            epoch_found: self.epoch_found,
            epoch: self.topology.epoch,
        };
        let (id, settings) = (self.topology.cluster, self.topology.settings);
        let cluster = Cluster {
            topology: self.topology,
            last_node: self.last_node,
            last_replica: self.last_replica,
            ..Cluster::new(id, settings)
        };
        let members = PlacementMembers::founded(me, peers);
        State {
            cluster: Some(cluster),
            members: PlacementMembers { recoveries: vec![record], ..members },
        }
    }
}

/// The answers by node, all of one cluster.
fn distinct(found: &[NodeFound]) -> Result<BTreeMap<NodeId, &NodeFound>, CannotRecover> {
    let first = found.first().ok_or(CannotRecover::NoNode)?;
    let mut by_id: BTreeMap<NodeId, &NodeFound> = BTreeMap::new();
    for node in found {
        if node.cluster != first.cluster {
            return Err(CannotRecover::TwoClusters(first.cluster, node.cluster));
        }
        if let Some(other) = by_id.insert(node.node, node).filter(|other| *other != node) {
            let (first, second) = (other.address.clone(), node.address.clone());
            return Err(CannotRecover::NodeTwice { node: node.node, first, second });
        }
    }
    Ok(by_id)
}

/// A node that answers is where it says; one that the topology does not know has registered since.
fn take_node(topology: &mut Topology, id: NodeId, address: &str, notes: &mut Vec<String>) {
    if let Some(node) = topology.nodes.get_mut(&id) {
        if node.address != address {
            notes.push(format!("node {id} has moved from {} to {address}", node.address));
            node.address = address.to_owned();
        }
        return;
    }
    notes.push(format!("node {id} at {address} is newer than the newest topology"));
    let (address, zone) = (address.to_owned(), String::new());
    let node = Node { id, address, zone, capacity: CAPACITY_DEFAULT, state: NodeState::Active };
    topology.nodes.insert(id, node);
}

/// Takes the members in force where they are newer than the topology.
fn take_members(group: &mut Group, found: &[NodeFound], notes: &mut Vec<String>) {
    let all = found.iter().flat_map(|node| &node.groups);
    let of_group = all.filter(|found| found.group == group.id && !found.replicas.is_empty());
    let Some(newest) = of_group.max_by_key(|found| (found.members_epoch, found.term)) else {
        notes.push(format!("no node that answered has a replica of group {}", group.id));
        return;
    };
    if newest.members_epoch <= group.changed {
        return;
    }
    notes.push(format!(
        "group {} has changed its members since, at epoch {}",
        group.id, newest.members_epoch
    ));
    group.replicas.clone_from(&newest.replicas);
    group.replicas.sort_by_key(|replica| replica.id);
    group.changed = newest.members_epoch;
    let leads =
        |replica: &Replica| replica.node == group.preferred_leader && replica.role == Role::Voter;
    if !group.replicas.iter().any(leads) {
        let voter = group.voters().next().map(|voter| voter.node);
        group.preferred_leader = voter.unwrap_or(group.preferred_leader);
    }
}

fn highest_epoch(found: &[NodeFound]) -> u64 {
    let topologies = found.iter().filter_map(|node| node.topology.as_ref());
    let groups = found.iter().flat_map(|node| &node.groups);
    let epochs = topologies.map(|topology| topology.epoch);
    epochs.chain(groups.map(|group| group.members_epoch)).max().unwrap_or_default().0
}

fn highest_replica(topology: &Topology, found: &[NodeFound]) -> u64 {
    let older = found.iter().filter_map(|node| node.topology.as_ref()).chain([topology]);
    let placed = older.flat_map(|topology| topology.groups.values());
    let placed = placed.flat_map(|group| group.replicas.iter().map(|replica| replica.id));
    let groups = found.iter().flat_map(|node| &node.groups);
    let there = groups
        .flat_map(|group| group.replicas.iter().map(|replica| replica.id).chain([group.replica]));
    placed.chain(there).max().unwrap_or(ReplicaId(0)).0
}

#[cfg(test)]
mod tests;
