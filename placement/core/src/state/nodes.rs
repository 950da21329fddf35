//! The nodes of the cluster: which registrations are taken, and which process may act as a node.
//!
//! Owns the fence: of all processes that start on a node's data directory, or on a copy of it, one
//! is the node. It is the one that registered last. A process proves the directory by its secret;
//! a later start is distinguished from an older copy by the number of starts. A registration that takes the
//! place of another process names it: the leader has seen that it is silent (`admission`), and
//! what the leader did not see is not displaced.

use std::collections::BTreeMap;

use ringkv_topology::{Node, NodeId, NodeSecret, NodeState};

use super::{Cluster, State};
use crate::command::{
    AddressHolder, Claim, CommandResult, Incarnation, Refusal, Registration, Sender,
};

/// Maximum number of nodes.
pub const NODES_MAX: u32 = 1_000;

/// What placement knows of a node to accept one process as it, and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) secret: NodeSecret,
    /// The process that registered last.
    pub(crate) incarnation: u64,
    /// The number of its start.
    pub(crate) starts: u64,
    /// Its directory, if it is known.
    pub(crate) directory: Option<u64>,
}

impl Fence {
    fn of(registration: &Registration, secret: NodeSecret) -> Self {
        let Registration { incarnation, starts, directory, .. } = *registration;
        Self { secret, incarnation, starts, directory }
    }

    /// Whether the registered process has ended for sure: this one holds the lock of the same
    /// directory.
    pub(crate) fn has_ended_before(&self, registration: &Registration) -> bool {
        self.directory.is_some() && self.directory == registration.directory
    }
}

impl State {
    /// Checks that a heartbeat comes from the process that is the node.
    ///
    /// # Errors
    /// Why not. A process that is refused registers again, which decides whether it may go on.
    pub fn check_heartbeat(&self, sender: &Sender) -> Result<(), Refusal> {
        let cluster = self.cluster.as_ref().ok_or(Refusal::NotInitialized)?;
        let node = sender.claim.node;
        let fence = cluster.check_claim(&sender.claim)?;
        let address = &cluster.topology.nodes[&node].address;
        let is_registered = fence.is_some_and(|fence| fence.incarnation == sender.incarnation);
        if is_registered && *address == sender.address {
            return Ok(());
        }
        Err(Refusal::NotRegistered { node, address: address.clone() })
    }
}

impl Cluster {
    pub(super) fn register(
        &mut self,
        registration: Registration,
        secret: NodeSecret,
        displaces: &[Incarnation],
    ) -> Result<CommandResult, Refusal> {
        let is_new = registration.claim.is_none();
        let address = registration.address.clone();
        let node = match registration.claim {
            Some(claim) => self.take_back(&claim, registration, displaces)?,
            None => self.admit(registration, secret, displaces)?,
        };
        Ok(CommandResult::Registered {
            cluster: self.topology.cluster,
            node,
            slot_count: self.topology.settings.slot_count.get().into(),
            secret: self.fences.get(&node).filter(|_| is_new).map(|fence| fence.secret),
            holder: if is_new { self.holder_of(&address, node) } else { None },
        })
    }

    /// Returns the node's fence; a cluster that was recovered from its nodes has none until the
    /// node registers.
    pub(crate) fn check_claim(&self, claim: &Claim) -> Result<Option<&Fence>, Refusal> {
        let Claim { cluster, node, secret } = *claim;
        let ours = self.topology.cluster;
        if cluster != ours {
            return Err(Refusal::WrongCluster { ours, theirs: cluster });
        }
        if !self.topology.nodes.contains_key(&node) {
            let is_past = node.0 <= self.last_node;
            return Err(match is_past {
                true => Refusal::NodeRemoved { node },
                false => Refusal::UnknownNode { node },
            });
        }
        match self.fences.get(&node) {
            Some(fence) if fence.secret != secret => Err(Refusal::WrongSecret { node }),
            fence => Ok(fence),
        }
    }

