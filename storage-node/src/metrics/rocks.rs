//! Series of the two RocksDBs, read as RocksDB's own properties when a scrape asks.
//!
//! Holds no database: one that is closed shows zeros.

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts, Registry};

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

/// Gives a numeric property of a RocksDB; 0 for none.
pub(crate) type Figures = Box<dyn Fn(&str) -> u64 + Send + Sync>;

/// The collector.
pub(crate) struct RocksSeries {
    /// Held over a scrape, so that another one does not read half of it.
    scrape: Mutex<()>,
    databases: [(&'static str, Figures); 2],
    gauges: Vec<IntGaugeVec>,
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
        let databases = [("raft", raft), ("data", data)];
        registry.register(Box::new(Self { scrape: Mutex::new(()), databases, gauges }))
    }
}

impl Collector for RocksSeries {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scrape = self.scrape.lock();
        for (gauge, (_, property, _)) in self.gauges.iter().zip(FIGURES) {
            for (db, figures) in &self.databases {
                let value = i64::try_from(figures(property)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[db]).set(value);
            }
        }
        self.gauges.iter().flat_map(Collector::collect).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys;
    use crate::store::{RocksSettings, RocksStore, Store as _, Write};

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
        let figures = store.figures();
        drop(store);
        assert_eq!(figures("rocksdb.estimate-num-keys"), 0, "it does not keep the store open");
    }
}
