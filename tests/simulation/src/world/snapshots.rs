//! The path of a snapshot: built on one node, streamed with delays and failures, installed on
//! another.

use ringkv_consensus::{Input, OutgoingSnapshot, ReceivedSnapshot, SnapshotBuilt};
use ringkv_topology::GroupId;

use super::{Event, ProcessEvent, World};
use crate::network::Endpoint;
use crate::process::SnapshotFiles;
use crate::time::{MILLISECOND, Micros};
use crate::violation::Violation;

impl World {
    pub(super) fn plan_build(&mut self, process: Endpoint, group: GroupId) {
        let fails = !self.calm && self.rng.chance(self.swarm.snapshot_failure);
        let built: Option<SnapshotBuilt> =
            if fails { None } else { self.processes[process].build(group) };
        self.say(|| format!("process {process} builds a snapshot of group {group}: {built:?}"));
        let took = self.rng.between(MILLISECOND, 200 * MILLISECOND);
        self.after(took, process, ProcessEvent::Built(group, built));
    }

    /// Streams a snapshot: all files are one event, which may fail or find its receiver down.
    pub(super) fn send_snapshot(&mut self, process: Endpoint, snapshot: OutgoingSnapshot) {
        let files = self.processes[process].built(snapshot.group, &snapshot.id);
        let target = self.endpoint_of(self.cluster_of(process), snapshot.to_node);
        let Some(target) = target else {
            self.snapshot_sent(process, MILLISECOND, &snapshot, false);
            return;
        };
        let passage = self.network.pass(self.agenda.now(), process, target);
        let fails = !self.calm && self.rng.chance(self.swarm.snapshot_failure);
        let took = self.rng.between(MILLISECOND, 300 * MILLISECOND);
        match (passage.arrivals.first(), files) {
            (Some(at), Some(files)) if !fails => {
                let life = self.processes[process].life;
                let at = at + took;
                self.agenda.at(
                    at,
                    Event::SnapshotArrives { from: process, life, to: target, snapshot, files },
                );
            }
            _ => self.snapshot_sent(process, took, &snapshot, false),
        }
    }

    fn snapshot_sent(
        &mut self,
        process: Endpoint,
        wait: Micros,
        snapshot: &OutgoingSnapshot,
        ok: bool,
    ) {
        let (group, to) = (snapshot.group, snapshot.to_replica);
        self.after(wait, process, ProcessEvent::SnapshotSent { group, to, ok });
    }

    /// A snapshot has reached its target's disk, if the target is up; the sender is notified.
    pub(super) fn on_snapshot(
        &mut self,
        from: (Endpoint, u64),
        to: Endpoint,
        snapshot: &OutgoingSnapshot,
        files: SnapshotFiles,
    ) {
        let (sender, life) = from;
        let arrived = self.processes[to].is_up();
        if arrived {
            let applied = files.applied.clone();
            let id = self.processes[to].receive(snapshot.group, files);
            let received = ReceivedSnapshot {
                group: snapshot.group,
                from: self.processes[sender].node,
                id,
                manifest: snapshot.manifest.clone(),
                message: snapshot.message.clone(),
                applied,
            };
            self.input(to, Input::SnapshotReceived(received));
        }
        if self.processes[sender].life == life && self.processes[sender].is_up() {
            // The reply may be lost: the sender then treats the transfer as failed.
            let passage = self.network.pass(self.agenda.now(), to, sender);
            let ok = arrived && !passage.arrivals.is_empty();
            self.snapshot_sent(sender, self.swarm.network.delay.1, snapshot, ok);
        }
    }

    pub(super) fn install(
        &mut self,
        process: Endpoint,
        snapshot: &ReceivedSnapshot,
    ) -> Result<(), Violation> {
        let (group, id) = (snapshot.group, &snapshot.id);
        let files = self.processes[process].received(group, id).ok_or_else(|| {
            Violation::broken(format!(
                "process {process} group {group}: snapshot {id} is installed after its files went"
            ))
        })?;
        self.processes[process].install(group, &files);
        let sender = self.endpoint_of(self.cluster_of(process), snapshot.from);
        self.state_replaced(process, group, sender.unwrap_or(process));
        self.coverage.installs += 1;
        self.say(|| format!("process {process} installs group {group} at {:?}", files.applied));
        self.input(process, Input::Installed { group });
        Ok(())
    }
}
