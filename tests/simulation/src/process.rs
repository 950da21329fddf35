//! One process of the cluster: the shipped poller with a simulated shell, whose parts lose in a
//! crash what a disk would lose.
//!
//! Owns the log, the state machine and its last flush, the apply worker's queue, the snapshots on
//! this node's disk, and its clocks. Decides nothing: the world decides when an action completes,
//! and executes the effects. A crash keeps the durable log, the last flush and received snapshots.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ringkv_consensus::{
    AppliedState, ApplyTask, Effects, Genesis, GroupStatus, Input, LogBatch, LogIndex, LogPosition,
    LogReader as _, LogWriter as _, MemoryLog, Now, Poller, PollerConfig, SnapshotBuilt,
    SnapshotId, StoredGroup,
};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::machine::{Durable, Machine, Rows};
use crate::seed::Stream;
use crate::time::{Micros, TICK};

/// The wall clock at virtual time 0, in milliseconds since the Unix epoch.
const WALL_CLOCK_START_MS: i64 = 1_800_000_000_000;

/// Log entries of a group that force a compaction, and the number it keeps: small, so that short
/// runs have many compactions.
const LOG_ENTRIES_MAX: u64 = 50;
const LOG_ENTRIES_KEPT: u64 = 10;

/// A snapshot on a node's disk.
#[derive(Clone)]
pub(crate) struct SnapshotFiles {
    pub(crate) applied: AppliedState,
    pub(crate) rows: Rows,
}

/// A node's process; while it is down, what its disk contains.
pub(crate) struct Process {
    pub(crate) node: NodeId,
    /// The number of starts; events of an earlier run of the process are void.
    pub(crate) life: u64,
    pub(crate) paused_until: Micros,
    pub(crate) disk_factor: u64,
    pub(crate) clock_skew_ms: i64,
    /// How much faster than true time its clocks run, in thousandths; negative means slower.
    clock_rate: i64,
    poller: Option<Poller>,
    log: MemoryLog,
    writing: Option<LogBatch>,
    /// Written and not yet durable: a later sync makes it so.
    unsynced: Vec<LogBatch>,
    pub(crate) machine: Machine,
    flushed: Flushed,
    /// A flush in progress: the state it makes durable.
    flushing: Option<Flushed>,
    pub(crate) tasks: VecDeque<ApplyTask>,
    pub(crate) inbox: Vec<Input>,
    /// The leases that the poller last reported; lost when the process ends.
    leases: BTreeMap<GroupId, u64>,
    built: BTreeMap<(GroupId, SnapshotId), SnapshotFiles>,
    received: BTreeMap<(GroupId, SnapshotId), SnapshotFiles>,
    snapshot_number: u64,
}

/// A durable state of the state machine's store, with the applied index of each group in it.
struct Flushed {
    state: Durable,
    positions: Vec<(GroupId, LogIndex)>,
}

impl Flushed {
    fn of(machine: &Machine) -> Self {
        let positions =
            machine.positions().into_iter().map(|(group, at)| (group, at.position.index));
        Self { state: machine.flush(), positions: positions.collect() }
    }
}

/// The content of its disks that a process found at start.
pub(crate) struct Found {
    pub(crate) stored: Vec<StoredGroup>,
    /// The last replica of each group that was destroyed and has no successor.
    pub(crate) tombstones: Vec<(GroupId, ReplicaId)>,
    pub(crate) applied: BTreeMap<GroupId, AppliedState>,
}

impl Process {
    /// A process with empty disks, not started.
    pub(crate) fn new(node: NodeId, disk: &Durable, clock_skew_ms: i64, clock_rate: i64) -> Self {
        let machine = disk.open();
        Self {
            node,
            life: 0,
            paused_until: 0,
            disk_factor: 1,
            clock_skew_ms,
            clock_rate,
            poller: None,
            log: MemoryLog::new(),
            writing: None,
            unsynced: Vec::new(),
            flushed: Flushed::of(&machine),
            machine,
            flushing: None,
            tasks: VecDeque::new(),
            inbox: Vec::new(),
            leases: BTreeMap::new(),
            built: BTreeMap::new(),
            received: BTreeMap::new(),
            snapshot_number: 0,
        }
    }

    /// Empties the disks of a process that is down.
    pub(crate) fn wipe(&mut self) {
        assert!(self.poller.is_none(), "a process loses its disks while it is down");
        self.log = MemoryLog::new();
        self.machine = Durable::kv().open();
        self.flushed = Flushed::of(&self.machine);
        self.received.clear();
    }

    pub(crate) fn is_up(&self) -> bool {
        self.poller.is_some()
    }

