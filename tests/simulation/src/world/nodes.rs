//! A storage node's link to placement: it registers, reports, and follows the topology.

use std::sync::Arc;

use ringkv_consensus::{GroupStatus, Input};
use ringkv_placement_core::command::{Claim, CommandResult, Refusal, Registration};
use ringkv_proto::v1::HeartbeatRequest;
use ringkv_storage_core::report;
use ringkv_topology::Topology;

use super::control::{ControlMessage, DataDirectory};
use super::{Event, World};
use crate::network::Endpoint;
use crate::time::{MILLISECOND, Micros};
use crate::violation::Violation;

/// The pause between two attempts of an unregistered node.
const REGISTER_RETRY: Micros = 100 * MILLISECOND;

impl World {
    /// A storage node without an identity requests one.
    pub(super) fn on_errand(&mut self, process: Endpoint) {
        if self.control.nodes[process].identity.is_none() {
            self.register(process);
            self.agenda.after(REGISTER_RETRY, Event::Errand { process });
        }
    }

    fn register(&mut self, process: Endpoint) {
        let data = &self.control.nodes[process];
        let registration = Registration {
            claim: data.identity,
            address: address(process),
            zone: String::new(),
            capacity: 100,
            incarnation: data.incarnation,
            starts: data.incarnation + 1,
            directory: Some(process as u64 * 1_000 + data.losses),
        };
        self.tell_placement(process, ControlMessage::Register(registration));
    }

    pub(super) fn on_storage_tick(&mut self, process: Endpoint) {
        self.give_up_late(process);
        self.keep_up(process);
        if self.rng.chance(0.1) {
            self.ask_topology(process);
        }
        if !self.control.nodes[process].confirmed && self.rng.chance(0.2) {
            self.register(process);
        }
        let DataDirectory { confirmed, identity, .. } = self.control.nodes[process];
        if let (true, true, Some(claim)) = (self.rng.chance(0.05), confirmed, identity) {
            let report = ControlMessage::Report(self.heartbeat(process, claim));
            for replica in self.swarm.storage_nodes..self.processes.len() {
                self.send_control(process, replica, report.clone());
            }
        }
    }

    /// What a node reports, as its shell does.
    fn heartbeat(&self, process: Endpoint, claim: Claim) -> HeartbeatRequest {
        let data = &self.control.nodes[process];
        let noted = self.processes[process].machine.state_hashes();
        let group = |status: &GroupStatus| {
            let state_hashes = noted.get(&status.group).map_or(&[][..], Vec::as_slice);
            report::group(status, state_hashes, 1)
        };
        HeartbeatRequest {
            cluster: claim.cluster.0,
            node: claim.node.0,
            secret: bytes::Bytes::copy_from_slice(claim.secret.bytes()),
            incarnation: data.incarnation,
            address: address(process),
            epoch: data.topology.as_ref().map_or(0, |topology| topology.epoch.0),
            groups: self.processes[process].status().iter().map(group).collect(),
            ..HeartbeatRequest::default()
        }
    }

    /// Destroys the replicas here that placement reports as removed.
    pub(super) fn on_removed(&mut self, process: Endpoint, removed: &[u64]) {
        for (group, replica) in report::removed(&self.processes[process].status(), removed) {
            self.say(|| format!("process {process} destroys replica {replica} of group {group}"));
            self.coverage.destroyed += 1;
            self.input(process, Input::Destroy { group, replica });
        }
    }

    pub(super) fn on_registered(
        &mut self,
        process: Endpoint,
        result: CommandResult,
    ) -> Result<(), Violation> {
        match result {
            CommandResult::Registered { cluster, node, secret, .. } => {
                let data = &mut self.control.nodes[process];
                let is_new = data.identity.is_none();
                data.confirmed = true;
                let new = secret.map(|secret| Claim { cluster, node, secret });
                // Without either it is a late answer to a node that has lost its disks.
                let Some(known) = data.identity.or(new) else { return Ok(()) };
                data.identity = Some(known);
                if (known.cluster, known.node) != (cluster, node) {
                    return Err(Violation::broken(format!(
                        "process {process} is node {} and was registered as {node}",
                        known.node
                    )));
                }
                if is_new {
                    self.processes[process].node = node;
                    self.start(process)?;
                }
                Ok(())
            }
            CommandResult::Refused(Refusal::NotInitialized | Refusal::Stale) => Ok(()),
            CommandResult::Refused(Refusal::NodeRemoved { node })
                if self.processes[process].node == node =>
            {
                self.refill(process, node)
            }
            // A late answer to a node that has lost its disks.
            CommandResult::Refused(Refusal::NodeRemoved { .. }) => Ok(()),
            // A registration of an earlier start that was under way for long.
            CommandResult::Refused(Refusal::OlderCopy { starts, .. })
                if starts <= self.control.nodes[process].incarnation =>
            {
                Ok(())
            }
            other => Err(Violation::broken(format!("process {process} registers: {other:?}"))),
        }
    }

    pub(super) fn node_topology(&mut self, process: Endpoint, topology: Arc<Topology>) {
        let known = &mut self.control.nodes[process].topology;
        if known.as_ref().is_none_or(|known| known.epoch < topology.epoch) {
            *known = Some(topology);
            self.adopt(process);
        }
    }
}

fn address(process: Endpoint) -> String {
    format!("node-{process}:50051")
}
