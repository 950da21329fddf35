//! Nodes that leave: drain, replacement by another node, and the end of a node's record.
//!
//! A node that drains gets no new replicas. A drain that cannot end is not refused: the reconciler
//! shows what blocks it.

use ringkv_topology::{NodeId, NodeState};

use crate::command::Refusal;
use crate::operation::{OperationId, OperationKind, OperationState};
use crate::state::Cluster;

impl Cluster {
    /// Begins to drain a node. A repeated request returns the operation that runs.
    pub(super) fn drain(&mut self, node: NodeId, now_ms: u64) -> Result<OperationId, Refusal> {
        self.state_of(node)?;
        if let Some(running) = self.operations.emptying(node) {
            return Ok(running.id);
        }
        let kind = OperationKind::NodeDrain { node };
        let id = self.begin_moving(kind, "requested".into(), now_ms)?;
        self.set_state(node, NodeState::Draining);
        Ok(id)
    }

    /// Takes a node back that drains or is being replaced.
    pub(super) fn undrain(&mut self, node: NodeId, now_ms: u64) -> Result<(), Refusal> {
        self.state_of(node)?;
        if let Some(id) = self.operations.emptying(node).map(|operation| operation.id) {
            self.operations.end(id, OperationState::Aborted, now_ms);
        }
        self.set_state(node, NodeState::Active);
        Ok(())
    }

    /// Begins to move all replicas of one node to another.
    pub(super) fn replace(
        &mut self,
        old: NodeId,
        new: NodeId,
        now_ms: u64,
    ) -> Result<OperationId, Refusal> {
        self.state_of(old)?;
        if old == new {
            return Err(Refusal::Conflict(format!("node {old} cannot replace itself")));
        }
        if self.state_of(new)? != NodeState::Active {
            return Err(Refusal::Conflict(format!(
                "node {new} is draining; undrain it, or name another node"
            )));
        }
        let kind = OperationKind::NodeReplace { old, new };
        if let Some(running) = self.operations.emptying(old) {
            let (id, other) = (running.id, &running.kind);
            return if *other == kind {
                Ok(id)
            } else {
                Err(Refusal::Conflict(format!(
                    "operation {id} ({other}) is running; abort it first"
                )))
            };
        }
        let id = self.begin_moving(kind, "requested".into(), now_ms)?;
        self.set_state(old, NodeState::Draining);
        Ok(id)
    }

    /// Ends the record of a node that will not return. The caller has checked that it is silent.
    pub(super) fn forget(&mut self, node: NodeId) -> Result<(), Refusal> {
        let state = self.state_of(node)?;
        let held = self.held_by(node);
        if held > 0 {
            return Err(Refusal::Conflict(format!(
                "node {node} holds {held} replicas; drain it first"
            )));
        }
        let address = &self.topology.nodes[&node].address;
        let mut others = self.topology.nodes.values().filter(|other| other.id != node);
        if state != NodeState::Draining && !others.any(|other| other.address == *address) {
            return Err(Refusal::Conflict(format!(
                "node {node} is not drained, and no other node has its address; drain it first"
            )));
        }
        self.removed.retain(|_, removed| removed.node != node);
        self.fences.remove(&node);
        self.topology.nodes.remove(&node);
        self.next_epoch();
        Ok(())
    }

    /// Replicas on a node, those that leave included.
    fn held_by(&self, node: NodeId) -> usize {
        self.topology.groups.values().filter(|group| group.replica_on(node).is_some()).count()
    }

    fn state_of(&self, node: NodeId) -> Result<NodeState, Refusal> {
        let known = self.topology.nodes.get(&node).ok_or(Refusal::NoSuchNode { node })?;
        Ok(known.state)
    }

    fn set_state(&mut self, node: NodeId, state: NodeState) {
        let Some(known) = self.topology.nodes.get_mut(&node) else { return };
        if known.state != state {
            known.state = state;
            self.next_epoch();
        }
    }
}