    /// Starts from the disks, as the shell does: finishes an install that has a marker, and sets up
    /// groups whose genesis the state machine has lost.
    ///
    /// # Errors
    /// The poller refuses to start; contains its message.
    pub(crate) fn start(&mut self, poller_seed: u64) -> Result<Found, String> {
        assert!(self.poller.is_none(), "a process starts when it is down");
        self.life += 1;
        let stored = self.log.load().map_err(|error| format!("the log does not load: {error}"))?;
        let tombstones = self.log.tombstones().map_err(|error| error.to_string())?;
        for (group, _) in &tombstones {
            self.machine.destroy(*group);
        }
        for group in &stored {
            self.repair(group)?;
        }
        // If the log lost the creation of a group in a crash, its creator creates it again.
        let mut positions = self.machine.positions();
        positions.retain(|(id, _)| stored.iter().any(|group| group.genesis.group == *id));
        let applied = positions.iter().map(|(group, state)| (*group, state.clone())).collect();
        let config = PollerConfig {
            log_entries_max: LOG_ENTRIES_MAX,
            log_entries_kept: LOG_ENTRIES_KEPT,
            snapshot_ticks_kept: 40,
            ..PollerConfig::new(self.node, poller_seed)
        };
        let reader = Arc::new(self.log.clone());
        let poller = Poller::new(config, stored.clone(), positions, reader)
            .map_err(|error| format!("node {} cannot start: {error}", self.node))?;
        self.poller = Some(poller);
        Ok(Found { stored, tombstones, applied })
    }

    fn repair(&mut self, group: &StoredGroup) -> Result<(), String> {
        let id = group.genesis.group;
        if group.start == LogPosition::ZERO && group.install.is_none() {
            // It waits for its first snapshot: rows here are of an earlier replica.
            self.machine.destroy(id);
            return Ok(());
        }
        if let Some(marker) = &group.install {
            let files = self.received.get(&(id, marker.snapshot_id.clone())).cloned();
            let files = files.ok_or_else(|| {
                format!("node {} group {id}: the files of a marked install are gone", self.node)
            })?;
            self.install(id, &files);
        } else if !self.machine.positions().iter().any(|(known, _)| *known == id) {
            if group.start.index > Genesis::POSITION.index {
                return Err(format!(
                    "node {} group {id}: the log begins after {}, the state is gone",
                    self.node, group.start.index
                ));
            }
            self.machine.create(&group.genesis);
        }
        Ok(())
    }

    /// Kills the process. A random prefix of the unsynced writes and of the batch in progress
    /// survives; the state machine returns to its last flush.
    pub(crate) fn crash(&mut self, rng: &mut Stream) {
        self.poller = None;
        self.paused_until = 0;
        self.unsynced.clear();
        if let Some(batch) = self.writing.take().filter(|_| rng.chance(0.5)) {
            let unsynced = LogBatch { sync: false, ..batch };
            self.log.write(&unsynced).expect("the poller writes to groups that exist");
        }
        self.log.crash(rng.below(self.log.unsynced_count() + 1));
        self.machine = self.flushed.state.open();
        self.flushing = None;
        self.tasks.clear();
        self.inbox.clear();
        self.leases.clear();
        self.built.clear();
        let marked: Vec<SnapshotId> = self.marked();
        self.received.retain(|(_, id), _| marked.contains(id));
    }

    fn marked(&self) -> Vec<SnapshotId> {
        let stored = self.log.load().expect("a memory log loads");
        stored.into_iter().filter_map(|group| group.install).map(|m| m.snapshot_id).collect()
    }

    /// Passes the inbox to the poller. `None` while the process is down.
    pub(crate) fn handle(&mut self, now: Micros) -> Option<(Effects, Vec<GroupStatus>)> {
        let clocks = self.clocks(now);
        let poller = self.poller.as_mut()?;
        let effects = poller.handle(clocks, self.inbox.drain(..));
        Some((effects, poller.status()))
    }

    /// The clocks of the process.
    fn clocks(&self, now: Micros) -> Now {
        let true_ms = i64::try_from(now / 1_000).expect("a run lasts minutes");
        let wall_ms = WALL_CLOCK_START_MS + true_ms + self.clock_skew_ms;
        Now {
            wall_ms: u64::try_from(wall_ms).expect("clocks show times after 1970"),
            boot_us: now * self.clock_thousandths() / 1_000,
        }
    }

    /// The duration of one tick of the process.
    pub(crate) fn tick(&self) -> Micros {
        TICK * 1_000 / self.clock_thousandths()
    }

    fn clock_thousandths(&self) -> u64 {
        u64::try_from(1_000 + self.clock_rate).expect("clocks go forward")
    }

