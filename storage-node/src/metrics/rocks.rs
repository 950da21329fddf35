//! Series of the two RocksDBs, read as RocksDB's own properties and tickers when a scrape asks.
//!
//! Holds no database: one that is closed shows zeros.

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, IntGaugeVec, Opts, Registry};

/// Metric, RocksDB's property, help.
const FIGURES: [(&str, &str, &str); 11] = [
    (
        "ringkv_rocksdb_memtable_bytes",
        "rocksdb.cur-size-all-mem-tables",
        "Bytes in memtables and in the write buffer, not flushed yet.",
    ),
    (
        "ringkv_rocksdb_pending_compaction_bytes",
        "rocksdb.estimate-pending-compaction-bytes",
        "Bytes that compaction has yet to rewrite, estimated.",
    ),
    ("ringkv_rocksdb_l0_files", "rocksdb.num-files-at-level0", "Files at level 0."),
    ("ringkv_rocksdb_sst_bytes", "rocksdb.total-sst-files-size", "Bytes of all SST files."),
    (
        "ringkv_rocksdb_write_stopped",
        "rocksdb.is-write-stopped",
        "Whether RocksDB has stopped writes until compaction catches up: 1 yes, 0 no.",
    ),
    (
        "ringkv_rocksdb_delayed_write_rate_bytes",
        "rocksdb.actual-delayed-write-rate",
        "Bytes a second that RocksDB slows writes down to; 0 while it does not.",
    ),
    (
        "ringkv_rocksdb_running_compactions",
        "rocksdb.num-running-compactions",
        "Compactions under way.",
    ),
    ("ringkv_rocksdb_running_flushes", "rocksdb.num-running-flushes", "Flushes under way."),
    ("ringkv_rocksdb_estimated_keys", "rocksdb.estimate-num-keys", "Rows, estimated."),
    (
        "ringkv_rocksdb_block_cache_bytes",
        "rocksdb.block-cache-usage",
        "Bytes held by the cache of uncompressed blocks.",
    ),
    (
        "ringkv_rocksdb_block_cache_capacity_bytes",
        "rocksdb.block-cache-capacity",
        "Bytes that cache may hold.",
    ),
];

/// Metric, RocksDB's ticker, help, how many of the ticker's units are one of the metric's.
const COUNTS: [(&str, &str, &str, f64); 5] = [
    (
        "ringkv_rocksdb_block_cache_hits_total",
        "rocksdb.block.cache.hit",
        "Blocks of data, index or filters that a read found in the cache.",
        1.0,
    ),
    (
        "ringkv_rocksdb_block_cache_misses_total",
        "rocksdb.block.cache.miss",
        "Blocks of data, index or filters that had to be read from a file.",
        1.0,
    ),
    (
        "ringkv_rocksdb_flushed_bytes_total",
        "rocksdb.flush.write.bytes",
        "Bytes written from memtables to files.",
        1.0,
    ),
    (
        "ringkv_rocksdb_compacted_bytes_total",
        "rocksdb.compact.write.bytes",
        "Bytes written by compaction.",
        1.0,
    ),
    (
        "ringkv_rocksdb_stall_seconds_total",
        "rocksdb.stall.micros",
        "Time that writes waited for flushes or compaction, in seconds.",
        1e6,
    ),
];

/// Returns a property or ticker of a RocksDB; 0 if it is absent.
pub(crate) type Figures = Box<dyn Fn(&str) -> u64 + Send + Sync>;

/// The collector.
pub(crate) struct RocksSeries {
    /// Held over a scrape, so that another one does not read half of it, nor a rise be added twice.
    scrape: Mutex<()>,
    databases: [(&'static str, Figures); 2],
    gauges: Vec<IntGaugeVec>,
    counters: Vec<CounterVec>,
}

impl RocksSeries {
    /// Adds `ringkv_rocksdb_*{db}` of the Raft log and the data to the registry.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(
        registry: &Registry,
        raft: Figures,
        data: Figures,
    ) -> prometheus::Result<()> {
        let gauge = |(name, _, help): &(&str, &str, &str)| {
            IntGaugeVec::new(Opts::new(*name, *help), &["db"])
        };
        let gauges = FIGURES.iter().map(gauge).collect::<prometheus::Result<_>>()?;
        let counter = |(name, _, help, _): &(&str, &str, &str, f64)| {
            CounterVec::new(Opts::new(*name, *help), &["db"])
        };
        let counters = COUNTS.iter().map(counter).collect::<prometheus::Result<_>>()?;
        let databases = [("raft", raft), ("data", data)];
        registry.register(Box::new(Self { scrape: Mutex::new(()), databases, gauges, counters }))
    }
}

impl Collector for RocksSeries {
    fn desc(&self) -> Vec<&Desc> {
        let gauges = self.gauges.iter().flat_map(Collector::desc);
        gauges.chain(self.counters.iter().flat_map(Collector::desc)).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scrape = self.scrape.lock();
        for (gauge, (_, property, _)) in self.gauges.iter().zip(FIGURES) {
            for (db, figures) in &self.databases {
                let value = i64::try_from(figures(property)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[db]).set(value);
            }
        }
        for (counter, (_, ticker, _, units)) in self.counters.iter().zip(COUNTS) {
            for (db, figures) in &self.databases {
                let counter = counter.with_label_values(&[db]);
                let rise = figures(ticker) as f64 / units - counter.get();
                counter.inc_by(rise.max(0.0));
            }
        }
        let gauges = self.gauges.iter().flat_map(Collector::collect);
        gauges.chain(self.counters.iter().flat_map(Collector::collect)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ringkv_storage_core::keys;
    use ringkv_storage_core::store::{SnapshotStore as _, Store as _, Write};

    use crate::store::{RocksSettings, RocksStore};

    #[test]
    fn every_figure_is_one_that_rocksdb_knows() {
        let dir = tempfile::tempdir().unwrap();
        let store = RocksStore::open(dir.path(), &RocksSettings::default()).unwrap();
        let key = keys::group_state(ringkv_topology::GroupId(1));
        store.write(vec![Write { key, value: Some(vec![7; 100].into()) }]).unwrap();
        for (name, property, _) in FIGURES {
            assert!(store.figure(property).is_some(), "{name}: {property}");
        }
        assert!(store.figure("rocksdb.cur-size-all-mem-tables").unwrap() > 100);
        store.flush().unwrap();
        for _ in 0..2 {
            store.get(&keys::group_state(ringkv_topology::GroupId(1))).unwrap().unwrap();
        }
        let counted = |ticker| store.figure(ticker).unwrap();
        assert!(counted("rocksdb.flush.write.bytes") > 100);
        assert!(counted("rocksdb.block.cache.hit") > 0);
        assert!(counted("rocksdb.block.cache.miss") > 0);
        for (name, ticker, ..) in COUNTS {
            assert!(ticker.parse::<rocksdb::statistics::Ticker>().is_ok(), "{name}: {ticker}");
        }
        let figures = store.figures();
        drop(store);
        assert_eq!(figures("rocksdb.estimate-num-keys"), 0, "it does not keep the store open");
    }
}
