//! Series of the engine's work, counted when its threads report it.

use std::time::Duration;

use prometheus::{Counter, Histogram, IntCounter, IntCounterVec, IntGauge};
use ringkv_consensus::EntryTimes;
use ringkv_engine::Observer;
use ringkv_telemetry::series::Series;
use ringkv_topology::GroupId;

use super::seconds;
use super::stages::StageSeries;

/// The series that the engine's threads report to.
pub(crate) struct EngineSeries {
    pub(crate) stages: StageSeries,
    fsync: Histogram,
    fsync_bytes: IntCounter,
    apply: Histogram,
    entries: IntCounter,
    commands: IntCounter,
    flush: Histogram,
    poller_busy: Counter,
    requests_refused: IntCounter,
    frames_dropped: IntCounter,
    snapshots_built: IntCounter,
    snapshots_received: IntCounter,
    snapshots_refused: IntCounterVec,
    snapshot_bytes_built: IntCounter,
    snapshot_bytes_sent: IntCounter,
    snapshot_bytes_received: IntCounter,
    installing: IntGauge,
}

impl EngineSeries {
    /// Makes the series.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(super) fn register(series: Series<'_>) -> prometheus::Result<Self> {
        let snapshot_bytes = series.counters(
            &["direction"],
            "ringkv_snapshot_bytes_total",
            "Bytes of snapshots: built here, sent to other nodes, received whole.",
        )?;
        let counter = |name: &str, help: &str| series.counter(name, help);
        let histogram = |name: &str, help: &str| series.histogram(seconds(name, help)?);
        let poller_busy = series.add(Counter::new(
            "ringkv_raft_poller_busy_seconds_total",
            "Time the poller thread spent on its turns, in seconds; 1 a second is all it has.",
        )?)?;
        let snapshots_refused = series.counters(
            &["reason"],
            "ringkv_snapshots_refused_total",
            "Snapshots of other nodes refused before any of their data was taken, by reason.",
        )?;
        // Shown before the first refusal, so that a rate has a start.
        snapshots_refused.with_label_values(&["disk"]);
        Ok(Self {
            stages: StageSeries::register(series)?,
            fsync: histogram(
                "ringkv_storage_fsync_seconds",
                "Time to write and sync one batch of the Raft log, in seconds.",
            )?,
            fsync_bytes: counter(
                "ringkv_storage_log_bytes_total",
                "Bytes of entries in synced batches of the Raft log.",
            )?,
            apply: histogram(
                "ringkv_storage_apply_seconds",
                "Time to apply one batch of committed entries, in seconds.",
            )?,
            entries: counter(
                "ringkv_raft_entries_total",
                "Log entries applied here, as leader or follower.",
            )?,
            commands: counter(
                "ringkv_raft_commands_total",
                "Writes in the log entries applied here.",
            )?,
            flush: histogram(
                "ringkv_storage_flush_seconds",
                "Time to make the state machine durable, in seconds.",
            )?,
            poller_busy,
            requests_refused: counter(
                "ringkv_requests_refused_total",
                "Requests refused as busy because a queue of the engine was full.",
            )?,
            frames_dropped: counter(
                "ringkv_raft_frames_dropped_total",
                "Frames of peers dropped because too many were waiting.",
            )?,
            snapshots_built: counter("ringkv_snapshots_built_total", "Snapshots cut here.")?,
            snapshots_received: counter(
                "ringkv_snapshots_received_total",
                "Snapshots that arrived here whole.",
            )?,
            snapshots_refused,
            snapshot_bytes_built: snapshot_bytes.with_label_values(&["built"]),
            snapshot_bytes_sent: snapshot_bytes.with_label_values(&["sent"]),
            snapshot_bytes_received: snapshot_bytes.with_label_values(&["received"]),
            installing: series.gauge(
                "ringkv_groups_installing",
                "Groups out of service while a snapshot replaces their state or it is removed.",
            )?,
        })
    }
}

impl Observer for EngineSeries {
    fn fsync(&self, took: Duration, bytes: usize) {
        self.fsync.observe(took.as_secs_f64());
        self.fsync_bytes.inc_by(bytes as u64);
    }

    fn applied(&self, entries: usize, commands: usize, took: Duration) {
        self.apply.observe(took.as_secs_f64());
        self.entries.inc_by(entries as u64);
        self.commands.inc_by(commands as u64);
    }

    fn entry(&self, times: &EntryTimes) {
        self.stages.entry(times);
    }

    fn turn(&self, _inputs: usize, took: Duration) {
        self.poller_busy.inc_by(took.as_secs_f64());
    }

    fn frame_dropped(&self, _bytes: usize) {
        self.frames_dropped.inc();
    }

    fn rejected(&self, requests: usize) {
        self.requests_refused.inc_by(requests as u64);
    }

    fn flushed(&self, took: Duration) {
        self.flush.observe(took.as_secs_f64());
    }

    fn install_began(&self, _group: GroupId) {
        self.installing.inc();
    }

    fn install_ended(&self, _group: GroupId, _took: Duration) {
        self.installing.dec();
    }

    fn snapshot_built(&self, _group: GroupId, bytes: u64, _took: Duration) {
        self.snapshots_built.inc();
        self.snapshot_bytes_built.inc_by(bytes);
    }

    fn snapshot_bytes_sent(&self, bytes: u64) {
        self.snapshot_bytes_sent.inc_by(bytes);
    }

    fn snapshot_refused(&self, _group: GroupId, reason: &'static str) {
        self.snapshots_refused.with_label_values(&[reason]).inc();
    }

    fn snapshot_received(&self, _group: GroupId, bytes: u64) {
        self.snapshots_received.inc();
        self.snapshot_bytes_received.inc_by(bytes);
    }
}
