//! What each node has reported of itself: when it was heard from, and which replicas it has.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{Epoch, NodeId, ReplicaId};

/// The replicas of a node at the epoch of the topology that it knew.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Held {
    epoch: Epoch,
    replicas: BTreeSet<ReplicaId>,
}

#[derive(Clone, Debug)]
pub(super) struct Heard {
    /// When the node was first known here, by a heartbeat or by the topology.
    since_ms: u64,
    at_ms: Option<u64>,
    last: Option<Held>,
    before_last: Option<Held>,
}

/// The nodes that were heard from.
#[derive(Clone, Debug, Default)]
pub(super) struct NodeReports {
    nodes: BTreeMap<NodeId, Heard>,
}

impl NodeReports {
    /// Notes that there is a node.
    pub(super) fn know(&mut self, now_ms: u64, node: NodeId) -> &mut Heard {
        let unheard = Heard { since_ms: now_ms, at_ms: None, last: None, before_last: None };
        self.nodes.entry(node).or_insert(unheard)
    }

    pub(super) fn heard(&mut self, now_ms: u64, node: NodeId) {
        self.know(now_ms, node).at_ms = Some(now_ms);
    }

    pub(super) fn holds(&mut self, node: NodeId, epoch: Epoch, replicas: BTreeSet<ReplicaId>) {
        let Some(heard) = self.nodes.get_mut(&node) else { return };
        heard.before_last = heard.last.take();
        heard.last = Some(Held { epoch, replicas });
    }

    pub(super) fn heard_ms(&self, node: NodeId) -> Option<u64> {
        self.nodes.get(&node).and_then(|heard| heard.at_ms)
    }

    /// Since when the node has been silent; `None` if it is not known.
    pub(super) fn silent_since_ms(&self, node: NodeId) -> Option<u64> {
        self.nodes.get(&node).map(|heard| heard.at_ms.unwrap_or(heard.since_ms))
    }

    /// The nodes and when each was last heard from.
    pub(super) fn iter(&self) -> impl Iterator<Item = (NodeId, u64)> {
        self.nodes.iter().filter_map(|(node, heard)| Some((*node, heard.at_ms?)))
    }

    /// Whether the node's last two reports lack the replica, and the node knew a topology of this
    /// epoch in both. One report is not enough: a node's engine creates a replica a moment after the
    /// node has read the topology that names it.
    pub(super) fn lacks(&self, node: NodeId, replica: ReplicaId, since: Epoch) -> bool {
        let lacks = |held: &Option<Held>| {
            let held = held.as_ref().filter(|held| held.epoch >= since);
            held.is_some_and(|held| !held.replicas.contains(&replica))
        };
        self.nodes.get(&node).is_some_and(|heard| lacks(&heard.last) && lacks(&heard.before_last))
    }

    pub(super) fn retain(&mut self, known: impl Fn(NodeId) -> bool) {
        self.nodes.retain(|node, _| known(*node));
    }
}
