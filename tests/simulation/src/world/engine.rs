//! The shell around each poller, in virtual time: collects and handles inputs, executes effects as
//! events, and checks every invariant in each step.

use bytes::Bytes;
use ringkv_consensus::{
    ApplyTask, Completion, Done, Effects, Fetch, GroupBatch, GroupStatus, Input, LogBatch, Role,
};

use super::upkeep::MEMBERS_SINK;
use super::{Event, ProcessEvent, World};
use crate::network::Endpoint;
use crate::time::{MILLISECOND, Micros, TICK};
use crate::violation::Violation;

/// The longest flush of the state machine store; a longer one is a bug of the simulator.
const FLUSH_MAX: Micros = 10_000 * MILLISECOND;

impl World {
    /// Starts a process from its disks.
    pub(super) fn start(&mut self, process: Endpoint) -> Result<(), Violation> {
        let number = process as u64 * 1_000 + self.processes[process].life;
        let found = self.processes[process]
            .start(self.seed.number("poller", number))
            .map_err(Violation::broken)?;
        self.coverage.starts += 1;
        let node = self.processes[process].node;
        let status = self.processes[process].status();
        self.check(process, |seen, _| {
            seen.on_restart(node, &found)?;
            seen.on_status(node, &status)
        })?;
        for status in &status {
            self.state_replaced(process, status.group, process);
        }
        self.say(|| format!("process {process} starts, {} groups", found.stored.len()));
        let first = self.rng.between(1, TICK);
        self.after(first, process, ProcessEvent::Tick);
        self.on_started(process);
        Ok(())
    }

    /// Kills a process.
    pub(super) fn kill(&mut self, process: Endpoint) {
        if !self.processes[process].is_up() {
            return;
        }
        self.coverage.kills += 1;
        self.absorb_counters(process);
        self.processes[process].crash(&mut self.rng);
        self.say(|| format!("process {process} is killed"));
        self.on_killed(process);
    }

    /// Puts an input into a process's inbox and plans the turn that handles it.
    pub(super) fn input(&mut self, process: Endpoint, input: Input) {
        if !self.processes[process].is_up() {
            return;
        }
        self.processes[process].inbox.push(input);
        if self.processes[process].inbox.len() == 1 {
            let wait = self.rng.between(0, self.swarm.inbox_wait_max);
            self.after(wait, process, ProcessEvent::Wake);
        }
    }

    /// An event of one run of a process is due.
    pub(super) fn on_process_event(
        &mut self,
        process: Endpoint,
        event: ProcessEvent,
    ) -> Result<(), Violation> {
        match event {
            ProcessEvent::Tick => {
                self.input(process, Input::Tick);
                let tick = self.processes[process].tick();
                self.after(tick, process, ProcessEvent::Tick);
                self.on_tick(process);
            }
            ProcessEvent::Wake => self.wake(process)?,
            ProcessEvent::Written => {
                let (number, durable) = self.processes[process].end_write();
                for batch in durable {
                    self.say(|| format!("process {process} has written {}", in_short(&batch)));
                    self.check(process, |seen, node| seen.on_durable(node, &batch))?;
                }
                self.input(process, Input::Persisted { number });
            }
            ProcessEvent::Worked => self.work(process)?,
            ProcessEvent::Flushed => {
                let durable = self.processes[process].end_flush();
                self.input(process, Input::Flushed(durable));
            }
            ProcessEvent::Fetched(fetch) => {
                let entries = self.processes[process].fetch(&fetch);
                self.coverage.fetches += 1;
                self.input(process, Input::Fetched { fetch, entries });
            }
            ProcessEvent::Built(group, built) => {
                self.input(process, Input::SnapshotBuilt { group, built });
            }
            ProcessEvent::Unreachable(node) => self.input(process, Input::Unreachable { node }),
            ProcessEvent::SnapshotSent { group, to, ok } => {
                self.input(process, Input::SnapshotSent { group, to, ok });
            }
        }
        Ok(())
    }

