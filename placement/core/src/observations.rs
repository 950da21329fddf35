//! What the leader has heard from nodes lately: which are alive, what they hold, and what the leader
//! of each group reports of its members.
//!
//! In memory only, never replicated: it is out of date by nature, and a new leader receives all of
//! it within one heartbeat. Decides nothing; hints and the reconciler are built on it. Bounded by the
//! nodes and groups of the topology. Time is a number of milliseconds since a fixed start, passed in
//! by the caller.

mod groups;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{Epoch, GroupId, NodeId, ReplicaId, Topology};

use crate::divergence::{StateHash, StateHashes};
use crate::observations::groups::LeaderReports;
pub use crate::observations::groups::{CAUGHT_UP_ENTRIES, LeaderReport, MemberReport, MemberRole};
use crate::observations::nodes::NodeReports;

/// A node not heard from for this long is not alive: five missed heartbeats.
pub const ALIVE_MS: u64 = 5_000;

/// A new leader judges no node silent before it has led for this long: every live node has been
/// heard from twice over by then.
const SETTLED_MS: u64 = 2 * ALIVE_MS;

/// What a node reports about one of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    pub group: GroupId,
    /// Its replica on the node, if the node names it.
    pub replica: Option<ReplicaId>,
    pub leader: bool,
    pub term: u64,
    pub state_hashes: Vec<StateHash>,
    /// Leader only: the epoch of the change that made the members in force, and the members.
    pub members_epoch: Epoch,
    pub members: Vec<MemberReport>,
    /// Size of the group's state.
    pub state_bytes: u64,
}

impl GroupReport {
    /// A report of a replica that follows and says nothing else.
    pub fn new(group: GroupId, replica: Option<ReplicaId>, term: u64) -> Self {
        Self {
            group,
            replica,
            leader: false,
            term,
            state_hashes: Vec::new(),
            members_epoch: Epoch::default(),
            members: Vec::new(),
            state_bytes: 0,
        }
    }
}

/// The heartbeats received, reduced to what is needed of them.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// When this replica became the leader, while it is.
    leading_since_ms: Option<u64>,
    nodes: NodeReports,
    leaders: LeaderReports,
    state_hashes: StateHashes,
}

impl Observations {
    /// Notes that this replica leads.
    pub fn leads(&mut self, now_ms: u64) {
        self.leading_since_ms.get_or_insert(now_ms);
    }

    /// Notes that this replica does not lead: what it heard is out of date when it leads again.
    pub fn follows(&mut self) {
        if self.leading_since_ms.is_some() {
            *self = Self::default();
        }
    }

    /// Notes that a node was heard from.
    pub fn heard(&mut self, now_ms: u64, node: NodeId) {
        self.nodes.heard(now_ms, node);
    }

    /// Takes in a node's report on its groups, made when it knew the topology of an epoch. Of a
    /// group's leaders that of the highest term counts.
    pub fn reported(&mut self, now_ms: u64, node: NodeId, epoch: Epoch, reports: &[GroupReport]) {
        self.heard(now_ms, node);
        let replicas = reports.iter().filter_map(|report| report.replica).collect();
        self.nodes.holds(node, epoch, replicas);
        for report in reports {
            self.state_hashes.reported(report.group, node, report.state_hashes.clone());
            if report.leader {
                let leader = LeaderReport {
                    node,
                    term: report.term,
                    members_epoch: report.members_epoch,
                    members: report.members.clone(),
                    state_bytes: report.state_bytes,
                };
                self.leaders.leads(report.group, leader);
            } else {
                self.leaders.follows(report.group, node, report.term);
            }
        }
    }

    /// Whether a node was heard from within [`ALIVE_MS`].
    pub fn is_alive(&self, now_ms: u64, node: NodeId) -> bool {
        self.nodes.heard_ms(node).is_some_and(|heard| now_ms.saturating_sub(heard) < ALIVE_MS)
    }

    /// The nodes heard from within [`ALIVE_MS`].
    pub fn alive(&self, now_ms: u64) -> BTreeSet<NodeId> {
        let alive = |heard: u64| now_ms.saturating_sub(heard) < ALIVE_MS;
        self.nodes.iter().filter(|(_, heard)| alive(*heard)).map(|(node, _)| node).collect()
    }

    /// For how long a node has been silent, 0 if it is alive. `None` while this replica does not
    /// lead or has led for too short a time to judge: silence is counted from then on, and that of a
    /// node that was never heard from, from when it was first known.
    pub fn silent_ms(&self, now_ms: u64, node: NodeId) -> Option<u64> {
        let since = self.leading_since_ms?;
        if now_ms < since + SETTLED_MS {
            return None;
        }
        if self.is_alive(now_ms, node) {
            return Some(0);
        }
        let silent_since = self.nodes.silent_since_ms(node)?.max(since);
        Some(now_ms.saturating_sub(silent_since))
    }

    /// How long ago a node was heard from; `None` if it never was.
    pub fn heard_ago(&self, now_ms: u64, node: NodeId) -> Option<u64> {
        self.nodes.heard_ms(node).map(|heard| now_ms.saturating_sub(heard))
    }

