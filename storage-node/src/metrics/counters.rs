//! Series of what the engine counts itself, read when a scrape asks.

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntCounterVec, Registry};
use ringkv_consensus::Counters;
use ringkv_engine::Handle;

/// A series, and which of the engine's counters it shows.
struct Shown {
    series: IntCounter,
    read: fn(&Counters) -> u64,
}

/// The collector.
pub(crate) struct CounterSeries {
    /// Held over a scrape, so that no rise is added twice.
    scrape: Mutex<()>,
    engine: Handle,
    shown: [Shown; 4],
    damaged: IntCounterVec,
}

impl CounterSeries {
    /// Adds the series to the registry, and `damaged`, that of all checksum mismatches.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(
        registry: &Registry,
        engine: Handle,
        damaged: IntCounterVec,
    ) -> prometheus::Result<()> {
        let shown = |name: &str, help: &str, read: fn(&Counters) -> u64| {
            Ok::<_, prometheus::Error>(Shown { series: IntCounter::new(name, help)?, read })
        };
        let shown = [
            shown(
                "ringkv_raft_elections_total",
                "Elections that replicas here have stood for.",
                |counters| counters.elections,
            )?,
            shown(
                "ringkv_raft_leader_changes_total",
                "Times that a replica here has learnt of another leader than before.",
                |counters| counters.leader_changes,
            )?,
            shown(
                "ringkv_raft_compactions_total",
                "Times that the log of a group here was cut behind what is flushed.",
                |counters| counters.compactions,
            )?,
            shown(
                "ringkv_raft_messages_dropped_total",
                "Raft messages dropped: for replicas that are not here, or no room for them.",
                |counters| counters.messages_dropped,
            )?,
        ];
        registry.register(Box::new(Self { scrape: Mutex::new(()), engine, shown, damaged }))
    }
}

impl Collector for CounterSeries {
    fn desc(&self) -> Vec<&Desc> {
        let shown = self.shown.iter().flat_map(|shown| shown.series.desc());
        shown.chain(self.damaged.desc()).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scrape = self.scrape.lock();
        let counters = self.engine.counters();
        let raise = |series: &IntCounter, to: u64| series.inc_by(to.saturating_sub(series.get()));
        for shown in &self.shown {
            raise(&shown.series, (shown.read)(&counters));
        }
        let damaged = |what: &str| self.damaged.with_label_values(&[what]);
        raise(&damaged("frame"), counters.frames_damaged);
        raise(&damaged("replica"), counters.replicas_diverged);
        let shown = self.shown.iter().flat_map(|shown| shown.series.collect());
        shown.chain(self.damaged.collect()).collect()
    }
}
