//! One process of the cluster: the shipped poller with what a shell has around it, made of parts
//! that forget at a crash what a disk would forget.
//!
//! Owns the log, the state machine and its last flush, the apply worker's queue, the snapshots on
//! this node's disk, and its clocks. Decides nothing: the world says when something is done
//! and obeys the effects. A crash keeps the durable log, the last flush and received snapshots.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use ringkv_consensus::{
    AppliedState, ApplyTask, Effects, Genesis, GroupStatus, Input, LogBatch, LogIndex,
    LogReader as _, LogWriter as _, MemoryLog, Now, Poller, PollerConfig, SnapshotBuilt,
    SnapshotId, StoredGroup,
};
use ringkv_topology::{GroupId, NodeId};

use crate::machine::{Durable, Machine, Rows};
use crate::seed::Stream;
use crate::time::{Micros, TICK};

/// Virtual time 0 as a wall clock shows it, milliseconds since the Unix epoch.
const WALL_CLOCK_START_MS: i64 = 1_800_000_000_000;

/// Log entries of a group that force a compaction, and what it leaves: small, so that short runs
/// see many.
const LOG_ENTRIES_MAX: u64 = 50;
const LOG_ENTRIES_KEPT: u64 = 10;

/// A snapshot as it lies on a node's disk.
#[derive(Clone)]
pub(crate) struct SnapshotFiles {
    pub(crate) applied: AppliedState,
    pub(crate) rows: Rows,
}

/// A node's process, or what is left of it while it is down.
pub(crate) struct Process {
    pub(crate) node: NodeId,
    /// Counts starts; what belongs to an earlier life is void.
    pub(crate) life: u64,
    pub(crate) paused_until: Micros,
    pub(crate) disk_factor: u64,
    pub(crate) clock_skew_ms: i64,
    /// How much faster than true time its clocks run, in thousandths; negative when slower.
    clock_rate: i64,
    poller: Option<Poller>,
    log: MemoryLog,
    writing: Option<LogBatch>,
    /// Written, and not yet made durable by a later sync.
    unsynced: Vec<LogBatch>,
    pub(crate) machine: Machine,
    flushed: Flushed,
    /// A flush under way: what it will leave.
    flushing: Option<Flushed>,
    pub(crate) tasks: VecDeque<ApplyTask>,
    pub(crate) inbox: Vec<Input>,
    /// As the poller told them; gone with the process.
    leases: BTreeMap<GroupId, u64>,
    built: BTreeMap<(GroupId, SnapshotId), SnapshotFiles>,
    received: BTreeMap<(GroupId, SnapshotId), SnapshotFiles>,
    snapshot_number: u64,
}

/// A durable state of the state machine's store, and where each group stands in it.
struct Flushed {
    state: Durable,
    positions: Vec<(GroupId, LogIndex)>,
}

impl Flushed {
    fn of(machine: &Machine) -> Self {
        let positions = machine.positions().into_iter().map(|(group, at)| (group, at.index));
        Self { state: machine.flush(), positions: positions.collect() }
    }
}

/// What a process found on its disks when it started.
pub(crate) struct Found {
    pub(crate) stored: Vec<StoredGroup>,
    pub(crate) applied: BTreeMap<GroupId, LogIndex>,
}

impl Process {
    /// A process on empty disks, not started.
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

    pub(crate) fn is_up(&self) -> bool {
        self.poller.is_some()
    }

    /// Starts on what the disks hold, as the shell does: finishes an install that has a marker,
    /// sets up groups whose genesis the state machine has lost.
    ///
    /// # Errors
    /// What the poller refuses to start on, in words.
    pub(crate) fn start(&mut self, poller_seed: u64) -> Result<Found, String> {
        assert!(self.poller.is_none(), "a process starts when it is down");
        self.life += 1;
        let stored = self.log.load().map_err(|error| format!("the log does not load: {error}"))?;
        for group in &stored {
            self.repair(group)?;
        }
        // A group whose creation the log lost in a crash is created again by who wanted it.
        let mut positions = self.machine.positions();
        positions.retain(|(id, _)| stored.iter().any(|group| group.genesis.group == *id));
        let applied = positions.iter().map(|(group, state)| (*group, state.index)).collect();
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
        Ok(Found { stored, applied })
    }

    fn repair(&mut self, group: &StoredGroup) -> Result<(), String> {
        let id = group.genesis.group;
        if let Some(marker) = &group.install {
            let files = self.received.get(&(id, marker.snapshot_id.clone())).cloned();
            let files = files.ok_or_else(|| {
                format!("node {} group {id}: the files of a marked install are gone", self.node)
            })?;
            self.install(id, &files);
        } else if !self.machine.positions().iter().any(|(known, _)| *known == id) {
            if group.start.index > Genesis::INDEX {
                return Err(format!(
                    "node {} group {id}: the log begins after {}, the state is gone",
                    self.node, group.start.index
                ));
            }
            self.machine.create(&group.genesis);
        }
        Ok(())
    }

