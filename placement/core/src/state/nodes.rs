//! The nodes of the cluster: which registrations are taken, and under which id.

use std::collections::BTreeSet;

use ringkv_topology::{ClusterId, Node, NodeId, NodeState};

use super::{Cluster, State};
use crate::command::{Refusal, Registration};

/// Maximum number of nodes.
pub const NODES_MAX: u32 = 1_000;

impl State {
    /// Checks that a node may take part under this identity.
    ///
    /// # Errors
    /// The refusal that its registration would get.
    pub fn check_identity(&self, cluster: ClusterId, node: NodeId) -> Result<(), Refusal> {
        self.cluster.as_ref().ok_or(Refusal::NotInitialized)?.check_identity(cluster, node)
    }

    /// The active node that advertises this address, if its incarnation is another one.
    pub fn other_node_at(&self, address: &str, incarnation: u64) -> Option<NodeId> {
        let cluster = self.cluster.as_ref()?;
        let mut at = cluster.active_at(address);
        at.find(|node| cluster.incarnations.get(node) != Some(&incarnation))
    }
}

impl Cluster {
    pub(super) fn register(&mut self, registration: Registration) -> Result<NodeId, Refusal> {
        match registration.identity {
            Some((cluster, node)) => {
                self.check_identity(cluster, node)?;
                self.confirm(node, registration);
                Ok(node)
            }
            None => self.admit(registration),
        }
    }

    fn check_identity(&self, theirs: ClusterId, node: NodeId) -> Result<(), Refusal> {
        let ours = self.topology.cluster;
        if theirs != ours {
            return Err(Refusal::WrongCluster { ours, theirs });
        }
        match self.topology.nodes.get(&node).map(|node| node.state) {
            Some(NodeState::Active | NodeState::Draining) => Ok(()),
            None if node.0 <= self.last_node => Err(Refusal::NodeReplaced { node }),
            None => Err(Refusal::UnknownNode { node }),
        }
    }

    /// Takes back a node that has its data directory, possibly at another address. Another node
    /// that advertises the same address is left as it is: most likely it has moved too and will
    /// register its new address. Fencing it for good could remove a quorum.
    fn confirm(&mut self, id: NodeId, registration: Registration) {
        self.incarnations.insert(id, registration.incarnation);
        let Registration { address, zone, capacity, .. } = registration;
        let node = Node { id, address, zone, capacity, state: NodeState::Active };
        if self.topology.nodes.insert(id, node.clone()) != Some(node) {
            self.topology.epoch.0 += 1;
        }
    }

    /// Takes in a node with an empty data directory. Assigns a new id, unless this same process
    /// got one before. A node that had the address has lost its disk: it never returns under its
    /// id.
    fn admit(&mut self, registration: Registration) -> Result<NodeId, Refusal> {
        let before: Vec<NodeId> = self.active_at(&registration.address).collect();
        let incarnation = Some(registration.incarnation);
        let same = before.iter().find(|id| self.incarnations.get(*id).copied() == incarnation);
        if let Some(id) = same.copied() {
            self.confirm(id, registration);
            return Ok(id);
        }
        let holding = self.holding();
        let dropped = before.iter().filter(|id| !holding.contains(*id)).count();
        if self.topology.nodes.len() - dropped >= NODES_MAX as usize {
            return Err(Refusal::TooManyNodes { max: NODES_MAX });
        }
        for old in before {
            self.incarnations.remove(&old);
            if !holding.contains(&old) {
                self.topology.nodes.remove(&old);
            }
        }
        self.last_node += 1;
        let id = NodeId(self.last_node);
        self.confirm(id, registration);
        Ok(id)
    }

    fn active_at<'a>(&'a self, address: &'a str) -> impl Iterator<Item = NodeId> + 'a {
        let active = move |node: &&Node| node.state == NodeState::Active && node.address == address;
        self.topology.nodes.values().filter(active).map(|node| node.id)
    }

    /// The nodes that groups name.
    fn holding(&self) -> BTreeSet<NodeId> {
        let groups = self.topology.groups.values();
        groups.flat_map(|group| group.replicas.iter().map(|replica| replica.node)).collect()
    }
}

#[cfg(test)]
mod tests;
