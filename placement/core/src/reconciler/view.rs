//! What one round of planning sees: the state, the observations and the time. Decides nothing.

use std::collections::BTreeMap;

use ringkv_topology::{Group, Node, NodeId, NodeState, Replica, ReplicaId, Role, Topology};

use crate::observations::{LeaderReport, Observations};
use crate::reconciler::Now;
use crate::state::Cluster;

/// Nodes that a text names at most.
const NAMED_MAX: usize = 8;

/// The state and the observations at one time.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) cluster: &'a Cluster,
    pub(super) topology: &'a Topology,
    pub(super) observations: &'a Observations,
    pub(super) now: Now,
}

impl<'a> View<'a> {
    pub(super) fn is_alive(&self, node: NodeId) -> bool {
        self.observations.is_alive(self.now.observed_ms, node)
    }

    pub(super) fn node(&self, node: NodeId) -> Option<&'a Node> {
        self.topology.nodes.get(&node)
    }

    pub(super) fn is_active(&self, node: NodeId) -> bool {
        self.node(node).is_some_and(|node| node.state == NodeState::Active)
    }

    /// For how long the node has been silent; `None` while that cannot be judged.
    pub(super) fn silent_ms(&self, node: NodeId) -> Option<u64> {
        self.observations.silent_ms(self.now.observed_ms, node)
    }

    /// Whether the node has been silent for so long that its replicas are replaced.
    pub(super) fn is_lost(&self, node: NodeId) -> bool {
        let replace_after_ms = u64::from(self.topology.runtime.replace_after_s) * 1_000;
        self.silent_ms(node).is_some_and(|silent| silent >= replace_after_ms)
    }

    /// The last report of the group's leader, if it is alive.
    pub(super) fn leader(&self, group: &Group) -> Option<&'a LeaderReport> {
        self.observations.leader(self.now.observed_ms, group.id)
    }

    /// The leader's report, if no change of the group is running and the last one is complete.
    pub(super) fn settled(&self, group: &Group) -> Option<&'a LeaderReport> {
        let report = self.leader(group).filter(|_| !self.cluster.is_busy(group))?;
        (!report.is_joint() && report.matches(group)).then_some(report)
    }

    /// Nodes that can take replicas.
    pub(super) fn targets(&self) -> impl Iterator<Item = &'a Node> + '_ {
        let nodes = self.topology.nodes.values();
        nodes.filter(|node| node.state == NodeState::Active && self.is_alive(node.id))
    }

    pub(super) fn zone(&self, node: NodeId) -> &'a str {
        self.node(node).map_or("", |node| &node.zone)
    }

    /// How many of the group's replicas are in the zone, without the one that leaves.
    pub(super) fn in_zone(&self, group: &Group, leaving: Option<ReplicaId>, zone: &str) -> usize {
        let others = group.replicas.iter().filter(|replica| Some(replica.id) != leaving);
        others.filter(|replica| self.zone(replica.node) == zone).count()
    }

    /// Whether the current voters and those of the next configuration both have a majority that is
    /// alive and caught up. A replica that has just joined counts as caught up.
    pub(super) fn keeps_quorum(
        &self,
        group: &Group,
        report: &LeaderReport,
        leaving: Option<ReplicaId>,
        joins: bool,
    ) -> bool {
        let has_quorum = |live: usize, all: usize| live > all / 2;
        let is_live = |voter: &&Replica| report.is_caught_up(voter.id) && self.is_alive(voter.node);
        let stays = |voter: &&Replica| Some(voter.id) != leaving;
        let next = usize::from(joins);
        has_quorum(group.voters().filter(is_live).count(), group.voters().count())
            && has_quorum(
                group.voters().filter(stays).filter(is_live).count() + next,
                group.voters().filter(stays).count() + next,
            )
    }

    /// Why the node cannot take a replica of the group; `None` if it can.
    pub(super) fn why_not(&self, group: &Group, node: &Node) -> Option<String> {
        let id = node.id;
        let mut removed = self.cluster.removed.values();
        if group.replica_on(id).is_some() {
            Some(format!("node {id} has one already"))
        } else if node.state != NodeState::Active {
            Some(format!("node {id} is draining"))
        } else if !self.is_alive(id) {
            Some(format!("node {id} is silent"))
        } else if removed.any(|one| one.node == id && one.group == group.id) {
            Some(format!("node {id} has to destroy an older one first"))
        } else {
            None
        }
    }

    /// Why no node can take a replica of the group.
    pub(super) fn why_none(&self, group: &Group) -> String {
        let nodes = self.topology.nodes.values();
        let reasons: Vec<String> = nodes.filter_map(|node| self.why_not(group, node)).collect();
        let more = reasons.len().saturating_sub(NAMED_MAX);
        let named = reasons[..reasons.len() - more].join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        format!("group {}: no node can take a replica: {named}{more}", group.id)
    }

    /// The replicas that each node will have when the running moves are complete.
    pub(super) fn load(&self) -> BTreeMap<NodeId, u64> {
        let mut load: BTreeMap<NodeId, u64> =
            self.topology.nodes.keys().map(|node| (*node, 0)).collect();
        for group in self.topology.groups.values() {
            let leaving = self.cluster.moves.get(&group.id).and_then(|one| one.leaving);
            for replica in &group.replicas {
                if replica.role != Role::Leaving && Some(replica.id) != leaving {
                    *load.entry(replica.node).or_default() += 1;
                }
            }
        }
        load
    }
}
