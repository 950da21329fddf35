//! A storage node's link to placement: it registers, reports, and follows the topology.

use std::sync::Arc;

use ringkv_consensus::Role;
use ringkv_placement_core::command::{CommandResult, Refusal, Registration};
use ringkv_placement_core::observations::GroupReport;
use ringkv_topology::Topology;

use super::control::ControlMessage;
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
            identity: data.identity,
            address: format!("node-{process}:50051"),
            zone: String::new(),
            capacity: 100,
            incarnation: data.incarnation,
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
        if self.rng.chance(0.05) {
            let node = self.processes[process].node;
            let mut noted = self.processes[process].machine.state_hashes();
            let reports = self.processes[process].status().into_iter().map(|status| GroupReport {
                group: status.group,
                leader: status.role == Role::Leader,
                term: status.term.0,
                state_hashes: noted.remove(&status.group).unwrap_or_default(),
            });
            let report = ControlMessage::Report { node, reports: reports.collect() };
            for replica in self.swarm.storage_nodes..self.processes.len() {
                self.send_control(process, replica, report.clone());
            }
        }
    }

    pub(super) fn on_registered(
        &mut self,
        process: Endpoint,
        result: CommandResult,
    ) -> Result<(), Violation> {
        match result {
            CommandResult::Registered { cluster, node, .. } => {
                let data = &mut self.control.nodes[process];
                data.confirmed = true;
                let known = *data.identity.get_or_insert((cluster, node));
                if known != (cluster, node) {
                    return Err(Violation::broken(format!(
                        "process {process} is node {} and was registered as {node}",
                        known.1
                    )));
                }
                if self.processes[process].life == 0 {
                    self.processes[process].node = node;
                    self.start(process)?;
                }
                Ok(())
            }
            CommandResult::Refused(Refusal::NotInitialized) => Ok(()),
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