    /// The leader last reported for each group, if its node is alive.
    pub fn leaders(&self, now_ms: u64) -> BTreeMap<GroupId, NodeId> {
        let leaders = self.leaders.iter().map(|(group, report)| (group, report.node));
        leaders.filter(|(_, node)| self.is_alive(now_ms, *node)).collect()
    }

    /// The last report of the group's leader, if its node is alive.
    pub fn leader(&self, now_ms: u64, group: GroupId) -> Option<&LeaderReport> {
        self.leaders.get(group).filter(|report| self.is_alive(now_ms, report.node))
    }

    /// Whether the node has reported without the replica, and no longer creates it: it knows the
    /// topology of the epoch at which the replica was dropped.
    pub fn lacks(&self, node: NodeId, replica: ReplicaId, dropped: Epoch) -> bool {
        self.nodes.lacks(node, replica, dropped)
    }

    /// The groups in which the node's replica differs from a majority, by the last reports.
    pub fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        self.state_hashes.diverged_groups(topology, node)
    }

    /// Notes the nodes of the topology, and drops what it does not name, which bounds the memory in
    /// use.
    pub fn retain_known(&mut self, now_ms: u64, topology: &Topology) {
        for node in topology.nodes.keys() {
            self.nodes.know(now_ms, *node);
        }
        let is_known = |node| topology.nodes.contains_key(&node);
        self.state_hashes.retain_known(topology);
        self.nodes.retain(is_known);
        self.leaders.retain(|group, node| topology.groups.contains_key(&group) && is_known(node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn report(leader: bool, term: u64) -> [GroupReport; 1] {
        [GroupReport { leader, ..GroupReport::new(GROUP, None, term) }]
    }

    fn holding(replicas: &[u64]) -> Vec<GroupReport> {
        let report = |id: &u64| GroupReport::new(GroupId(*id), Some(ReplicaId(*id)), 1);
        replicas.iter().map(report).collect()
    }

    fn leader(observations: &Observations) -> Option<u64> {
        observations.leaders(0).get(&GROUP).map(|node| node.0)
    }

    #[test]
    fn a_node_is_alive_for_five_seconds_after_it_was_heard() {
        let mut observations = Observations::default();
        observations.heard(1_000, NodeId(1));
        assert_eq!(observations.alive(5_999), [NodeId(1)].into());
        assert_eq!(observations.alive(6_000), [].into());
    }

    #[test]
    fn the_leader_of_the_highest_term_counts_in_any_order() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), Epoch(1), &report(true, 5));
        observations.reported(0, NodeId(1), Epoch(1), &report(true, 4));
        assert_eq!(leader(&observations), Some(2));
        observations.reported(0, NodeId(3), Epoch(1), &report(true, 6));
        assert_eq!(leader(&observations), Some(3));
    }

    #[test]
    fn only_the_leader_itself_withdraws_its_claim() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), Epoch(1), &report(true, 5));
        observations.reported(0, NodeId(1), Epoch(1), &report(false, 5));
        assert_eq!(leader(&observations), Some(2));
        observations.reported(0, NodeId(2), Epoch(1), &report(false, 6));
        assert_eq!(leader(&observations), None);
    }

    #[test]
    fn a_silent_node_is_no_leader() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), Epoch(1), &report(true, 5));
        assert_eq!(observations.leaders(ALIVE_MS), BTreeMap::new());
    }

    #[test]
    fn a_new_leader_judges_no_silence_and_counts_from_its_own_start() {
        let mut observations = Observations::default();
        observations.heard(1_000, NodeId(1));
        assert_eq!(observations.silent_ms(900_000, NodeId(1)), None, "it does not lead");
        observations.leads(900_000);
        observations.leads(905_000);
        observations.heard(908_000, NodeId(2));
        assert_eq!(observations.silent_ms(909_999, NodeId(1)), None);
        assert_eq!(observations.silent_ms(910_000, NodeId(1)), Some(10_000));
        assert_eq!(observations.silent_ms(910_000, NodeId(2)), Some(0));
        assert_eq!(observations.silent_ms(920_000, NodeId(2)), Some(12_000));
        observations.follows();
        assert_eq!(observations.silent_ms(920_000, NodeId(2)), None);
        assert_eq!(observations.alive(908_001), [].into());
    }

    #[test]
    fn a_replica_is_gone_when_two_reports_of_a_later_topology_lack_it() {
        let mut observations = Observations::default();
        let lacks = |observations: &Observations, id| {
            observations.lacks(NodeId(1), ReplicaId(id), Epoch(7))
        };
        assert!(!lacks(&observations, 3), "never heard");
        observations.reported(0, NodeId(1), Epoch(6), &holding(&[3]));
        observations.reported(0, NodeId(1), Epoch(6), &holding(&[]));
        observations.reported(0, NodeId(1), Epoch(7), &holding(&[]));
        assert!(!lacks(&observations, 3), "one report of that topology");
        observations.reported(0, NodeId(1), Epoch(8), &holding(&[4]));
        assert!(lacks(&observations, 3));
        assert!(!lacks(&observations, 4));
        observations.reported(0, NodeId(1), Epoch(8), &holding(&[3]));
        assert!(!lacks(&observations, 3), "it was created late");
    }
}
