//! The bootstrap plan: from the registered nodes to groups, replicas, leaders and slot owners.
//!
//! Owns the choice and names what it waits for; changes nothing itself (the placement state
//! machine does, and assigns the replica ids). Level-triggered: the same nodes always lead to the
//! same plan. Invariants: no two replicas of a group on one node, and none in a zone that already
//! has one while there is a zone without; preferred leaders and replicas in proportion to capacity.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::ids::{GroupId, NodeId};
use crate::ring::{Ring, WEIGHT_DEFAULT};
use crate::topology::{Node, NodeState, Settings};

/// Maximum number of groups at bootstrap: up to here the ring is balanced within its bound.
pub const GROUPS_MAX: usize = 256;

/// Leaders per node at bootstrap: enough to spread the load of a lost node over all others, few
/// enough that each write batch of a group stays large.
const GROUPS_PER_NODE: usize = 4;

/// What must be present before the cluster is bootstrapped.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootstrapWhen {
    /// At least this many nodes; never fewer than the replication factor.
    pub nodes: usize,
    /// Advertised addresses of nodes that must be alive.
    pub servers: BTreeSet<String>,
}

/// The first groups of a cluster and the owners of its slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootstrapPlan {
    /// The groups, ascending by id.
    pub groups: Vec<PlannedGroup>,
    /// Owner of slot `i` at index `i`.
    pub owners: Vec<GroupId>,
}

/// A group and the nodes of its voters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedGroup {
    /// Its id.
    pub id: GroupId,
    /// One voter each, on different nodes; the first is the preferred leader.
    pub nodes: Vec<NodeId>,
}

/// What the bootstrap waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BootstrapBlocked {
    /// Fewer nodes than needed are registered and alive.
    Nodes {
        /// Nodes that are registered and alive.
        present: usize,
        /// Nodes that the bootstrap needs.
        needed: usize,
    },
    /// No live node advertises these addresses of the servers file.
    Servers {
        /// The addresses, ascending.
        missing: Vec<String>,
    },
}

impl fmt::Display for BootstrapBlocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nodes { present, needed } => {
                write!(f, "{present} of {needed} nodes are registered and alive")
            }
            Self::Servers { missing } => {
                write!(f, "no live node advertises {}", missing.join(", "))
            }
        }
    }
}

/// Plans the first groups on those of `nodes` that are active. The caller passes live nodes only.
///
/// # Errors
/// [`BootstrapBlocked`] reports what is missing; call again when more nodes are alive.
pub fn plan_bootstrap<'a>(
    nodes: impl IntoIterator<Item = &'a Node>,
    settings: &Settings,
    when: &BootstrapWhen,
) -> Result<BootstrapPlan, BootstrapBlocked> {
    let nodes: BTreeMap<NodeId, &Node> = nodes
        .into_iter()
        .filter(|node| node.state == NodeState::Active)
        .map(|node| (node.id, node))
        .collect();
    let replicas = usize::from(settings.replication_factor);
    let needed = when.nodes.max(replicas);
    if nodes.len() < needed {
        return Err(BootstrapBlocked::Nodes { present: nodes.len(), needed });
    }
    let present: BTreeSet<&str> = nodes.values().map(|node| node.address.as_str()).collect();
    let missing: Vec<String> =
        when.servers.iter().filter(|server| !present.contains(server.as_str())).cloned().collect();
    if !missing.is_empty() {
        return Err(BootstrapBlocked::Servers { missing });
    }
    let slots = usize::from(settings.slot_count.get());
    let count = (nodes.len() * GROUPS_PER_NODE).min(GROUPS_MAX).min(slots);
    let mut spread = Spread { nodes, ..Spread::default() };
    let groups: Vec<PlannedGroup> = (1u64..)
        .take(count)
        .map(|id| PlannedGroup { id: GroupId(id), nodes: spread.place_group(replicas) })
        .collect();
    let weights: Vec<_> = groups.iter().map(|group| (group.id, WEIGHT_DEFAULT)).collect();
    let owners = Ring::new(&weights, settings.slot_count).owners();
    Ok(BootstrapPlan { groups, owners })
}

/// What has been assigned to each node so far.
#[derive(Default)]
struct Spread<'a> {
    nodes: BTreeMap<NodeId, &'a Node>,
    leaders: BTreeMap<NodeId, u64>,
    replicas: BTreeMap<NodeId, u64>,
    /// Number of groups that two nodes share, lower id first.
    shared: BTreeMap<(NodeId, NodeId), u64>,
}

impl Spread<'_> {
    /// Picks the leader by how much each node leads, then the others by zone, by load, and by how
    /// rarely they share a group with those picked: then the load of a lost node falls on many.
    fn place_group(&mut self, replicas: usize) -> Vec<NodeId> {
        let mut picked = Vec::with_capacity(replicas);
        let leader = self.pick(&picked, |spread, node, _| spread.fill(&spread.leaders, node));
        *self.leaders.entry(leader).or_default() += 1;
        self.take(leader, &mut picked);
        while picked.len() < replicas {
            let next = self.pick(&picked, |spread, node, picked| {
                let zone = |id: &NodeId| spread.nodes[id].zone.as_str();
                picked.iter().filter(|other| zone(other) == node.zone).count() as u64
            });
            self.take(next, &mut picked);
        }
        picked
    }

    /// The first node that is not picked yet, by `before_all`, then by load.
    fn pick(
        &self,
        picked: &[NodeId],
        before_all: impl Fn(&Self, &Node, &[NodeId]) -> u64,
    ) -> NodeId {
        let rank = |node: &Node| {
            let shared =
                picked.iter().map(|other| self.shared_groups(*other, node.id)).sum::<u64>();
            let load = self.fill(&self.replicas, node);
            (before_all(self, node, picked), load, shared, Reverse(node.capacity), node.id)
        };
        let free = self.nodes.values().filter(|node| !picked.contains(&node.id));
        free.min_by_key(|node| rank(node)).expect("there are as many nodes as replicas").id
    }

    fn take(&mut self, node: NodeId, picked: &mut Vec<NodeId>) {
        *self.replicas.entry(node).or_default() += 1;
        for other in picked.iter() {
            *self.shared.entry(((*other).min(node), (*other).max(node))).or_default() += 1;
        }
        picked.push(node);
    }

    /// How full a node would be with one more, in millionths of its capacity.
    fn fill(&self, assigned: &BTreeMap<NodeId, u64>, node: &Node) -> u64 {
        let count = assigned.get(&node.id).copied().unwrap_or_default() + 1;
        count * 1_000_000 / u64::from(node.capacity.max(1))
    }

    fn shared_groups(&self, a: NodeId, b: NodeId) -> u64 {
        self.shared.get(&(a.min(b), a.max(b))).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