    fn wake(&mut self, process: Endpoint) -> Result<(), Violation> {
        let now = self.agenda.now();
        let before =
            if self.trace.is_in_words() { self.processes[process].status() } else { vec![] };
        let Some((effects, status)) = self.processes[process].handle(now) else { return Ok(()) };
        for (before, after) in before.iter().zip(&status) {
            if (before.role, before.term) != (after.role, after.term) {
                let (group, role, term) = (after.group, after.role, after.term);
                self.say(|| format!("process {process} group {group}: {role:?} in term {term}"));
            }
        }
        self.check(process, |seen, node| {
            seen.on_turn(node, &effects.apply);
            seen.on_status(node, &status)
        })?;
        self.obey(process, effects)?;
        self.check_leases(process, &status)
    }

    /// While a node may still read by its lease, according to its own clock, no other node leads in
    /// a later term.
    fn check_leases(&self, leader: Endpoint, status: &[GroupStatus]) -> Result<(), Violation> {
        let now = self.agenda.now();
        let cluster = self.cluster_of(leader);
        for led in status.iter().filter(|status| status.role == Role::Leader) {
            let (group, term) = (led.group, led.term);
            let mut others = (0..self.processes.len()).filter(|other| *other != leader);
            let holder = others.find(|other| {
                let process = &self.processes[*other];
                self.cluster_of(*other) == cluster
                    && process.may_read(group, now)
                    && process.status().iter().any(|of| of.group == group && of.term < term)
            });
            if let Some(holder) = holder {
                return Err(Violation::broken(format!(
                    "process {leader} leads group {group} in term {term} while process {holder} \
                     may still read by its lease"
                )));
            }
        }
        Ok(())
    }

    fn obey(&mut self, process: Endpoint, effects: Effects) -> Result<(), Violation> {
        self.processes[process].tell_leases(effects.leases);
        for (to, frame) in effects.frames {
            self.send_frame(process, to, frame);
        }
        if let Some(batch) = effects.log {
            self.say(|| format!("process {process} writes {}", in_short(&batch)));
            let took = self.write_takes(process);
            self.processes[process].begin_write(batch);
            self.after(took, process, ProcessEvent::Written);
        }
        let idle = self.processes[process].tasks.is_empty();
        for task in effects.apply {
            self.check(process, |seen, node| match &task {
                ApplyTask::Batch(batch) => seen.on_apply(node, batch),
                ApplyTask::Install(snapshot) => {
                    seen.on_install(node, snapshot.group, &snapshot.applied);
                    Ok(())
                }
                ApplyTask::Create(_) | ApplyTask::Destroy(_) => Ok(()),
            })?;
            self.processes[process].tasks.push_back(task);
        }
        if idle && !self.processes[process].tasks.is_empty() {
            self.plan_work(process);
        }
        for (sink, completions) in effects.completions {
            if sink == MEMBERS_SINK {
                self.say(|| format!("process {process} changed members: {completions:?}"));
            } else {
                self.on_completions(process, completions)?;
            }
        }
        for fetch in effects.fetch {
            self.plan_fetch(process, fetch);
        }
        for group in effects.build {
            self.plan_build(process, group);
        }
        for snapshot in effects.send {
            self.send_snapshot(process, snapshot);
        }
        if effects.flush {
            self.flush(process);
        }
        for (group, id) in effects.discard {
            self.processes[process].discard(group, id);
        }
        Ok(())
    }

    fn write_takes(&mut self, process: Endpoint) -> Micros {
        let (low, high) = self.swarm.disk.write;
        let stall = if self.rng.chance(self.swarm.disk.stall) { 100 } else { 1 };
        self.rng.between(low, high) * stall.max(self.processes[process].disk_factor)
    }

    fn plan_work(&mut self, process: Endpoint) {
        let (low, high) = self.swarm.disk.apply;
        let took = self.rng.between(low, high);
        self.after(took, process, ProcessEvent::Worked);
    }

    fn plan_fetch(&mut self, process: Endpoint, fetch: Fetch) {
        let took = self.rng.between(50, 5 * MILLISECOND);
        self.after(took, process, ProcessEvent::Fetched(fetch));
    }

    /// Makes the state machine store durable while apply continues.
    pub(super) fn flush(&mut self, process: Endpoint) {
        if self.processes[process].begin_flush() {
            let (low, high) = self.swarm.disk.flush;
            let took = self.rng.between(low, high);
            assert!(took <= FLUSH_MAX, "flushes are bounded");
            self.after(took, process, ProcessEvent::Flushed);
        }
    }

