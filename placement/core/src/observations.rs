//! What the leader has heard from nodes lately: which are alive, and which leads each group.
//!
//! In memory only, never replicated: it is out of date by nature, and a new leader receives all of
//! it within one heartbeat. Decides nothing; hints and the reconciler are built on it. Time is a
//! number of milliseconds since a fixed start, passed in by the caller.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{GroupId, NodeId, NodeState, Topology};

use crate::divergence::{StateHash, StateHashes};

/// A node not heard from for this long is not alive: five missed heartbeats.
pub const ALIVE_MS: u64 = 5_000;

/// What a node reports about one of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    pub group: GroupId,
    pub leader: bool,
    pub term: u64,
    pub state_hashes: Vec<StateHash>,
}

/// The heartbeats received, reduced to what is needed of them.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    heard_ms: BTreeMap<NodeId, u64>,
    leaders: BTreeMap<GroupId, Leader>,
    state_hashes: StateHashes,
}

#[derive(Clone, Copy, Debug)]
struct Leader {
    node: NodeId,
    term: u64,
}

impl Observations {
    /// Notes that a node was heard from.
    pub fn heard(&mut self, now_ms: u64, node: NodeId) {
        self.heard_ms.insert(node, now_ms);
    }

    /// Takes in a node's report on its groups. The leader of the highest term counts; a node that
    /// no longer leads withdraws its own claim only.
    pub fn reported(&mut self, now_ms: u64, node: NodeId, reports: &[GroupReport]) {
        self.heard(now_ms, node);
        for report in reports {
            self.state_hashes.reported(report.group, node, report.state_hashes.clone());
            let known = self.leaders.get(&report.group);
            if report.leader {
                if known.is_none_or(|known| known.term <= report.term) {
                    self.leaders.insert(report.group, Leader { node, term: report.term });
                }
            } else if known.is_some_and(|known| known.node == node && known.term <= report.term) {
                self.leaders.remove(&report.group);
            }
        }
    }

    /// The nodes heard from within [`ALIVE_MS`].
    pub fn alive(&self, now_ms: u64) -> BTreeSet<NodeId> {
        let alive = |heard: &u64| now_ms.saturating_sub(*heard) < ALIVE_MS;
        self.heard_ms.iter().filter(|(_, heard)| alive(heard)).map(|(node, _)| *node).collect()
    }

    /// The leader last reported for each group, if its node is alive.
    pub fn leaders(&self, now_ms: u64) -> BTreeMap<GroupId, NodeId> {
        let alive = self.alive(now_ms);
        let leaders = self.leaders.iter().filter(|(_, leader)| alive.contains(&leader.node));
        leaders.map(|(group, leader)| (*group, leader.node)).collect()
    }

    /// The groups in which the node's replica differs from a majority, by the last reports.
    pub fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        self.state_hashes.diverged_groups(topology, node)
    }

    /// Drops what the topology does not name, which bounds the memory in use.
    pub fn retain_known(&mut self, topology: &Topology) {
        let active = |node: &NodeId| {
            topology.nodes.get(node).is_some_and(|node| node.state == NodeState::Active)
        };
        self.state_hashes.retain_known(topology);
        self.heard_ms.retain(|node, _| active(node));
        self.leaders
            .retain(|group, leader| topology.groups.contains_key(group) && active(&leader.node));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);

    fn report(leader: bool, term: u64) -> [GroupReport; 1] {
        [GroupReport { group: GROUP, leader, term, state_hashes: Vec::new() }]
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
        observations.reported(0, NodeId(2), &report(true, 5));
        observations.reported(0, NodeId(1), &report(true, 4));
        assert_eq!(leader(&observations), Some(2));
        observations.reported(0, NodeId(3), &report(true, 6));
        assert_eq!(leader(&observations), Some(3));
    }

    #[test]
    fn only_the_leader_itself_withdraws_its_claim() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), &report(true, 5));
        observations.reported(0, NodeId(1), &report(false, 5));
        assert_eq!(leader(&observations), Some(2));
        observations.reported(0, NodeId(2), &report(false, 6));
        assert_eq!(leader(&observations), None);
    }

    #[test]
    fn a_silent_node_is_no_leader() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), &report(true, 5));
        assert_eq!(observations.leaders(ALIVE_MS), BTreeMap::new());
    }
}