    /// The poller's status of its groups; empty while the process is down.
    pub(crate) fn status(&self) -> Vec<GroupStatus> {
        self.poller.as_ref().map(Poller::status).unwrap_or_default()
    }

    pub(crate) fn counters(&self) -> ringkv_consensus::Counters {
        self.poller.as_ref().map(Poller::counters).unwrap_or_default()
    }

    /// Stores the leases that the poller reports.
    pub(crate) fn tell_leases(&mut self, leases: Vec<(GroupId, u64)>) {
        self.leases.extend(leases);
    }

    /// Whether a read may be served without the poller.
    pub(crate) fn may_read(&self, group: GroupId, now: Micros) -> bool {
        self.leases.get(&group).is_some_and(|until_us| self.clocks(now).boot_us < *until_us)
    }

    /// The log writer starts to write a batch.
    pub(crate) fn begin_write(&mut self, batch: LogBatch) {
        assert!(self.writing.is_none(), "the poller has one batch out at a time");
        self.writing = Some(batch);
    }

    /// The write is complete; returns its number and the batches that are durable from now on.
    pub(crate) fn end_write(&mut self) -> (u64, Vec<LogBatch>) {
        let batch = self.writing.take().expect("a write ends once");
        self.log.write(&batch).expect("the poller writes to groups that exist");
        let (number, sync) = (batch.number, batch.sync);
        self.unsynced.push(batch);
        (number, if sync { std::mem::take(&mut self.unsynced) } else { Vec::new() })
    }

    /// Reads the log for the poller; returns nothing if the entries are no longer in it.
    pub(crate) fn fetch(&self, fetch: &ringkv_consensus::Fetch) -> Vec<ringkv_consensus::Entry> {
        let entries = self.log.entries(fetch.group, fetch.from, fetch.to, fetch.bytes_max);
        entries.unwrap_or_default()
    }

    /// A flush begins: what is applied now is durable at its end.
    pub(crate) fn begin_flush(&mut self) -> bool {
        let begins = self.flushing.is_none();
        if begins {
            self.flushing = Some(Flushed::of(&self.machine));
        }
        begins
    }

    /// The flush is complete; returns what is durable.
    pub(crate) fn end_flush(&mut self) -> Vec<(GroupId, LogIndex)> {
        if let Some(state) = self.flushing.take() {
            self.flushed = state;
        }
        self.flushed.positions.clone()
    }

    /// Replaces a group's state; durable at once, like files that are ingested into the store.
    pub(crate) fn install(&mut self, group: GroupId, files: &SnapshotFiles) {
        self.machine.import(group, &files.rows, &files.applied);
        self.flushed = Flushed::of(&self.machine);
        self.flushing = None;
    }

    /// Removes a group's state; durable at once.
    pub(crate) fn destroy(&mut self, group: GroupId) {
        self.machine.destroy(group);
        self.flushed = Flushed::of(&self.machine);
        self.flushing = None;
    }

    /// The files of a snapshot that was received here.
    pub(crate) fn received(&self, group: GroupId, id: &str) -> Option<SnapshotFiles> {
        self.received.get(&(group, id.to_owned())).cloned()
    }

    /// Cuts a snapshot of a group; `None` if the state machine does not have it.
    pub(crate) fn build(&mut self, group: GroupId) -> Option<SnapshotBuilt> {
        let positions = self.machine.positions();
        let (_, applied) = positions.into_iter().find(|(known, _)| *known == group)?;
        let id = self.next_snapshot_id();
        let files = SnapshotFiles { applied: applied.clone(), rows: self.machine.export(group) };
        self.built.insert((group, id.clone()), files);
        let manifest = applied.encode().into();
        Some(SnapshotBuilt { id, applied, manifest })
    }

    /// The files of a snapshot that this run of the process built.
    pub(crate) fn built(&self, group: GroupId, id: &str) -> Option<SnapshotFiles> {
        self.built.get(&(group, id.to_owned())).cloned()
    }

    /// Stores received files and returns their name on this node.
    pub(crate) fn receive(&mut self, group: GroupId, files: SnapshotFiles) -> SnapshotId {
        let id = self.next_snapshot_id();
        self.received.insert((group, id.clone()), files);
        id
    }

    /// Removes snapshot files.
    pub(crate) fn discard(&mut self, group: GroupId, id: SnapshotId) {
        let name = (group, id);
        self.built.remove(&name);
        self.received.remove(&name);
    }

    fn next_snapshot_id(&mut self) -> SnapshotId {
        self.snapshot_number += 1;
        format!("{}-{}", self.life, self.snapshot_number)
    }
}
