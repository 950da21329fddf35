//! What operators and machines do to the cluster, at random.

use ringkv_placement_core::command::{Command, OperationCommand};
use ringkv_placement_core::operation::{OperationId, OperationState};
use ringkv_topology::{NodeId, NodeState};

use crate::world::World;

impl World {
    /// One event.
    pub(crate) fn disturb(&mut self) {
        let now_ms = self.now_ms;
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        let Some(node) = self.random.pick(&all) else { return };
        match self.random.below(14) {
            0 | 1 if self.nodes.len() < self.shape.nodes + 4 => self.add_node(),
            2 => self.operate(OperationCommand::DrainNode { node, now_ms }),
            3 => self.operate(OperationCommand::UndrainNode { node, now_ms }),
            4 => {
                let new = self.random.pick(&all).unwrap_or(node);
                self.operate(OperationCommand::ReplaceNode { old: node, new, now_ms });
            }
            5 => {
                if let Some(operation) = self.running() {
                    self.operate(OperationCommand::Abort { operation, now_ms });
                }
            }
            6 | 7 => self.stop(node),
            8 | 9 => self.start(node),
            10 => self.wipe(node),
            11 => drop(self.stop_zone(node)),
            12 => self.change_placement_leader(),
            _ => {}
        }
    }

    fn running(&mut self) -> Option<OperationId> {
        let operations = self.state.operations();
        let running = operations.iter().filter(|one| one.state == OperationState::Running);
        let running: Vec<OperationId> = running.map(|operation| operation.id).collect();
        self.random.pick(&running)
    }

    pub(crate) fn operate(&mut self, command: OperationCommand) {
        // Refusals are answers to an operator.
        self.apply(Command::Operation(command));
    }

    pub(crate) fn stop(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.up = false;
        }
    }

    pub(crate) fn start(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(&node).filter(|node| !node.wiped) {
            node.up = true;
        }
    }

    /// Stops all nodes of the node's zone; returns them.
    pub(crate) fn stop_zone(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(topology) = self.state.topology() else { return Vec::new() };
        let zone = &topology.nodes[&node].zone;
        let nodes = topology.nodes.values().filter(|node| node.zone == *zone);
        let nodes: Vec<NodeId> = nodes.map(|node| node.id).collect();
        nodes.iter().for_each(|node| self.stop(*node));
        nodes
    }

    /// The node's disk is lost, and a process with an empty one starts at its address, unless a
    /// group would lose its data.
    pub(crate) fn wipe(&mut self, id: NodeId) {
        let (nodes, homes) = (&self.nodes, &self.homes);
        let survive = self.groups.values().all(|group| group.survives_without(nodes, homes, id));
        let Some(node) = self.nodes.get_mut(&id).filter(|node| !node.wiped && survive) else {
            return;
        };
        (node.up, node.wiped) = (false, true);
        node.disk.clear();
        let address = node.address.clone();
        self.register(address);
    }

    /// Ends all trouble: what can start starts, what is lost is drained, and there are nodes enough.
    pub(crate) fn calm(&mut self) {
        self.trouble = 0;
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all {
            self.start(id);
            if self.nodes.get(&id).is_some_and(|node| node.wiped) {
                self.operate(OperationCommand::DrainNode { node: id, now_ms: self.now_ms });
            }
        }
        while self.active_nodes().len() <= usize::from(self.shape.factor) {
            self.add_node();
        }
    }

    /// Nodes that are up and take replicas.
    pub(crate) fn active_nodes(&self) -> std::collections::BTreeSet<NodeId> {
        let Some(topology) = self.state.topology() else { return Default::default() };
        let nodes = topology.nodes.values().filter(|node| node.state == NodeState::Active);
        let up = |id: &NodeId| self.nodes.get(id).is_some_and(|node| node.up);
        nodes.map(|node| node.id).filter(up).collect()
    }
}
