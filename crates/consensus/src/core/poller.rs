//! The event loop's decisions: all groups of a node, inputs in, effects out.
//!
//! Owns the groups, the set of those to drive, the one log batch under way and the flushes. One
//! call of [`Poller::handle`] takes a bounded run of inputs, steps every group they touch once,
//! and hands everything those groups must store to the log as one batch. While a batch is being
//! written the next one fills: the time of an fsync sets the size of the batch, and there is no
//! timer. Sync and deterministic: no clock, randomness, thread, file or socket.
//!
//! Idle groups cost one tick each per interval (about 0.1 µs) and nothing else: all other work goes
//! by the set of touched groups.

mod replicas;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ringkv_topology::{GroupId, NodeId, ReadMode};

use crate::core::config::PollerConfig;
use crate::core::counters::Counters;
use crate::core::destroyed::Destroyed;
use crate::core::effects::{Effects, Input, SnapshotId};
use crate::core::frame;
use crate::core::group::Group;
use crate::core::out::Out;
use crate::core::start_error::StartError;
use crate::log_store::{LogReader, StoredGroup};
use crate::machine::AppliedState;
use crate::position::LogIndex;
use crate::times::Now;
use crate::types::{GroupStatus, Request, RequestError, Role};

/// All groups of a node.
///
/// # Example
///
/// The whole loop of a shell, on one thread: a node that has the only voter of a group replicates one
/// command. `ringkv-engine` does the same with a thread for each kind of effect.
///
/// ```
/// use std::sync::Arc;
///
/// use bytes::Bytes;
/// use ringkv_consensus::{
///     AppliedState, ApplyTask, CommandBatch, Completion, Done, Genesis, Input, LogReader, LogWriter,
///     Members, MemoryLog, Now, Poller, PollerConfig, Request, Role, SinkId, Ticket,
/// };
/// use ringkv_topology::{GroupId, NodeId, ReplicaId};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// // At start: what the log holds, and where the state machine is in each group. A new node has neither.
/// let mut log = MemoryLog::new();
/// let (stored, applied) = (log.load()?, Vec::new());
/// let seed = 42; // Differs in every run of the process.
/// let config = PollerConfig::new(NodeId(1), seed);
/// let mut poller = Poller::new(config, stored, applied, Arc::new(log.clone()))?;
///
/// let group = GroupId(1);
/// let mut inputs = vec![Input::Create(Genesis {
///     group,
///     replica: ReplicaId(1),
///     members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
///     context: Bytes::new(),
/// })];
///
/// // The state machine of this example: the list of all commands, and how far it is.
/// let mut machine: (AppliedState, Vec<Bytes>) = Default::default();
/// let mut asked = false;
/// let mut done: Option<Completion> = None;
/// for turn in 1.. {
///     // Hand over everything that has come, with both clocks, and one tick per tick interval.
///     inputs.push(Input::Tick);
///     let now = Now { wall_ms: 1_800_000_000_000 + 50 * turn, boot_us: 50_000 * turn };
///     let effects = poller.handle(now, inputs.drain(..));
///
///     // First the leases: a later effect may let another node become leader.
///     for (_group, _until_us) in effects.leases { /* for reads that do not ask the poller */ }
///
///     // One writer writes the log, in order, and returns after an fsync if the batch asks for it.
///     if let Some(batch) = effects.log {
///         log.write(&batch)?;
///         inputs.push(Input::Persisted { number: batch.number });
///     }
///
///     // Frames go to their nodes in order, or are dropped: then the input is `Unreachable`. What
///     // comes from other nodes is `Frame`.
///     for (_node, _frame) in effects.frames { /* send */ }
///
///     // One worker applies, in order.
///     for task in effects.apply {
///         match task {
///             ApplyTask::Create(genesis) => machine = (genesis.applied(), Vec::new()),
///             ApplyTask::Batch(batch) => {
///                 for entry in batch.entries {
///                     let commands: Vec<Bytes> =
///                         entry.commands.iter().flat_map(CommandBatch::commands).collect();
///                     // This replica proposed the entry if there are tickets: one per command.
///                     for (ticket, command) in entry.tickets.iter().zip(&commands) {
///                         done = Some(Completion::new(ticket.id, Ok(Done::Applied(command.clone()))));
///                     }
///                     machine.1.extend(commands);
///                 }
///                 machine.0 = batch.after.clone();
///                 inputs.push(Input::Applied(vec![(batch.group, batch.after)]));
///             }
///             ApplyTask::Destroy(group) => {
///                 machine = Default::default();
///                 inputs.push(Input::Destroyed { group });
///             }
///             ApplyTask::Install(snapshot) => {
///                 // Replace the group's state by the files of `snapshot.id`.
///                 inputs.push(Input::Installed { group: snapshot.group });
///             }
///         }
///     }
///
///     // Ends of requests that were not applied: rejected, or reads that may be served now.
///     for (_sink, completions) in effects.completions {
///         done = completions.into_iter().next().or(done);
///     }
///
///     // Slow work, each answered by one input: old log entries for a follower, snapshots to build and
///     // to send, a flush of the state machine.
///     for fetch in effects.fetch {
///         let entries = log.entries(fetch.group, fetch.from, fetch.to, fetch.bytes_max);
///         inputs.push(Input::Fetched { entries: entries.unwrap_or_default(), fetch });
///     }
///     for group in effects.build {
///         inputs.push(Input::SnapshotBuilt { group, built: None });
///     }
///     for send in effects.send {
///         let (group, to) = (send.group, send.to_replica);
///         inputs.push(Input::SnapshotSent { group, to, ok: false });
///     }
///     if effects.flush {
///         inputs.push(Input::Flushed(vec![(group, machine.0.position.index)]));
///     }
///     for (_group, _snapshot) in effects.discard { /* remove the files */ }
///
///     if done.is_some() {
///         break;
///     }
///     if !asked && poller.status()[0].role == Role::Leader {
///         asked = true;
///         let (command, ticket) = (Bytes::from_static(b"hello"), Ticket { sink: SinkId(1), id: 7 });
///         inputs.push(Input::Request(Request::Propose { group, command, ticket }));
///     }
/// }
///
/// let done = done.expect("the loop ends with it");
/// assert_eq!((done.id, done.result), (7, Ok(Done::Applied(Bytes::from_static(b"hello")))));
/// assert_eq!(machine.1, ["hello"]);
/// # Ok(())
/// # }
/// ```
pub struct Poller {
    groups: BTreeMap<GroupId, Group>,
    reader: Arc<dyn LogReader>,
    out: Out,
    dirty: Vec<GroupId>,
    log_bytes_unflushed: u64,
    flush: Flush,
    /// Received files that may go once this log batch is durable.
    discards: Vec<(u64, GroupId, SnapshotId)>,
    destroyed: Destroyed,
    retiring: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Idle,
    /// `forced`: by bytes, so that every group's log is cut.
    Running {
        forced: bool,
    },
}

