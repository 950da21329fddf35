//! The nodes of replicas that wrote to this one and are not members as it knows them.
//!
//! A reply needs an address: a leader may know of a change that is not applied here yet. Removed
//! replicas that still run write as well, so the number is bounded.

use std::collections::BTreeMap;

use ringkv_topology::{NodeId, ReplicaId};

/// More than any group has members; the newest replicas are those that matter.
const PEERS_MAX: usize = 16;

/// Where replicas are that are not members as far as known here.
#[derive(Default)]
pub(crate) struct UnknownPeers(BTreeMap<ReplicaId, NodeId>);

impl UnknownPeers {
    /// A replica wrote from this node. With too many of them the oldest replica is forgotten.
    pub(crate) fn insert(&mut self, replica: ReplicaId, node: NodeId) {
        self.0.insert(replica, node);
        if self.0.len() > PEERS_MAX {
            self.0.pop_first();
        }
    }

    pub(crate) fn node_of(&self, replica: ReplicaId) -> Option<NodeId> {
        self.0.get(&replica).copied()
    }

    /// These replicas are members now.
    pub(crate) fn forget(&mut self, members: &BTreeMap<ReplicaId, NodeId>) {
        self.0.retain(|replica, _| !members.contains_key(replica));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_bounded_and_the_oldest_goes_first() {
        let mut peers = UnknownPeers::default();
        for id in 1..=PEERS_MAX as u64 + 2 {
            peers.insert(ReplicaId(id), NodeId(id));
        }
        assert_eq!(peers.0.len(), PEERS_MAX);
        assert_eq!(peers.node_of(ReplicaId(2)), None);
        assert_eq!(peers.node_of(ReplicaId(3)), Some(NodeId(3)));
        peers.forget(&BTreeMap::from([(ReplicaId(3), NodeId(3))]));
        assert_eq!(peers.node_of(ReplicaId(3)), None);
    }
}
