//! Which peers are healthy, from the messages that this node's replicas receive.
//!
//! A leader receives from its followers, a follower from its leader. Raft resets its own record at
//! every check of the quorum, so a single check may find a healthy peer silent: a peer counts as
//! silent only after several checks in a row. A node that shares no group with this one is not
//! checked.

use std::collections::BTreeMap;

use ringkv_consensus::GroupStatus;
use ringkv_topology::NodeId;

/// Checks in a row without a sign of activity: 1.5 s at ten a second. Raft resets its record every
/// 500 ms and receives again within 100 ms, so a healthy peer is never silent for so long.
const SILENT_LOOKS_MAX: u32 = 15;

/// The signs of activity seen so far.
#[derive(Debug, Default)]
pub struct PeerHealth {
    /// Looks since the last sign of each node.
    silent_looks: BTreeMap<NodeId, u32>,
}

impl PeerHealth {
    /// Takes a look; called at a steady pace.
    pub fn look(&mut self, node: NodeId, present: &[GroupStatus]) {
        let mut signs: BTreeMap<NodeId, bool> = BTreeMap::new();
        for status in present {
            for peer in &status.peers {
                *signs.entry(peer.node).or_default() |= peer.recently_active;
            }
            if let Some(leader) = status.leader.filter(|leader| *leader != node) {
                signs.insert(leader, true);
            }
        }
        // A node known before of which no replica speaks now, as in an election, is silent.
        for (peer, silent) in &mut self.silent_looks {
            *silent = match signs.remove(peer) {
                Some(true) => 0,
                Some(false) | None => silent.saturating_add(1),
            };
        }
        for (peer, alive) in signs {
            self.silent_looks.insert(peer, if alive { 0 } else { SILENT_LOOKS_MAX });
        }
    }

    /// Whether a node answers; `false` for one that has not been heard of.
    pub fn answers(&self, node: NodeId) -> bool {
        self.silent_looks.get(&node).is_some_and(|silent| *silent < SILENT_LOOKS_MAX)
    }

    /// Every node judged, ascending, and whether it answers.
    pub fn judged(&self) -> impl Iterator<Item = (NodeId, bool)> + '_ {
        self.silent_looks.iter().map(|(node, silent)| (*node, *silent < SILENT_LOOKS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use ringkv_consensus::{LogIndex, PeerStatus};
    use ringkv_topology::ReplicaId;

    use super::*;
    use crate::testing::topology::status;

    fn led_with(active: bool) -> GroupStatus {
        let peer = PeerStatus {
            node: NodeId(3),
            replica: ReplicaId(13),
            matched: LogIndex(1),
            lag_entries: 0,
            recently_active: active,
            voter: true,
        };
        GroupStatus { peers: vec![peer], ..status(1, 1, Some(1)) }
    }

    #[test]
    fn a_node_answers_until_it_has_been_silent_for_long() {
        let mut health = PeerHealth::default();
        let mut look = |active| {
            health.look(NodeId(1), &[led_with(active), status(2, 1, Some(2))]);
            health.judged().collect::<Vec<_>>()
        };
        let answers = |alive| vec![(NodeId(2), true), (NodeId(3), alive)];
        assert_eq!(look(true), answers(true));
        for _ in 1..SILENT_LOOKS_MAX {
            assert_eq!(look(false), answers(true));
        }
        assert_eq!(look(false), answers(false));
        assert_eq!(look(true), answers(true));
        assert!(health.answers(NodeId(3)) && !health.answers(NodeId(4)));
    }
}