    /// Takes back a node that has its data directory, possibly at another address. Another node
    /// that advertises the same address is left as it is: most likely it has moved too and will
    /// register its new address.
    fn take_back(
        &mut self,
        claim: &Claim,
        registration: Registration,
        displaces: &[Incarnation],
    ) -> Result<NodeId, Refusal> {
        let Claim { node, secret, .. } = *claim;
        let fence = self.check_claim(claim)?;
        let other = fence.filter(|fence| fence.incarnation != registration.incarnation);
        if let Some(other) = other {
            let (starts, seen) = (registration.starts, other.starts);
            if starts <= seen {
                return Err(Refusal::OlderCopy { node, starts, seen });
            }
            self.check_displaced(node, &registration, displaces)?;
        }
        self.place(node, secret, registration);
        Ok(node)
    }

    /// Takes in a node with an empty data directory. Assigns a new id, unless this same process
    /// got one before. A node that had the address keeps its id while it has replicas: its disk may
    /// come back.
    fn admit(
        &mut self,
        registration: Registration,
        secret: NodeSecret,
        displaces: &[Incarnation],
    ) -> Result<NodeId, Refusal> {
        let incarnation = registration.incarnation;
        let before: Vec<NodeId> = self.nodes_at(&registration.address).collect();
        let same = |id: &&NodeId| {
            self.fences.get(*id).is_some_and(|fence| fence.incarnation == incarnation)
        };
        if let Some(id) = before.iter().find(same).copied() {
            let secret = self.fences[&id].secret;
            self.place(id, secret, registration);
            return Ok(id);
        }
        let replicas = self.replicas_by_node();
        let is_idle = |id: &NodeId| !replicas.contains_key(id);
        let dropped: Vec<NodeId> = before.into_iter().filter(is_idle).collect();
        for node in &dropped {
            self.check_displaced(*node, &registration, displaces)?;
        }
        if self.topology.nodes.len() - dropped.len() >= NODES_MAX as usize {
            return Err(Refusal::TooManyNodes { max: NODES_MAX });
        }
        for node in dropped {
            self.fences.remove(&node);
            self.topology.nodes.remove(&node);
        }
        self.last_node += 1;
        let id = NodeId(self.last_node);
        self.place(id, secret, registration);
        Ok(id)
    }

    /// The registered process of a node has ended, or the leader has found it silent.
    fn check_displaced(
        &self,
        node: NodeId,
        registration: &Registration,
        displaces: &[Incarnation],
    ) -> Result<(), Refusal> {
        let Some(fence) = self.fences.get(&node) else { return Ok(()) };
        let registered = Incarnation { node, number: fence.incarnation };
        let is_over = fence.has_ended_before(registration) || displaces.contains(&registered);
        if is_over { Ok(()) } else { Err(Refusal::Stale) }
    }

    /// From now on this process is the node.
    fn place(&mut self, id: NodeId, secret: NodeSecret, registration: Registration) {
        self.fences.insert(id, Fence::of(&registration, secret));
        let Registration { address, zone, capacity, .. } = registration;
        let state = self.topology.nodes.get(&id).map_or(NodeState::Active, |node| node.state);
        let node = Node { id, address, zone, capacity, state };
        if self.topology.nodes.insert(id, node.clone()) != Some(node) {
            self.topology.epoch.0 += 1;
        }
    }

    pub(crate) fn nodes_at<'a>(&'a self, address: &'a str) -> impl Iterator<Item = NodeId> + 'a {
        let at = move |node: &&Node| node.address == address;
        self.topology.nodes.values().filter(at).map(|node| node.id)
    }

    /// The node other than `new` that has the address and the most replicas.
    fn holder_of(&self, address: &str, new: NodeId) -> Option<AddressHolder> {
        let replicas = self.replicas_by_node();
        let others = self.nodes_at(address).filter(|node| *node != new);
        let holding =
            others.filter_map(|node| Some(AddressHolder { node, replicas: *replicas.get(&node)? }));
        holding.max_by_key(|holder| holder.replicas)
    }

    /// How many replicas groups have on each node; without those that have none.
    fn replicas_by_node(&self) -> BTreeMap<NodeId, u32> {
        let mut count = BTreeMap::new();
        for replica in self.topology.groups.values().flat_map(|group| &group.replicas) {
            *count.entry(replica.node).or_default() += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests;