impl Poller {
    /// Brings up every stored group from where its state machine is.
    ///
    /// # Errors
    /// `StartError` when log and state machine do not fit together: the data directory is damaged
    /// or mixed, and nothing was changed.
    pub fn new(
        config: PollerConfig,
        stored: Vec<StoredGroup>,
        applied: Vec<(GroupId, AppliedState)>,
        reader: Arc<dyn LogReader>,
    ) -> Result<Self, StartError> {
        let tombstones = reader.tombstones().map_err(|source| StartError::Log { source })?;
        let mut poller = Self {
            groups: BTreeMap::new(),
            reader,
            out: Out::new(config),
            dirty: Vec::new(),
            log_bytes_unflushed: 0,
            flush: Flush::Idle,
            discards: Vec::new(),
            destroyed: Destroyed::new(tombstones),
            retiring: false,
        };
        poller.start(stored, &applied)?;
        Ok(poller)
    }

    /// Takes inputs and says what to do. All inputs count as having come at `now`.
    pub fn handle(&mut self, now: Now, inputs: impl IntoIterator<Item = Input>) -> Effects {
        self.out.now = now;
        let mut ticked = false;
        for input in inputs {
            ticked |= matches!(input, Input::Tick);
            self.take(input);
        }
        for id in std::mem::take(&mut self.dirty) {
            if let Some(group) = self.groups.get_mut(&id) {
                group.dirty = false;
                group.drive(&mut self.out);
            }
        }
        self.close_batch(ticked);
        self.out.effects.frames = self.out.outbox.take();
        self.out.effects.completions = self.out.completions.take();
        std::mem::take(&mut self.out.effects)
    }

    /// The state of every replica, ascending by group. A destroyed one is among them until its
    /// tombstone is durable: a crash could bring it back.
    pub fn status(&self) -> Vec<GroupStatus> {
        let mut all: Vec<GroupStatus> = self.groups.values().map(Group::status).collect();
        all.extend(self.destroyed.not_durable().cloned());
        all.sort_unstable_by_key(|status| status.group);
        all
    }

