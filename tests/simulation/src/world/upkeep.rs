//! What a storage node does at fixed intervals: it creates missing replicas, watches its peers, and
//! returns leadership to preferred nodes. The shipped code decides, at the pace of the node's shell.

use ringkv_consensus::{Input, Request, SinkId, Ticket};
use ringkv_storage_core::leadership::LeadershipReturn;
use ringkv_storage_core::owned_slots::OwnedSlots;
use ringkv_storage_core::peer_health::PeerHealth;
use ringkv_storage_core::{members, replicas};
use ringkv_topology::Slot;

use super::World;
use crate::network::Endpoint;

/// Ticks between two looks at the peers: 100 ms.
const TICKS_PER_LOOK: u64 = 2;
/// Ticks between two checks for missing replicas: 500 ms.
const TICKS_PER_CHECK: u64 = 10;
/// Ticks between two groups whose leadership returns: a second.
const TICKS_PER_RETURN: u64 = 20;

/// Nothing waits for a change of members: the next look finds out.
pub(super) const MEMBERS_SINK: SinkId = SinkId(2);

/// What a node has seen of its peers since it started.
#[derive(Default)]
pub(super) struct Upkeep {
    ticks: u64,
    peers: PeerHealth,
    returns: LeadershipReturn,
}

impl World {
    /// A tick of a storage node has passed.
    pub(super) fn keep_up(&mut self, process: Endpoint) {
        let Some(topology) = self.control.nodes[process].topology.clone() else { return };
        let (node, present) = (self.processes[process].node, self.processes[process].status());
        let upkeep = &mut self.upkeep[process];
        upkeep.ticks += 1;
        let ticks = upkeep.ticks;
        if ticks.is_multiple_of(TICKS_PER_LOOK) {
            upkeep.peers.look(node, &present);
        }
        let due = ticks
            .is_multiple_of(TICKS_PER_RETURN)
            .then(|| upkeep.returns.step(&topology, node, &present, &upkeep.peers))
            .flatten();
        if ticks.is_multiple_of(TICKS_PER_CHECK) {
            self.create_missing(process);
            self.change_members(process);
        }
        if let Some((group, to)) = due {
            self.coverage.returns += 1;
            self.say(|| format!("process {process} returns group {group} to node {to}"));
            self.input(process, Input::TransferLeader { group, to });
        }
    }

    /// Makes the engine match a new topology.
    pub(super) fn adopt(&mut self, process: Endpoint) {
        let Some(topology) = &self.control.nodes[process].topology else { return };
        let mode = topology.settings.read_mode;
        self.input(process, Input::ReadMode(mode));
        self.create_missing(process);
        self.change_members(process);
    }

    /// Asks for the next step of every group led here whose members differ from the topology.
    fn change_members(&mut self, process: Endpoint) {
        let Some(topology) = self.control.nodes[process].topology.clone() else { return };
        for status in self.processes[process].status() {
            let Some(group) = topology.groups.get(&status.group) else { continue };
            match members::next(group, &status) {
                Some(members::Step::Change(change)) => {
                    self.say(|| {
                        format!(
                            "process {process} changes members of group {}: {change:?}",
                            group.id
                        )
                    });
                    let ticket = Ticket { sink: MEMBERS_SINK, id: 0 };
                    let request = Request::ChangeMembers { group: group.id, change, ticket };
                    self.input(process, Input::Request(request));
                }
                Some(members::Step::HandOver(to)) => {
                    self.say(|| format!("process {process} hands group {} over to {to}", group.id));
                    self.input(process, Input::TransferLeader { group: group.id, to });
                }
                None => {}
            }
        }
    }

    /// Creates the replicas that the topology names here and the engine lacks.
    fn create_missing(&mut self, process: Endpoint) {
        let Some(topology) = self.control.nodes[process].topology.clone() else { return };
        let settings = topology.settings;
        let owned = |slots: &[Slot]| {
            let slots = slots.iter().copied();
            OwnedSlots::new(settings.slot_count, settings.value_bytes_max, slots).encode()
        };
        let (node, present) = (self.processes[process].node, self.processes[process].status());
        for missing in replicas::missing(&topology, node, &present, owned) {
            let group = missing.genesis.group;
            self.input(process, Input::Create(missing.genesis));
            if missing.campaign {
                self.input(process, Input::Campaign { group });
            }
        }
    }
}
