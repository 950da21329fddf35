//! The poller thread: waits, hands what has come to the pure poller, does what it says.
//!
//! Never waits for anything but its inbox and the next tick. A late tick counts once:
//! ticks that are made up for would shorten the promise of followers to their leader.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Sender, TrySendError};
use ringkv_consensus::{
    ApplyTask, Completion, Effects, Fetch, Input, LogBatch, Poller, RequestError, SnapshotId,
};
use ringkv_topology::GroupId;

use crate::clock;
use crate::handle::{Handle, ticket};
use crate::inbox::Message;
use crate::transport::Transport;

/// The status is published this often, and every turn while retiring.
const STATUS_TICKS: u32 = 4;

/// The channels to the other threads, and the network. Dropping them ends those threads.
pub(crate) struct Senders {
    pub(crate) log: Sender<LogBatch>,
    pub(crate) apply: Sender<Vec<ApplyTask>>,
    pub(crate) flush: Sender<()>,
    pub(crate) fetch: Sender<Fetch>,
    pub(crate) build: Sender<GroupId>,
    pub(crate) discard: Sender<(GroupId, SnapshotId)>,
    pub(crate) transport: Arc<dyn Transport>,
}

/// The poller and all around it.
pub(crate) struct PollerThread {
    pub(crate) poller: Poller,
    pub(crate) handle: Handle,
    pub(crate) senders: Senders,
    pub(crate) tick: Duration,
}

/// What one turn gathered.
#[derive(Default)]
struct Turn {
    messages: Vec<Message>,
    inputs: Vec<Input>,
    request_bytes: usize,
    frame_bytes: usize,
    stop: bool,
    retire: bool,
}

impl PollerThread {
    /// Runs until it gets the message to stop, then rejects what is left in the inbox.
    pub(crate) fn run(mut self) {
        let mut next_tick = Instant::now();
        let mut turn = Turn::default();
        let mut ticks: u32 = 0;
        let mut retiring = false;
        while !turn.stop {
            self.gather(&mut turn, &mut next_tick);
            retiring |= std::mem::take(&mut turn.retire);
            let ticked = matches!(turn.inputs.first(), Some(Input::Tick));
            self.turn(&mut turn);
            if ticked {
                ticks = ticks.wrapping_add(1);
            }
            if retiring || (ticked && ticks % STATUS_TICKS == 1) {
                self.handle.shared.publish(self.poller.status(), self.poller.counters());
            }
        }
        self.close();
    }

    /// Waits for a message or the next tick, then takes all there is.
    fn gather(&self, turn: &mut Turn, next_tick: &mut Instant) {
        self.handle.shared.inbox.take(*next_tick, &mut turn.messages);
        let now = Instant::now();
        if now >= *next_tick {
            turn.inputs.push(Input::Tick);
            *next_tick = now + self.tick;
        }
        let mut messages = std::mem::take(&mut turn.messages);
        for message in messages.drain(..) {
            self.take(turn, message);
        }
        turn.messages = messages;
    }

    fn take(&self, turn: &mut Turn, message: Message) {
        match message {
            Message::Requests { requests, bytes } => {
                turn.request_bytes += bytes;
                turn.inputs.extend(requests.into_iter().map(Input::Request));
            }
            Message::Frame { from, frame } => {
                turn.frame_bytes += self.handle.shared.frame_bytes.weight(frame.len());
                turn.inputs.push(Input::Frame { from, frame });
            }
            Message::Input(input) => {
                turn.retire |= matches!(*input, Input::Retire);
                turn.inputs.push(*input);
            }
            Message::Stop => turn.stop = true,
        }
    }

    /// Hands the inputs over and does what comes back.
    fn turn(&mut self, turn: &mut Turn) {
        let began = Instant::now();
        let count = turn.inputs.len();
        let effects = self.poller.handle(clock::now(), turn.inputs.drain(..));
        self.obey(effects);
        let shared = &self.handle.shared;
        shared.request_bytes.give_back(std::mem::take(&mut turn.request_bytes));
        shared.frame_bytes.give_back(std::mem::take(&mut turn.frame_bytes));
        shared.observer.turn(count, began.elapsed());
    }

    /// Leases first, as they must; then the log, since everything waits for it; then what goes to other nodes.
    fn obey(&self, effects: Effects) {
        let Effects { leases, log, frames, apply, completions, fetch, build, send, flush, discard } =
            effects;
        self.handle.shared.leases.tell(&leases);
        let senders = &self.senders;
        if let Some(batch) = log {
            // The poller has one batch out at a time, so there is always room.
            give(senders.log.try_send(batch), "log");
        }
        for (to, frame) in frames {
            senders.transport.send(to, frame);
        }
        if !apply.is_empty() {
            give(senders.apply.try_send(apply), "apply");
        }
        self.handle.shared.complete(completions);
        for fetch in fetch {
            give(senders.fetch.try_send(fetch), "fetch");
        }
        for group in build {
            give(senders.build.try_send(group), "snapshot");
        }
        for snapshot in send {
            let dir = self.handle.shared.dirs.cut(snapshot.group, &snapshot.id);
            senders.transport.send_snapshot(snapshot, dir);
        }
        if flush && let Err(TrySendError::Disconnected(())) = senders.flush.try_send(()) {
            // Full means that a flush is asked for already and has not begun: it will do.
            give::<()>(Err(TrySendError::Disconnected(())), "flush");
        }
        for snapshot in discard {
            give(senders.discard.try_send(snapshot), "discard");
        }
    }

    /// Turns away what came too late.
    fn close(self) {
        for message in self.handle.shared.inbox.close() {
            if let Message::Requests { requests, .. } = message {
                let refused = requests.iter().map(|request| {
                    let ticket = ticket(request);
                    (ticket.sink, vec![Completion::rejected(ticket.id, RequestError::ShuttingDown)])
                });
                self.handle.shared.complete(refused.collect());
            }
        }
    }
}

/// The threads behind these channels end only after the poller's.
fn give<T>(sent: Result<(), TrySendError<T>>, thread: &str) {
    if sent.is_err() {
        panic!("the {thread} thread has no room or is gone");
    }
}