    /// What has happened since the start.
    pub fn counters(&self) -> Counters {
        self.out.counters
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Tick => self.tick(),
            Input::Request(request) => self.request(request),
            Input::Frame { from, frame } => self.frame(from, &frame),
            Input::Persisted { number } => self.persisted(number),
            Input::Applied(groups) => self.applied(groups),
            Input::Installed { group } => self.installed(group),
            Input::Flushed(groups) => self.flushed(groups),
            Input::Fetched { fetch, entries } => {
                self.touch(fetch.group, |group, _| group.fetched(fetch, &entries));
            }
            Input::SnapshotBuilt { group, built } => self.snapshot_built(group, built),
            Input::SnapshotSent { group, to, ok } => self.snapshot_sent(group, to, ok),
            Input::SnapshotReceived(received) => self.snapshot_received(received),
            Input::Unreachable { node } => self.unreachable(node),
            Input::Create(genesis) => self.create(genesis),
            Input::Destroy { group, replica } => self.destroy(group, replica),
            Input::Destroyed { group } => self.state_removed(group),
            Input::TransferLeader { group, to } => {
                self.touch(group, |group, _| group.transfer_leader(to));
            }
            Input::Rebuild { group } => {
                self.touch(group, Group::rebuild);
            }
            Input::Campaign { group } => {
                self.touch(group, |group, out| group.campaign(&out.config));
            }
            Input::ReadMode(mode) => self.read_mode(mode),
            Input::Retire => {
                self.retiring = true;
                self.abdicate();
            }
        }
    }

    /// Does something with a group and has it driven; returns `None` if it is not here.
    fn touch<T>(&mut self, id: GroupId, act: impl FnOnce(&mut Group, &mut Out) -> T) -> Option<T> {
        let group = self.groups.get_mut(&id)?;
        let result = act(group, &mut self.out);
        if !group.dirty {
            group.dirty = true;
            self.dirty.push(id);
        }
        Some(result)
    }

    fn tick(&mut self) {
        for (id, group) in &mut self.groups {
            if group.tick(&mut self.out) && !group.dirty {
                group.dirty = true;
                self.dirty.push(*id);
            }
        }
        if self.retiring {
            self.abdicate();
        }
    }

    fn request(&mut self, request: Request) {
        let (group, ticket) = match &request {
            Request::Propose { group, ticket, .. }
            | Request::Read { group, ticket }
            | Request::ChangeMembers { group, ticket, .. } => (*group, *ticket),
        };
        if self.retiring {
            self.out.completions.reject(ticket, RequestError::ShuttingDown);
            return;
        }
        let known = self.touch(group, |group, out| match request {
            Request::Propose { command, ticket, .. } => group.enqueue(command, ticket, out),
            Request::Read { ticket, .. } => group.read(ticket, out),
            Request::ChangeMembers { change, ticket, .. } => {
                group.propose_change(&change, ticket, out);
            }
        });
        if known.is_none() {
            self.out.completions.reject(ticket, RequestError::NoGroup);
        }
    }

    fn frame(&mut self, from: NodeId, bytes: &Bytes) {
        let Ok(messages) = frame::decode(bytes) else {
            self.out.counters.frames_damaged += 1;
            return;
        };
        for (group, message) in messages {
            if self.touch(group, |group, out| group.step(from, message, out)).is_none() {
                self.out.counters.messages_dropped += 1;
            }
        }
    }

    fn persisted(&mut self, number: u64) {
        self.out.log_busy = false;
        for id in self.out.batch.take_written() {
            self.touch(id, |group, out| group.persisted(number, out));
        }
        for id in std::mem::take(&mut self.out.held) {
            self.touch(id, |_, _| ());
        }
        let durable = self.discards.partition_point(|(batch, ..)| *batch <= number);
        let discards = self.discards.drain(..durable).map(|(_, group, id)| (group, id));
        self.out.effects.discard.extend(discards);
        self.destroyed.persisted(number);
        self.remove_states();
    }

    fn applied(&mut self, groups: Vec<(GroupId, AppliedState)>) {
        let entries_max = self.out.config.log_entries_max;
        let mut long = false;
        for (id, state) in groups {
            let wants = self.touch(id, |group, out| {
                group.applied(state.position.index, out);
                group.wants_flush(entries_max)
            });
            long |= wants.unwrap_or(false);
        }
        let forced = self.log_bytes_unflushed > self.out.config.log_bytes_unflushed_max;
        if (long || forced) && self.flush == Flush::Idle {
            self.flush = Flush::Running { forced };
            self.log_bytes_unflushed = 0;
            self.out.effects.flush = true;
        }
    }

    fn flushed(&mut self, groups: Vec<(GroupId, LogIndex)>) {
        let forced = self.flush == Flush::Running { forced: true };
        self.flush = Flush::Idle;
        for (id, index) in groups {
            self.touch(id, |group, out| group.flushed(index, forced, out));
        }
        self.destroyed.end_flush();
        self.follow_destroyed();
    }

    fn unreachable(&mut self, node: NodeId) {
        for (id, group) in &mut self.groups {
            if group.unreachable(node) && !group.dirty {
                group.dirty = true;
                self.dirty.push(*id);
            }
        }
    }

    fn read_mode(&mut self, mode: ReadMode) {
        self.out.read_mode = mode;
        // Leases that were reported must be taken back.
        let groups: Vec<GroupId> = self.groups.keys().copied().collect();
        for id in groups {
            self.touch(id, |_, _| ());
        }
    }

    fn abdicate(&mut self) {
        let led: Vec<GroupId> = (self.groups.values())
            .filter(|group| group.role() == Role::Leader)
            .map(|group| group.id)
            .collect();
        for id in led {
            self.touch(id, |group, _| group.abdicate());
        }
    }

    /// Hands the open batch to the log if it is free and something demands it. What only rides
    /// along (a risen commit index, a cut) waits for the next tick at most.
    fn close_batch(&mut self, ticked: bool) {
        let batch = &mut self.out.batch;
        if self.out.log_busy || batch.is_empty() || !(batch.sync || ticked) {
            return;
        }
        self.log_bytes_unflushed += batch.bytes;
        self.out.log_busy = true;
        self.out.effects.log = Some(batch.take());
    }
}
