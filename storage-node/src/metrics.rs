//! The node's metrics: names, help and units; nothing is counted twice.
//!
//! Hot paths hold their series and never look up a label. What the engine knows already is read
//! at a scrape (`metrics/groups`) and not counted a second time.

mod counters;
mod disk;
mod engine;
mod groups;
mod rocks;
mod stages;
mod transfers;

use std::sync::Arc;
use std::time::Duration;

use prometheus::{HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts};
use ringkv_proto::v1::ErrorCode;
use ringkv_storage_core::service::accept::Op;
use ringkv_telemetry::exemplars::ExemplarHistogram;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::series::Series;
use ringkv_telemetry::trace::TraceId;

pub(crate) use counters::CounterSeries;
pub(crate) use disk::{DiskSeries, bytes_under};
use engine::EngineSeries;
pub(crate) use groups::GroupSeries;
pub(crate) use rocks::{Figures, RocksSeries};
pub(crate) use transfers::TransferSeries;

/// From 50 µs, doubling, to 6.5 s: a request that is answered sooner or later than that is out of
/// the ordinary either way.
const LATENCY_BUCKETS: usize = 18;

/// The series that are counted as things happen.
pub(crate) struct Metrics {
    /// By [`Op`].
    latency: [ExemplarHistogram; 3],
    writes_applied: IntCounter,
    writes_by_result: IntCounterVec,
    streams: IntGauge,
    /// Shown by [`CounterSeries`], which counts most of it.
    damaged: IntCounterVec,
    records_damaged: IntCounter,
    foreign_placement: IntGauge,
    pub(crate) engine: Arc<EngineSeries>,
}

impl Metrics {
    /// Makes the series and adds them to the pages.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(pages: &OperatorPages) -> prometheus::Result<Self> {
        let series = Series::of(&pages.registry);
        let latency = series.histograms(
            &["op"],
            seconds(
                "raft_request_latency_seconds",
                "Time from a request's arrival at this node to its reply, in seconds.",
            )?,
        )?;
        let writes_by_result = series.counters(
            &["result"],
            "ringkv_raft_proposals_total",
            "Writes answered, by result: applied, or the code of the error.",
        )?;
        let streams = series.gauge("ringkv_kv_streams", "Open Kv streams.")?;
        let foreign_placement = series.gauge(
            "ringkv_placement_foreign",
            "1 while the placement that this node reaches is of another cluster, else 0.",
        )?;
        let damaged = Opts::new(
            "ringkv_checksum_mismatch_total",
            "Stored records and peers' frames with a wrong checksum, refused; replicas whose state \
             differed from a majority of their group's, rebuilt.",
        );
        let damaged = IntCounterVec::new(damaged, &["what"])?;
        Ok(Self {
            latency: ["get", "put", "delete"]
                .map(|op| pages.exemplars.of(latency.with_label_values(&[op]))),
            writes_applied: writes_by_result.with_label_values(&["applied"]),
            writes_by_result,
            streams,
            foreign_placement,
            records_damaged: damaged.with_label_values(&["record"]),
            damaged,
            engine: Arc::new(EngineSeries::register(series)?),
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

    /// All checksum mismatches, for who counts those of another kind.
    pub(crate) fn damaged(&self) -> IntCounterVec {
        self.damaged.clone()
    }

    /// Whether the placement that this node reaches is of another cluster.
    pub(crate) fn foreign_placement(&self) -> IntGauge {
        self.foreign_placement.clone()
    }

    /// A Kv stream was opened (1) or closed (-1).
    pub(crate) fn stream(&self, change: i64) {
        self.streams.add(change);
    }
}

fn seconds(name: &str, help: &str) -> prometheus::Result<HistogramOpts> {
    let buckets = prometheus::exponential_buckets(50e-6, 2.0, LATENCY_BUCKETS)?;
    Ok(HistogramOpts::new(name, help).buckets(buckets))
}
