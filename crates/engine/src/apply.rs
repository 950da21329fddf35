//! The apply worker: hands committed entries to the state machine and results to their callers.
//!
//! Owns the state machine. All queued batches become one write over many groups; then each sink
//! gets its results at once, and only then the poller gets the new position. Installs and removals
//! are done by the install thread on groups that are taken out of service meanwhile; their tasks wait
//! here ([`Holds`]), so that every group keeps its order and no group waits for another one.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, select};
use ringkv_consensus::{
    ApplyTask, Committed, Completion, Done, GroupBatch, Input, MachineError, SinkId, StateMachine,
};
use ringkv_topology::GroupId;

use crate::clock::boot_us;
use crate::handle::Handle;
use crate::holds::Holds;
use crate::install::Work;
use crate::threads::fatal;

/// Commands that share one write of the state machine; more would only delay their answers.
const COMMANDS_MAX: usize = 8_192;

/// The worker's ends of its queues: from the poller, and to and from the install thread.
pub(crate) struct Queues {
    pub(crate) tasks: Receiver<Vec<ApplyTask>>,
    pub(crate) work: Sender<Work>,
    pub(crate) done: Receiver<Work>,
}

/// Applies tasks in order until the poller is gone and its queue is empty. What waits for an install
/// then is found in the log at the next start.
pub(crate) fn run<M: StateMachine>(machine: M, queues: Queues, handle: &Handle) {
    let Queues { tasks, work, done } = queues;
    let mut worker = Worker {
        machine,
        work,
        handle: handle.clone(),
        queued: Queued::default(),
        holds: Holds::default(),
    };
    while let Some(event) = worker.next(&tasks, &done) {
        match event {
            Event::Tasks(tasks) => worker.take(tasks),
            Event::Done(work) => worker.finish(work),
        }
        while worker.queued.commands < COMMANDS_MAX
            && let Ok(more) = tasks.try_recv()
        {
            worker.take(more);
        }
        worker.apply_queued();
    }
}

enum Event {
    Tasks(Vec<ApplyTask>),
    Done(Work),
}

struct Worker<M> {
    machine: M,
    work: Sender<Work>,
    handle: Handle,
    queued: Queued,
    holds: Holds,
}

/// Batches that will share a write; at most one per group.
#[derive(Default)]
struct Queued {
    batches: Vec<GroupBatch>,
    by_group: HashMap<GroupId, usize>,
    commands: usize,
}

impl Queued {
    fn push(&mut self, batch: GroupBatch) {
        self.commands += batch.entries.iter().map(command_count).sum::<usize>();
        match self.by_group.get(&batch.group) {
            Some(&at) => {
                let earlier = &mut self.batches[at];
                earlier.entries.extend(batch.entries);
                earlier.after = batch.after;
            }
            None => {
                self.by_group.insert(batch.group, self.batches.len());
                self.batches.push(batch);
            }
        }
    }

    fn take(&mut self) -> Vec<GroupBatch> {
        self.by_group.clear();
        self.commands = 0;
        std::mem::take(&mut self.batches)
    }
}

impl<M: StateMachine> Worker<M> {
    /// Waits for what comes next; `None` once the poller is gone.
    fn next(&self, tasks: &Receiver<Vec<ApplyTask>>, done: &Receiver<Work>) -> Option<Event> {
        if self.holds.is_empty() {
            return tasks.recv().ok().map(Event::Tasks);
        }
        select! {
            recv(tasks) -> tasks => tasks.ok().map(Event::Tasks),
            recv(done) -> work => work.ok().map(Event::Done),
        }
    }

    fn take(&mut self, tasks: Vec<ApplyTask>) {
        for task in tasks {
            match self.holds.pass(task) {
                None => {}
                Some(ApplyTask::Batch(batch)) => self.queued.push(batch),
                Some(ApplyTask::Create(genesis)) => {
                    self.apply_queued();
                    self.machine.create(&genesis).unwrap_or_else(|e| fatal(&e));
                }
                Some(ApplyTask::Destroy(group)) => self.begin(Work::Remove(group)),
                Some(ApplyTask::Install(snapshot)) => self.begin(Work::Install(snapshot.into())),
            }
        }
    }

    /// Takes the group out of service and has the install thread work on it.
    fn begin(&mut self, work: Work) {
        self.apply_queued();
        let group = work.group();
        self.machine.release(group);
        self.holds.begin(group);
        // Fails when the engine stops: the next start finds the install's marker, or the tombstone.
        let _ = self.work.send(work);
    }

    /// The work is done and durable: reports it, then does what waited for it.
    fn finish(&mut self, work: Work) {
        let group = work.group();
        match work {
            Work::Install(snapshot) => {
                self.machine.adopt(group, &snapshot.applied).unwrap_or_else(|e| fatal(&e));
                self.handle.input(Input::Installed { group });
            }
            Work::Remove(_) => self.handle.input(Input::Destroyed { group }),
        }
        let waiting = self.holds.end(group);
        self.take(waiting);
    }

    fn apply_queued(&mut self) {
        let commands = self.queued.commands;
        let mut batches = self.queued.take();
        if batches.is_empty() {
            return;
        }
        let began_us = boot_us();
        let results = self.machine.apply(&batches).unwrap_or_else(|e| fatal(&e));
        let applied_us = boot_us();
        let observer = &self.handle.shared.observer;
        let entries = batches.iter().map(|batch| batch.entries.len()).sum();
        observer.applied(entries, commands, Duration::from_micros(applied_us - began_us));
        for times in batches.iter_mut().flat_map(|b| &mut b.entries).map(|entry| &mut entry.times) {
            if times.proposed_us > 0 {
                (times.apply_began_us, times.applied_us) = (began_us, applied_us);
                observer.entry(times);
            }
        }
        let completions = complete(&batches, results).unwrap_or_else(|e| fatal(&e));
        self.handle.shared.complete(completions);
        let applied = batches.into_iter().map(|batch| (batch.group, batch.after)).collect();
        self.handle.input(Input::Applied(applied));
    }
}

fn command_count(entry: &Committed) -> usize {
    entry.commands.as_ref().map_or(0, ringkv_consensus::CommandBatch::count)
}

/// The results of commands that a caller waits for, by sink.
fn complete(
    batches: &[GroupBatch],
    results: Vec<Vec<Bytes>>,
) -> Result<Vec<(SinkId, Vec<Completion>)>, MachineError> {
    let mut by_sink: Vec<(SinkId, Vec<Completion>)> = Vec::new();
    let mut results = results.into_iter();
    for batch in batches {
        for entry in &batch.entries {
            let of_entry = results.next().unwrap_or_default();
            if of_entry.len() != command_count(entry) {
                return Err(MachineError::corrupt(format!(
                    "the state machine returned {} results for the {} commands of entry {} of group {}",
                    of_entry.len(),
                    command_count(entry),
                    entry.index,
                    batch.group
                )));
            }
            for (ticket, result) in entry.tickets.iter().zip(of_entry) {
                let completion = Completion {
                    id: ticket.id,
                    result: Ok(Done::Applied(result)),
                    index: entry.index,
                    commands: u32::try_from(entry.tickets.len()).unwrap_or(u32::MAX),
                    times: entry.times,
                };
                match by_sink.iter_mut().find(|(sink, _)| *sink == ticket.sink) {
                    Some((_, completions)) => completions.push(completion),
                    None => by_sink.push((ticket.sink, vec![completion])),
                }
            }
        }
    }
    Ok(by_sink)
}
