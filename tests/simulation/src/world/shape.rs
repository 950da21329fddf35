//! Changes of the cluster's shape: nodes join, are drained, and lose their disks.
//!
//! Placement decides what follows. Owns the rule that keeps a run solvable: a disk is lost only
//! while no group names a node that has lost its own, so that never a majority of a group is gone.

use ringkv_consensus::Role;
use ringkv_placement_core::command::{Claim, Command, OperationCommand};
use ringkv_topology::{NodeId, NodeState, Topology};

use super::{Cluster, Event, World};
use crate::network::Endpoint;
use crate::violation::Violation;

/// `replace-after` of runs that change shape: the shortest that the setting allows.
const REPLACE_AFTER: &str = "10s";

impl World {
    /// A node that was not there at bootstrap starts for the first time.
    pub(super) fn join(&mut self, process: Endpoint) {
        if !self.control.nodes[process].present {
            self.control.nodes[process].present = true;
            self.coverage.joins += 1;
            self.agenda.after(0, Event::Errand { process });
        }
    }

    /// Drains a node, or takes that back.
    pub(super) fn drain(&mut self, process: Endpoint, drains: bool) {
        let Some(Claim { node, .. }) = self.control.nodes[process].identity else { return };
        let now_ms = 0;
        let command = match drains {
            true => OperationCommand::DrainNode { node, now_ms },
            false => OperationCommand::UndrainNode { node, now_ms },
        };
        let leads = |at: &Endpoint| {
            self.processes[*at].status().iter().any(|status| status.role == Role::Leader)
        };
        let leader = (self.swarm.storage_nodes..self.processes.len()).find(leads);
        if let Some(leader) = leader {
            self.coverage.drains += u64::from(drains);
            self.propose(leader, &Command::Operation(command), None);
        }
    }

    /// A node loses everything on its disks.
    pub(super) fn wipe(&mut self, process: Endpoint) {
        let known = self.control.nodes[process].identity;
        let may = known.filter(|_| self.may_lose_a_disk());
        let Some(Claim { node, .. }) = may else { return };
        self.kill(process);
        self.coverage.wipes += 1;
        self.say(|| format!("process {process}, node {node}, has lost its disks"));
        self.empty(process);
    }

    fn may_lose_a_disk(&self) -> bool {
        self.newest_topology().is_some_and(|topology| {
            let nodes = topology.groups.values().flat_map(|group| &group.replicas);
            let mut nodes = nodes.map(|replica| replica.node);
            nodes.all(|node| self.endpoint_of(Cluster::Storage, node).is_some())
        })
    }

    /// The newest topology that a running placement replica has applied.
    pub(super) fn newest_topology(&self) -> Option<&Topology> {
        let placement = &self.processes[self.swarm.storage_nodes..];
        let up = placement.iter().filter(|process| process.is_up());
        let known = up.filter_map(|process| process.machine.placement_state()?.topology());
        known.max_by_key(|topology| topology.epoch)
    }

    /// Whether a storage node has no identity: it starts once it has got one.
    pub(super) fn waits_for_identity(&mut self, process: Endpoint) -> bool {
        let is_storage = process < self.swarm.storage_nodes;
        let waits = is_storage && self.control.nodes[process].identity.is_none();
        if waits && self.control.nodes[process].present {
            self.agenda.after(0, Event::Errand { process });
        }
        waits
    }

    /// What the operator of this run asks for: a short time until replicas are replaced and, once
    /// there are no more faults, room for all of them.
    pub(super) fn wanted_changes(&self, topology: &Topology) -> Vec<Command> {
        let mut wanted = Vec::new();
        if self.swarm.membership.is_some() && topology.runtime.replace_after_s != 10 {
            let (name, value) = ("replace-after".to_owned(), REPLACE_AFTER.to_owned());
            wanted.push(OperationCommand::SetSetting { name, value, now_ms: 0 });
        }
        if self.calm {
            let draining = topology.nodes.values().filter(|node| node.state == NodeState::Draining);
            wanted.extend(
                draining.map(|node| OperationCommand::UndrainNode { node: node.id, now_ms: 0 }),
            );
        }
        wanted.into_iter().map(Command::Operation).collect()
    }

    /// Placement has removed the node: its operator empties the directory.
    ///
    /// # Errors
    /// A group still names it.
    pub(super) fn refill(&mut self, process: Endpoint, node: NodeId) -> Result<(), Violation> {
        let named = self.newest_topology().is_some_and(|topology| {
            topology.groups.values().any(|group| group.replica_on(node).is_some())
        });
        if named {
            return Err(Violation::broken(format!("node {node} is removed and has replicas")));
        }
        self.kill(process);
        self.empty(process);
        self.agenda.after(0, Event::Errand { process });
        Ok(())
    }

    fn empty(&mut self, process: Endpoint) {
        self.processes[process].wipe();
        let life = self.processes[process].life;
        let data = &mut self.control.nodes[process];
        (data.identity, data.topology, data.confirmed) = (None, None, false);
        data.incarnation = life;
        data.losses += 1;
    }

    /// Whether every change of shape has come to its end: the replicas of every group are those that
    /// are wanted, on nodes that exist, and nothing is left of the others.
    ///
    /// # Errors
    /// What has not.
    pub(super) fn is_settled(&self) -> Result<bool, String> {
        let placement = &self.processes[self.swarm.storage_nodes..];
        let states = placement.iter().filter_map(|process| process.machine.placement_state());
        let newest = states.max_by_key(|state| state.epoch());
        let state = newest.ok_or("placement has no state")?;
        let topology = state.topology().ok_or("there is no topology")?;
        let exists = |node| self.endpoint_of(Cluster::Storage, node).is_some();
        let mut removed = state.removed().filter(|(_, removed)| exists(removed.node));
        if let Some((replica, removed)) = removed.next() {
            return Err(format!("replica {replica} of {removed:?} is not destroyed"));
        }
        for group in topology.groups.values() {
            let voters = group.voters().count();
            if voters != group.replicas.len()
                || voters != usize::from(topology.settings.replication_factor)
            {
                return Err(format!("group {} has {:?}", group.id, group.replicas));
            }
            let gone = |node| self.endpoint_of(Cluster::Storage, node).is_none();
            if let Some(replica) = group.replicas.iter().find(|replica| gone(replica.node)) {
                return Err(format!(
                    "group {} has a replica on lost node {}",
                    group.id, replica.node
                ));
            }
        }
        Ok(true)
    }
}
