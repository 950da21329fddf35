//! When to return a group's leadership to the node that should lead it.
//!
//! After a failure leaders gather on the nodes that stayed up. Once the preferred node's replica
//! has been active and caught up for several steps in a row, leadership returns, one group per
//! step, so that clients see at most one change of leader at a time. The same group waits before
//! it returns again, so that a node that cannot keep leadership does not get it without end.

use std::collections::BTreeMap;

use ringkv_consensus::{GroupStatus, Role};
use ringkv_topology::{GroupId, NodeId, Topology};

use crate::peer_health::PeerHealth;

/// Steps in a row for which the preferred node must be fit; one step is a second.
const STEPS_FIT: u32 = 3;
/// A replica this close behind takes over within a round trip.
const LAG_ENTRIES_MAX: u64 = 64;
/// Steps before the same group is handed back again.
const STEPS_BETWEEN: u32 = 30;

/// What has been seen of the groups led here.
#[derive(Debug, Default)]
pub struct LeadershipReturn {
    /// Steps in a row each group's preferred node has been fit.
    fit: BTreeMap<GroupId, u32>,
    /// Steps each group still waits after a return.
    waits: BTreeMap<GroupId, u32>,
}

impl LeadershipReturn {
    /// Takes the present state, once a second, and returns at most one group with the node to
    /// transfer its leadership to. `peers` knows which nodes answer: what a single group has heard
    /// lately is not enough to decide.
    pub fn step(
        &mut self,
        topology: &Topology,
        node: NodeId,
        present: &[GroupStatus],
        peers: &PeerHealth,
    ) -> Option<(GroupId, NodeId)> {
        self.waits.retain(|_, steps| {
            *steps -= 1;
            *steps > 0
        });
        let fit: Vec<(GroupId, NodeId)> = present
            .iter()
            .filter_map(|status| Some((status.group, fit_owner(topology, node, status, peers)?)))
            .collect();
        self.fit.retain(|group, _| fit.iter().any(|(other, _)| other == group));
        for (group, _) in &fit {
            let steps = self.fit.entry(*group).or_default();
            *steps = steps.saturating_add(1);
        }
        let due = fit
            .into_iter()
            .find(|(group, _)| self.fit[group] >= STEPS_FIT && !self.waits.contains_key(group))?;
        self.fit.remove(&due.0);
        self.waits.insert(due.0, STEPS_BETWEEN);
        Some(due)
    }
}

/// The node that should lead a group led here and could do so now.
fn fit_owner(
    topology: &Topology,
    node: NodeId,
    status: &GroupStatus,
    peers: &PeerHealth,
) -> Option<NodeId> {
    let preferred = topology.groups.get(&status.group)?.preferred_leader;
    if status.role != Role::Leader || preferred == node {
        return None;
    }
    let peer = status.peers.iter().find(|peer| peer.node == preferred)?;
    let fit = peer.voter && peers.answers(preferred) && peer.lag_entries <= LAG_ENTRIES_MAX;
    fit.then_some(preferred)
}

#[cfg(test)]
mod tests {
    use ringkv_consensus::{LogIndex, PeerStatus};
    use ringkv_topology::ReplicaId;

    use super::*;
    use crate::testing::topology::{bootstrapped, status};

    /// Node 1 leads `group`, whose preferred node `group` is `lag` entries behind.
    fn led(group: u64, lag: u64) -> GroupStatus {
        let peer = PeerStatus {
            node: NodeId(group),
            replica: ReplicaId(10 * group + group),
            matched: LogIndex(1),
            lag_entries: lag,
            recently_active: true,
            voter: true,
        };
        GroupStatus { peers: vec![peer], ..status(group, 1, Some(1)) }
    }

    /// Takes a step of node 1 in a cluster of three.
    fn step(returns: &mut LeadershipReturn, present: &[GroupStatus]) -> Option<(GroupId, NodeId)> {
        let mut peers = PeerHealth::default();
        peers.look(NodeId(1), present);
        returns.step(&bootstrapped(3), NodeId(1), present, &peers)
    }

    #[test]
    fn a_fit_owner_gets_its_group_back_after_three_steps_and_one_group_at_a_time() {
        let mut returns = LeadershipReturn::default();
        let present = [status(1, 1, Some(1)), led(2, 0), led(3, 0)];
        let mut step = || step(&mut returns, &present);
        assert_eq!((step(), step()), (None, None));
        assert_eq!(step(), Some((GroupId(2), NodeId(2))));
        assert_eq!(step(), Some((GroupId(3), NodeId(3))));
        assert_eq!(step(), None);
    }

    #[test]
    fn a_lapse_starts_the_count_again() {
        let mut returns = LeadershipReturn::default();
        for lag in [0, 0, 1_000, 0, 0] {
            assert_eq!(step(&mut returns, &[led(2, lag)]), None);
        }
        assert!(step(&mut returns, &[led(2, 0)]).is_some());
    }

    #[test]
    fn an_owner_that_does_not_answer_gets_nothing() {
        let mut returns = LeadershipReturn::default();
        let mut silent = led(2, 0);
        silent.peers[0].recently_active = false;
        for _ in 0..10 {
            assert_eq!(step(&mut returns, std::slice::from_ref(&silent)), None);
        }
    }

    #[test]
    fn a_node_that_cannot_hold_it_is_not_asked_again_at_once() {
        let mut returns = LeadershipReturn::default();
        let given: Vec<u32> =
            (1..=70).filter(|_| step(&mut returns, &[led(2, 0)]).is_some()).collect();
        assert_eq!(given, [3, 33, 63]);
    }
}