    /// The apply worker has completed its next batch.
    fn work(&mut self, process: Endpoint) -> Result<(), Violation> {
        let task = self.processes[process].tasks.pop_front().expect("work is planned for a task");
        match task {
            ApplyTask::Create(genesis) => self.processes[process].machine.create(&genesis),
            ApplyTask::Batch(batch) => {
                let batches = self.more_batches(process, batch);
                let batches = self.as_applied(process, batches);
                self.apply(process, &batches)?;
            }
            ApplyTask::Install(snapshot) => self.install(process, &snapshot)?,
            ApplyTask::Destroy(group) => {
                self.processes[process].destroy(group);
                self.input(process, Input::Destroyed { group });
            }
        }
        if !self.processes[process].tasks.is_empty() {
            self.plan_work(process);
        }
        Ok(())
    }

    /// Sometimes lets the waiting batches share one write, one batch per group.
    fn more_batches(&mut self, process: Endpoint, first: GroupBatch) -> Vec<GroupBatch> {
        let mut batches = vec![first];
        if self.rng.chance(0.5) {
            return batches;
        }
        let tasks = &mut self.processes[process].tasks;
        while let Some(ApplyTask::Batch(_)) = tasks.front() {
            let Some(ApplyTask::Batch(next)) = tasks.pop_front() else { break };
            match batches.iter_mut().find(|batch| batch.group == next.group) {
                Some(batch) => {
                    batch.entries.extend(next.entries);
                    batch.after = next.after;
                }
                None => batches.push(next),
            }
        }
        batches
    }

    fn apply(&mut self, process: Endpoint, batches: &[GroupBatch]) -> Result<(), Violation> {
        let results = self.processes[process].machine.apply(batches).map_err(Violation::broken)?;
        let entries =
            batches.iter().flat_map(|batch| batch.entries.iter().map(|e| (batch.group, e)));
        let mut completions = Vec::new();
        for ((group, entry), results) in entries.zip(&results) {
            let index = entry.index;
            if !self.states.is_wrong(process, group) {
                self.check(process, |seen, node| seen.on_results(node, group, index, results))?;
            }
            self.watch_commands(process, group, entry, results)?;
            let answered = entry.tickets.iter().zip(results);
            completions.extend(answered.map(|(ticket, result): (_, &Bytes)| {
                Completion::new(ticket.id, Ok(Done::Applied(result.clone())))
            }));
        }
        for batch in batches {
            self.state_reached(process, batch.group)?;
        }
        let applied = batches.iter().map(|batch| (batch.group, batch.after.clone())).collect();
        self.input(process, Input::Applied(applied));
        self.on_completions(process, completions)
    }

    fn send_frame(&mut self, process: Endpoint, to: ringkv_topology::NodeId, frame: Bytes) {
        let Some(target) = self.endpoint_of(self.cluster_of(process), to) else { return };
        let passage = self.network.pass(self.agenda.now(), process, target);
        for at in passage.arrivals {
            let frame = frame.clone();
            self.agenda.at(at, Event::Frame { from: process, to: target, frame });
        }
        if passage.told {
            let wait = self.rng.between(100, 50 * MILLISECOND);
            self.after(wait, process, ProcessEvent::Unreachable(to));
        }
    }
}

/// A log batch as text: per group its hard state and the change of its entries.
fn in_short(batch: &LogBatch) -> String {
    let groups = batch.groups.iter().map(|(group, write)| {
        let mut line = format!("group {group}:");
        if let Some(state) = write.hard_state {
            line += &format!(" term {} vote {} commit {}", state.term, state.vote, state.commit);
        }
        if let Some(start) = write.reset {
            line += &format!(" reset to {}", start.index);
        }
        if let Some(from) = write.truncate_from {
            line += &format!(" cut from {from}");
        }
        if let (Some(first), Some(last)) = (write.append.first(), write.append.last()) {
            line += &format!(
                " entries {}..={} of term {}",
                first.position.index, last.position.index, last.position.term
            );
            for entry in &write.append {
                line += &format!(" {:04x}", xxhash_rust::xxh3::xxh3_64(&entry.data) & 0xffff);
            }
        }
        if let Some(start) = write.compact_to {
            line += &format!(" compact to {}", start.index);
        }
        line
    });
    let groups: Vec<String> = groups.collect();
    let sync = if batch.sync { "" } else { " (no sync)" };
    format!("batch {}{sync}: {}", batch.number, groups.join("; "))
}