    /// Dies. Of what was written without sync, and of the batch being written, a random prefix
    /// survives; the state machine falls back to its last flush.
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

    /// Hands the inbox to the poller. `None` while the process is down.
    pub(crate) fn handle(&mut self, now: Micros) -> Option<(Effects, Vec<GroupStatus>)> {
        let clocks = self.clocks(now);
        let poller = self.poller.as_mut()?;
        let effects = poller.handle(clocks, self.inbox.drain(..));
        Some((effects, poller.status()))
    }

    /// What the clocks of the process show.
    fn clocks(&self, now: Micros) -> Now {
        let true_ms = i64::try_from(now / 1_000).expect("a run lasts minutes");
        let wall_ms = WALL_CLOCK_START_MS + true_ms + self.clock_skew_ms;
        Now {
            wall_ms: u64::try_from(wall_ms).expect("clocks show times after 1970"),
            boot_us: now * self.clock_thousandths() / 1_000,
        }
    }

    /// How long a tick of the process takes.
    pub(crate) fn tick(&self) -> Micros {
        TICK * 1_000 / self.clock_thousandths()
    }

    fn clock_thousandths(&self) -> u64 {
        u64::try_from(1_000 + self.clock_rate).expect("clocks go forward")
    }

    /// What the poller says of its groups; nothing while the process is down.
    pub(crate) fn status(&self) -> Vec<GroupStatus> {
        self.poller.as_ref().map(Poller::status).unwrap_or_default()
    }

    pub(crate) fn counters(&self) -> ringkv_consensus::Counters {
        self.poller.as_ref().map(Poller::counters).unwrap_or_default()
    }

    /// Takes the poller's word on leases.
    pub(crate) fn tell_leases(&mut self, leases: Vec<(GroupId, u64)>) {
        self.leases.extend(leases);
    }

    /// Whether a read may be served without the poller.
    pub(crate) fn may_read(&self, group: GroupId, now: Micros) -> bool {
        self.leases.get(&group).is_some_and(|until_us| self.clocks(now).boot_us < *until_us)
    }

    /// The log writer takes a batch.
    pub(crate) fn begin_write(&mut self, batch: LogBatch) {
        assert!(self.writing.is_none(), "the poller has one batch out at a time");
        self.writing = Some(batch);
    }

    /// The write is done; gives its number and the batches that are durable from now on.
    pub(crate) fn end_write(&mut self) -> (u64, Vec<LogBatch>) {
        let batch = self.writing.take().expect("a write ends once");
        self.log.write(&batch).expect("the poller writes to groups that exist");
        let (number, sync) = (batch.number, batch.sync);
        self.unsynced.push(batch);
        (number, if sync { std::mem::take(&mut self.unsynced) } else { Vec::new() })
    }

    /// Reads the log for the poller; nothing when it is not there any more.
    pub(crate) fn fetch(&self, fetch: &ringkv_consensus::Fetch) -> Vec<ringkv_consensus::Entry> {
        let entries = self.log.entries(fetch.group, fetch.from, fetch.to, fetch.bytes_max);
        entries.unwrap_or_default()
    }

    /// A flush begins: what is applied now will be durable at its end.
    pub(crate) fn begin_flush(&mut self) -> bool {
        let begins = self.flushing.is_none();
        if begins {
            self.flushing = Some(Flushed::of(&self.machine));
        }
        begins
    }

    /// The flush is done; gives what is durable.
    pub(crate) fn end_flush(&mut self) -> Vec<(GroupId, LogIndex)> {
        if let Some(state) = self.flushing.take() {
            self.flushed = state;
        }
        self.flushed.positions.clone()
    }

    /// Replaces a group's state; durable at once, as files taken into the store are.
    pub(crate) fn install(&mut self, group: GroupId, files: &SnapshotFiles) {
        self.machine.import(group, &files.rows, &files.applied);
        self.flushed = Flushed::of(&self.machine);
        self.flushing = None;
    }

    /// The files of a snapshot that was received here.
    pub(crate) fn received(&self, group: GroupId, id: &str) -> Option<SnapshotFiles> {
        self.received.get(&(group, id.to_owned())).cloned()
    }

    /// Cuts a snapshot of a group; `None` when the state machine does not hold it.
    pub(crate) fn build(&mut self, group: GroupId) -> Option<SnapshotBuilt> {
        let positions = self.machine.positions();
        let (_, applied) = positions.into_iter().find(|(known, _)| *known == group)?;
        let id = self.next_snapshot_id();
        let files = SnapshotFiles { applied: applied.clone(), rows: self.machine.export(group) };
        self.built.insert((group, id.clone()), files);
        let manifest = applied.encode().into();
        Some(SnapshotBuilt { id, applied, manifest })
    }

    /// The files of a snapshot that was built here in this life.
    pub(crate) fn built(&self, group: GroupId, id: &str) -> Option<SnapshotFiles> {
        self.built.get(&(group, id.to_owned())).cloned()
    }

    /// Stores received files and gives their name here.
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
