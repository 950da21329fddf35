//! The rows about RocksDB: whether it keeps up, and what it contains.

use crate::dashboards::board::{Panel, Row, Shape, Unit};

pub(super) fn stalls() -> Row {
    Row {
        title: "RocksDB: does it keep up?",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Writes stopped",
                Unit::YesNo,
                "RocksDB refuses writes until compaction has caught up.",
            )
            .query(
                "max by (instance, db) (ringkv_rocksdb_write_stopped{instance=~\"$node\"})",
                "{{instance}} {{db}}",
            )
            .bad(1.0)
            .wide(6),
            Panel::new(
                Shape::Time,
                "Writes slowed to",
                Unit::BytesPerSecond,
                "The rate RocksDB holds writes to; 0 is no limit.",
            )
            .query(
                "max by (instance, db) (ringkv_rocksdb_delayed_write_rate_bytes{\
                     instance=~\"$node\"})",
                "{{instance}} {{db}}",
            )
            .wide(6),
            Panel::new(
                Shape::Time,
                "Bytes that wait for compaction",
                Unit::Bytes,
                "Debt: it falls again after a burst of writes.",
            )
            .query(
                "max by (instance, db) (ringkv_rocksdb_pending_compaction_bytes{\
                     instance=~\"$node\"})",
                "{{instance}} {{db}}",
            )
            .warn(4e9)
            .bad(32e9)
            .wide(6),
            Panel::new(
                Shape::Time,
                "Files in level 0",
                Unit::Count,
                "Each read may look into all of them. RocksDB slows writes at 20 and stops them at \
                 36 by default.",
            )
            .query(
                "max by (instance, db) (ringkv_rocksdb_l0_files{instance=~\"$node\"})",
                "{{instance}} {{db}}",
            )
            .warn(20.0)
            .bad(36.0)
            .wide(6),
        ],
    }
}

pub(super) fn cache() -> Row {
    Row {
        title: "RocksDB: does the cache hold what is read?",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Block cache used",
                Unit::Ratio,
                "Part of its capacity that is filled. A full cache is normal once the data is \
                 larger than it.",
            )
            .query(
                "max by (instance, db) (ringkv_rocksdb_block_cache_bytes{\
                     instance=~\"$node\"}) / max by (instance, db) \
                     (ringkv_rocksdb_block_cache_capacity_bytes{instance=~\"$node\"} > 0)",
                "{{instance}} {{db}}",
            )
            .wide(12),
            Panel::new(
                Shape::Time,
                "Reads answered from the block cache",
                Unit::Ratio,
                "Part of the blocks (data, index, filters) that reads found in the cache. The rest \
                 came from a file. A falling share with a full cache: the keys in use no longer \
                 fit.",
            )
            .query(
                "sum by (instance, db) (rate(ringkv_rocksdb_block_cache_hits_total{\
                     instance=~\"$node\"}[$__rate_interval])) / (sum by (instance, db) \
                     (rate(ringkv_rocksdb_block_cache_hits_total{instance=~\"$node\"}\
                     [$__rate_interval])) + sum by (instance, db) \
                     (rate(ringkv_rocksdb_block_cache_misses_total{instance=~\"$node\"}\
                     [$__rate_interval])) > 0)",
                "{{instance}} {{db}}",
            )
            .wide(12),
        ],
    }
}

pub(super) fn contents() -> Row {
    Row {
        title: "RocksDB: work, files and memtables",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Compactions and flushes running",
                Unit::Count,
                "On all chosen nodes.",
            )
            .query(
                "sum by (db) (ringkv_rocksdb_running_compactions{instance=~\"$node\"})",
                "compactions {{db}}",
            )
            .query(
                "sum by (db) (ringkv_rocksdb_running_flushes{instance=~\"$node\"})",
                "flushes {{db}}",
            ),
            Panel::new(
                Shape::Time,
                "Size on disk",
                Unit::Bytes,
                "Bytes of sorted files, by database.",
            )
            .query("sum by (db) (ringkv_rocksdb_sst_bytes{instance=~\"$node\"})", "{{db}}"),
            Panel::new(
                Shape::Time,
                "Write amplification",
                Unit::Count,
                "Bytes written to files, by flushes and compaction, for each byte flushed. 1 means \
                 that nothing was rewritten.",
            )
            .query(
                "1 + sum by (db) (rate(ringkv_rocksdb_compacted_bytes_total{\
                     instance=~\"$node\"}[30m])) / sum by (db) \
                     (rate(ringkv_rocksdb_flushed_bytes_total{instance=~\"$node\"}[30m]) > 0)",
                "{{db}}",
            ),
            Panel::new(
                Shape::Time,
                "Time that writes waited",
                Unit::Ratio,
                "Part of the time in which writes waited for flushes or compaction. Unlike \
                 \"Writes stopped\", it does not miss what lies between two scrapes.",
            )
            .query(
                "sum by (instance, db) (rate(ringkv_rocksdb_stall_seconds_total{\
                     instance=~\"$node\"}[$__rate_interval]))",
                "{{instance}} {{db}}",
            )
            .warn(0.01)
            .bad(0.1),
            Panel::new(Shape::Time, "Memtables", Unit::Bytes, "Bytes written and not yet flushed.")
                .query(
                    "max by (instance, db) (ringkv_rocksdb_memtable_bytes{instance=~\"$node\"})",
                    "{{instance}} {{db}}",
                ),
            Panel::new(
                Shape::Time,
                "Keys, estimated",
                Unit::Count,
                "By RocksDB's estimate: records and bookkeeping rows together, replicas \
                 counted each.",
            )
            .query(
                "sum by (instance) (ringkv_rocksdb_estimated_keys{db=\"data\", \
                     instance=~\"$node\"})",
                "{{instance}}",
            ),
        ],
    }
}
