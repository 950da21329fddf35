//! The node's metrics: names, help and units; nothing is counted twice.
//!
//! Hot paths hold their series ready and never look a label up. What the engine knows anyway is
//! read when a scrape asks for it (`metrics/groups`), not kept up beside it.

mod disk;
mod groups;
mod rocks;
mod stages;

use std::time::Duration;

use prometheus::{
    Counter, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
};
use ringkv_consensus::{EntryTimes, Observer};
use ringkv_proto::v1::ErrorCode;
use ringkv_telemetry::exemplars::ExemplarHistogram;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::TraceId;

pub(crate) use disk::{DiskSeries, bytes_under};
pub(crate) use groups::GroupSeries;
pub(crate) use rocks::{Figures, RocksSeries};
use stages::StageSeries;

/// From 50 µs, doubling, to 6.5 s: a request that is answered sooner or later than that is out of
/// the ordinary either way.
const LATENCY_BUCKETS: usize = 18;

/// What a request asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Get,
    Put,
    Delete,
}

/// The series that are counted as things happen.
pub(crate) struct Metrics {
    latency: [ExemplarHistogram; 3],
    writes_applied: IntCounter,
    writes_by_result: IntCounterVec,
    fsync: Histogram,
    fsync_bytes: IntCounter,
    flush: Histogram,
    requests_refused: IntCounter,
    frames_dropped: IntCounter,
    snapshots_built: IntCounter,
    snapshots_received: IntCounter,
    streams: IntGauge,
    pub(crate) stages: StageSeries,
    apply: Histogram,
    entries: IntCounter,
    commands: IntCounter,
    poller_busy: Counter,
    snapshot_bytes_built: IntCounter,
    snapshot_bytes_received: IntCounter,
    records_damaged: IntCounter,
    frames_damaged: IntCounter,
}

impl Metrics {
    /// Makes the series and adds them to the pages.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(pages: &OperatorPages) -> prometheus::Result<Self> {
        let registry = &pages.registry;
        let latency = HistogramVec::new(
            seconds(
                "raft_request_latency_seconds",
                "Time from a request's arrival at this node to its reply, in seconds.",
            )?,
            &["op"],
        )?;
        registry.register(Box::new(latency.clone()))?;
        let writes_by_result = IntCounterVec::new(
            Opts::new(
                "ringkv_raft_proposals_total",
                "Writes answered, by result: applied, or the code of the error.",
            ),
            &["result"],
        )?;
        registry.register(Box::new(writes_by_result.clone()))?;
        let counter = |name: &str, help: &str| -> prometheus::Result<IntCounter> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let histogram = |name: &str, help: &str| -> prometheus::Result<Histogram> {
            let histogram = Histogram::with_opts(seconds(name, help)?)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok(histogram)
        };
        let streams = IntGauge::new("ringkv_kv_streams", "Open Kv streams.")?;
        registry.register(Box::new(streams.clone()))?;
        let poller_busy = Counter::new(
            "ringkv_raft_poller_busy_seconds_total",
            "Time the poller thread spent on its turns, in seconds; 1 a second is all it has.",
        )?;
        registry.register(Box::new(poller_busy.clone()))?;
        let by = |label: &str, name: &str, help: &str| -> prometheus::Result<IntCounterVec> {
            let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
            registry.register(Box::new(counters.clone()))?;
            Ok(counters)
        };
        let snapshot_bytes = by(
            "direction",
            "ringkv_snapshot_bytes_total",
            "Bytes of snapshots, built or received.",
        )?;
        let damaged = by(
            "what",
            "ringkv_checksum_mismatch_total",
            "Stored records and peers' frames whose checksum was wrong; they are refused.",
        )?;
        Ok(Self {
            latency: ["get", "put", "delete"]
                .map(|op| pages.exemplars.of(latency.with_label_values(&[op]))),
            writes_applied: writes_by_result.with_label_values(&["applied"]),
            writes_by_result,
            fsync: histogram(
                "ringkv_storage_fsync_seconds",
                "Time to write and sync one batch of the Raft log, in seconds.",
            )?,
            fsync_bytes: counter(
                "ringkv_storage_log_bytes_total",
                "Bytes of entries in synced batches of the Raft log.",
            )?,
            flush: histogram(
                "ringkv_storage_flush_seconds",
                "Time to make the state machine durable, in seconds.",
            )?,
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
            streams,
            stages: StageSeries::register(registry)?,
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
            poller_busy,
            snapshot_bytes_built: snapshot_bytes.with_label_values(&["built"]),
            snapshot_bytes_received: snapshot_bytes.with_label_values(&["received"]),
            records_damaged: damaged.with_label_values(&["record"]),
            frames_damaged: damaged.with_label_values(&["frame"]),
        })
    }

    /// A request was answered; `trace` only of a traced one.
    pub(crate) fn answered(&self, op: Op, took: Duration, trace: Option<TraceId>) {
        self.latency[op as usize].observe(took.as_secs_f64(), trace);
    }

    /// A write was answered with success, or with the code.
    pub(crate) fn write_result(&self, error: Option<ErrorCode>) {
        match error {
            None => self.writes_applied.inc(),
            Some(code) => self.writes_by_result.with_label_values(&[code.slug()]).inc(),
        }
    }

    /// A stored record was damaged.
    pub(crate) fn record_damaged(&self) {
        self.records_damaged.inc();
    }

    /// For who knows of damaged frames: the engine counts them itself.
    pub(crate) fn frames_damaged(&self) -> IntCounter {
        self.frames_damaged.clone()
    }

    /// A Kv stream was opened (1) or closed (-1).
    pub(crate) fn stream(&self, change: i64) {
        self.streams.add(change);
    }
}

impl Observer for Metrics {
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

    fn refused(&self, requests: usize) {
        self.requests_refused.inc_by(requests as u64);
    }

    fn flushed(&self, took: Duration) {
        self.flush.observe(took.as_secs_f64());
    }

    fn snapshot_built(&self, _group: ringkv_topology::GroupId, bytes: u64, _took: Duration) {
        self.snapshots_built.inc();
        self.snapshot_bytes_built.inc_by(bytes);
    }

    fn snapshot_received(&self, _group: ringkv_topology::GroupId, bytes: u64) {
        self.snapshots_received.inc();
        self.snapshot_bytes_received.inc_by(bytes);
    }
}

fn seconds(name: &str, help: &str) -> prometheus::Result<HistogramOpts> {
    let buckets = prometheus::exponential_buckets(50e-6, 2.0, LATENCY_BUCKETS)?;
    Ok(HistogramOpts::new(name, help).buckets(buckets))
}
