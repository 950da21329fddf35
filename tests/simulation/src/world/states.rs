//! Checks the states of replicas: one becomes wrong on purpose, placement detects it, and a
//! snapshot corrects it.
//!
//! A state becomes wrong when an entry is applied with a different clock: times in records differ,
//! and so does the checksum of the state, but nothing that a client of the simulation compares. At
//! most one process in a run becomes wrong. Owns the set of replicas that are wrong now, found by
//! comparison with the checksums of correct replicas. Invariants: correct replicas agree at every
//! index; while a majority of a group is correct, placement reports no correct replica as wrong.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_consensus::{CommandBatch, GroupBatch, Input, LogIndex};
use ringkv_placement_core::divergence::{StateHash, StateHashes};
use ringkv_storage_core::machine;
use ringkv_topology::{GroupId, NodeId, Topology};

use super::control::ControlMessage;
use super::{Cluster, World};
use crate::network::Endpoint;
use crate::violation::Violation;

/// All observations of the storage nodes' states.
#[derive(Default)]
pub(super) struct States {
    /// The process that applies its next entries wrongly.
    going_wrong: Option<Endpoint>,
    wrong: BTreeSet<(Endpoint, GroupId)>,
    ever_wrong: BTreeSet<(Endpoint, GroupId)>,
    /// The checksums of correct replicas, by group and index.
    right: BTreeMap<(GroupId, LogIndex), u64>,
}

impl States {
    pub(super) fn is_wrong(&self, process: Endpoint, group: GroupId) -> bool {
        self.wrong.contains(&(process, group))
    }
}

impl World {
    /// From now on the process applies its next entries wrongly.
    pub(super) fn go_wrong(&mut self, process: Endpoint) {
        self.states.going_wrong = Some(process);
    }

    /// The batches in the form in which the process applies them.
    pub(super) fn as_applied(
        &mut self,
        process: Endpoint,
        mut batches: Vec<GroupBatch>,
    ) -> Vec<GroupBatch> {
        if self.states.going_wrong != Some(process) {
            return batches;
        }
        self.states.going_wrong = None;
        for batch in &mut batches {
            for commands in batch.entries.iter_mut().filter_map(|entry| entry.commands.as_mut()) {
                let copied: Vec<_> = commands.commands().collect();
                *commands = CommandBatch::new(commands.clock_ms() + 1, copied.iter());
                self.coverage.wrong_states += 1;
                self.states.wrong.insert((process, batch.group));
                self.states.ever_wrong.insert((process, batch.group));
            }
        }
        batches
    }

    /// The process has applied entries of the group.
    pub(super) fn state_reached(
        &mut self,
        process: Endpoint,
        group: GroupId,
    ) -> Result<(), Violation> {
        let Some((index, checksum)) = self.processes[process].machine.checksum(group) else {
            return Ok(());
        };
        if self.states.is_wrong(process, group)
            || *self.states.right.entry((group, index)).or_insert(checksum) == checksum
        {
            return Ok(());
        }
        Err(Violation::broken(format!(
            "process {process} group {group}: another state than other replicas had at {index}"
        )))
    }

    /// The process's state of the group was replaced by a state of `origin`: by a snapshot, or
    /// after a crash by its own older state.
    pub(super) fn state_replaced(&mut self, process: Endpoint, group: GroupId, origin: Endpoint) {
        let Some((index, checksum)) = self.processes[process].machine.checksum(group) else {
            return;
        };
        let is_wrong = match self.states.right.get(&(group, index)) {
            Some(right) => *right != checksum,
            // No correct replica was ever at this index.
            None => self.states.ever_wrong.contains(&(origin, group)),
        };
        if is_wrong {
            self.states.wrong.insert((process, group));
            self.states.ever_wrong.insert((process, group));
        } else {
            self.states.wrong.remove(&(process, group));
        }
    }

    /// Placement reports the groups whose replicas on a node are wrong.
    pub(super) fn accused(
        &mut self,
        placement: Endpoint,
        topology: &Topology,
        node: NodeId,
        groups: Vec<GroupId>,
    ) -> Result<(), Violation> {
        let Some(process) = self.endpoint_of(Cluster::Storage, node) else { return Ok(()) };
        for id in &groups {
            let replicas = &topology.groups[id].replicas;
            let was_wrong = |node| {
                let process = self.endpoint_of(Cluster::Storage, node);
                process.is_some_and(|at| self.states.ever_wrong.contains(&(at, *id)))
            };
            let all_wrong = replicas.iter().filter(|replica| was_wrong(replica.node)).count();
            if !was_wrong(node) && all_wrong <= replicas.len() / 2 {
                return Err(Violation::broken(format!(
                    "process {process} group {id}: its state is said to be wrong, and never was"
                )));
            }
        }
        if !groups.is_empty() {
            self.coverage.wrong_states_found += 1;
            self.send_control(placement, process, ControlMessage::Diverged(groups));
        }
        Ok(())
    }

    /// A node receives from placement which of its replicas are wrong.
    pub(super) fn diverged(&mut self, process: Endpoint, groups: Vec<GroupId>) {
        for group in groups {
            self.say(|| format!("process {process} rebuilds group {group}"));
            self.input(process, Input::Rebuild { group });
        }
    }

    /// Whether a comparison of all replicas in their current states would find a wrong one.
    pub(super) fn finds_wrong_state(&self) -> bool {
        let topology = self.control.nodes.iter().find_map(|node| node.topology.as_ref());
        let Some(topology) = topology else { return false };
        let mut all = StateHashes::default();
        let nodes = || (0..self.swarm.storage_nodes).map(|at| (at, self.processes[at].node));
        for (process, node) in nodes() {
            for (group, state_hashes) in self.processes[process].machine.state_hashes() {
                let as_reported = |noted: &machine::StateHash| StateHash {
                    index: noted.index.0,
                    hash: noted.hash,
                };
                all.reported(group, node, state_hashes.iter().map(as_reported).collect());
            }
        }
        nodes().any(|(_, node)| !all.diverged_groups(topology, node).is_empty())
    }
}
