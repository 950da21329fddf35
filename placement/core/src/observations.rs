//! What the leader has lately heard from nodes: who is alive, who leads which group.
//!
//! In memory only, never replicated: it is out of date by nature, and a new leader has heard it
//! all within a heartbeat. Decides nothing; hints and the reconciler are built on it.
//! Time is a count of milliseconds from any fixed start, handed in by the caller.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{GroupId, NodeId, NodeState, Topology};

use crate::divergence::{Checkpoint, Checkpoints};

/// A node that was not heard for so long is not counted as alive: five missed heartbeats.
pub const ALIVE_MS: u64 = 5_000;

/// What one node says of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupReport {
    pub group: GroupId,
    pub leader: bool,
    pub term: u64,
    pub checkpoints: Vec<Checkpoint>,
}

/// The heartbeats heard, reduced to what is asked of them.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    heard_ms: BTreeMap<NodeId, u64>,
    leaders: BTreeMap<GroupId, Leader>,
    checkpoints: Checkpoints,
}

#[derive(Clone, Copy, Debug)]
struct Leader {
    node: NodeId,
    term: u64,
}

impl Observations {
    /// A node gave a sign of life.
    pub fn heard(&mut self, now_ms: u64, node: NodeId) {
        self.heard_ms.insert(node, now_ms);
    }

    /// A node reported on its groups. The leader of the highest term is believed; a node that
    /// no longer leads takes back its own claim only.
    pub fn reported(&mut self, now_ms: u64, node: NodeId, reports: &[GroupReport]) {
        self.heard(now_ms, node);
        for report in reports {
            self.checkpoints.reported(report.group, node, report.checkpoints.clone());
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

    /// The nodes heard within [`ALIVE_MS`].
    pub fn alive(&self, now_ms: u64) -> BTreeSet<NodeId> {
        let alive = |heard: &u64| now_ms.saturating_sub(*heard) < ALIVE_MS;
        self.heard_ms.iter().filter(|(_, heard)| alive(heard)).map(|(node, _)| *node).collect()
    }

    /// The leader last reported of each group, as far as its node is alive.
    pub fn leaders(&self, now_ms: u64) -> BTreeMap<GroupId, NodeId> {
        let alive = self.alive(now_ms);
        let leaders = self.leaders.iter().filter(|(_, leader)| alive.contains(&leader.node));
        leaders.map(|(group, leader)| (*group, leader.node)).collect()
    }

    /// The groups of which the node's replica differs from a majority, by the last reports.
    pub fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        self.checkpoints.diverged_groups(topology, node)
    }

    /// Forgets what the topology does not name, which bounds what is kept.
    pub fn retain_known(&mut self, topology: &Topology) {
        let active = |node: &NodeId| {
            topology.nodes.get(node).is_some_and(|node| node.state == NodeState::Active)
        };
        self.checkpoints.retain_known(topology);
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
        [GroupReport { group: GROUP, leader, term, checkpoints: Vec::new() }]
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
    fn the_leader_of_the_highest_term_is_believed_in_any_order() {
        let mut observations = Observations::default();
        observations.reported(0, NodeId(2), &report(true, 5));
        observations.reported(0, NodeId(1), &report(true, 4));
        assert_eq!(leader(&observations), Some(2));
        observations.reported(0, NodeId(3), &report(true, 6));
        assert_eq!(leader(&observations), Some(3));
    }

    #[test]
    fn only_the_leader_itself_takes_its_claim_back() {
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
