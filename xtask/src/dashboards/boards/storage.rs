//! Storage and node: requests inside the nodes, their disks, RocksDB, and what a process uses.

mod rocksdb;

use super::shared::{DISK_FREE, FSYNC_P99};
use super::{NODE, RAFT, SLOW_FSYNC_SECONDS, SLOW_SECONDS, STORAGE};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: STORAGE,
        title: "ringkv storage and node",
        about: "Each storage node: its requests, its disk, RocksDB and its process.",
        variables: &[&NODE],
        rows: vec![
            nodes(),
            requests(),
            log(),
            state(),
            space(),
            rocksdb::stalls(),
            rocksdb::cache(),
            rocksdb::contents(),
            process(),
        ],
    }
}

fn nodes() -> Row {
    Row {
        title: "Nodes",
        panels: vec![
            Panel::new(
                Shape::Table,
                "Nodes",
                Unit::Count,
                "One row a node. A row leads to its graphs and to slow traces.",
            )
            .row_by("instance", "Node")
            .column(
                "Up",
                Unit::YesNo,
                "max by (instance) (up{job=\"ringkv-storage-node\", instance=~\"$node\"})",
            )
            .column(
                "Ready",
                Unit::YesNo,
                "max by (instance) (ringkv_ready{job=\"ringkv-storage-node\", \
                     instance=~\"$node\"})",
            )
            .column(
                "Leaders",
                Unit::Count,
                "sum by (instance) (ringkv_raft_leaders{instance=~\"$node\"})",
            )
            .column(
                "fsync p99",
                Unit::Seconds,
                "ringkv:storage_fsync_seconds:p99_rate5m{instance=~\"$node\"}",
            )
            .column("Disk free", Unit::Ratio, DISK_FREE)
            .column(
                "CPU",
                Unit::Count,
                "sum by (instance) (rate(process_cpu_seconds_total{\
                     job=\"ringkv-storage-node\", instance=~\"$node\"}[1m]))",
            )
            .column(
                "Memory",
                Unit::Bytes,
                "sum by (instance) (process_resident_memory_bytes{\
                     job=\"ringkv-storage-node\", instance=~\"$node\"})",
            )
            .traces("ringkv-storage-node")
            .wide(24),
        ],
    }
}

fn requests() -> Row {
    Row {
        title: "Requests",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Time of a request inside the node, p99",
                Unit::Seconds,
                "From its arrival at the node to its reply. Points are requests with a trace.",
            )
            .query(
                "histogram_quantile(0.99, sum by (op, le) \
                     (rate(raft_request_latency_seconds_bucket{instance=~\"$node\"}\
                     [$__rate_interval])))",
                "{{op}}",
            )
            .bad(SLOW_SECONDS)
            .exemplars()
            .traces("ringkv-storage-node"),
            Panel::new(
                Shape::Stacked,
                "Requests by node",
                Unit::RequestsPerSecond,
                "Answered by each node; leaders do the work, so this follows who leads.",
            )
            .query(
                "sum by (instance) (rate(raft_request_latency_seconds_count{\
                     instance=~\"$node\"}[$__rate_interval]))",
                "{{instance}}",
            )
            .see(RAFT),
            Panel::new(
                Shape::Time,
                "Streams of gateways",
                Unit::Count,
                "One from each gateway to each node.",
            )
            .query("ringkv_kv_streams{instance=~\"$node\"}", "{{instance}}"),
        ],
    }
}

fn log() -> Row {
    Row {
        title: "Disk: the log",
        panels: vec![
            Panel::new(
                Shape::Time,
                "fsync of the log, p99",
                Unit::Seconds,
                "Time to write and sync one batch of all groups. Every acknowledged write waits \
                 for it on a majority.",
            )
            .query(FSYNC_P99, "{{instance}}")
            .warn(SLOW_FSYNC_SECONDS / 2.0)
            .bad(SLOW_FSYNC_SECONDS),
            Panel::new(
                Shape::Time,
                "Syncs of the log",
                Unit::PerSecond,
                "One sync serves all groups of a node. Near 1 / fsync time the disk is the limit.",
            )
            .query(
                "rate(ringkv_storage_fsync_seconds_count{instance=~\"$node\"}\
                     [$__rate_interval])",
                "{{instance}}",
            ),
            Panel::new(
                Shape::Time,
                "Bytes written to the log",
                Unit::BytesPerSecond,
                "Bytes of entries in synced batches.",
            )
            .query(
                "rate(ringkv_storage_log_bytes_total{instance=~\"$node\"}\
                     [$__rate_interval])",
                "{{instance}}",
            ),
        ],
    }
}

fn state() -> Row {
    Row {
        title: "Disk: the state machine",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Applying a batch, p99",
                Unit::Seconds,
                "Time to write what is committed to the state machine, in memory.",
            )
            .query(
                "histogram_quantile(0.99, sum by (instance, le) \
                     (rate(ringkv_storage_apply_seconds_bucket{instance=~\"$node\"}\
                     [$__rate_interval])))",
                "{{instance}}",
            )
            .bad(SLOW_FSYNC_SECONDS),
            Panel::new(
                Shape::Time,
                "Flushes of the state machine",
                Unit::PerSecond,
                "Each makes durable what is applied, so that the log can be cut.",
            )
            .query(
                "rate(ringkv_storage_flush_seconds_count{instance=~\"$node\"}\
                     [$__rate_interval])",
                "{{instance}}",
            ),
            Panel::new(
                Shape::Time,
                "Damaged bytes found",
                Unit::PerSecond,
                "Checksums that did not match. Any is a bad disk or bad memory.",
            )
            .query(
                "sum by (instance) (rate(ringkv_checksum_mismatch_total{\
                     instance=~\"$node\"}[$__rate_interval]))",
                "{{instance}}",
            )
            .bad(1e-6),
        ],
    }
}

fn space() -> Row {
    Row {
        title: "Space",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "What takes the disk",
                Unit::Bytes,
                "Log, state and snapshots of the chosen nodes together.",
            )
            .query(
                "sum by (kind) (ringkv_disk_bytes{kind=~\"raft|data|snapshots\", \
                     instance=~\"$node\"})",
                "{{kind}}",
            ),
            Panel::new(
                Shape::Time,
                "Free part of the file system",
                Unit::Ratio,
                "Below 10 % an alert fires; a full disk refuses growing writes.",
            )
            .query(DISK_FREE, "{{instance}}")
            .bad_below(0.1),
            Panel::new(
                Shape::Time,
                "Growing writes refused: disk full",
                Unit::YesNo,
                "Whether a node is in that state: reads and deletes go on.",
            )
            .query("ringkv_disk_full{instance=~\"$node\"}", "{{instance}}")
            .bad(1.0),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process",
        panels: vec![
            Panel::new(Shape::Time, "CPU", Unit::Count, "Processor cores each node keeps busy.")
                .query(
                    "rate(process_cpu_seconds_total{job=\"ringkv-storage-node\", \
                     instance=~\"$node\"}[$__rate_interval])",
                    "{{instance}}",
                )
                .wide(6),
            Panel::new(Shape::Time, "Memory", Unit::Bytes, "Resident memory of each node.")
                .query(
                    "process_resident_memory_bytes{job=\"ringkv-storage-node\", \
                     instance=~\"$node\"}",
                    "{{instance}}",
                )
                .wide(6),
            Panel::new(
                Shape::Time,
                "Threads and open files",
                Unit::Count,
                "The largest of the chosen nodes.",
            )
            .query(
                "max(process_threads{job=\"ringkv-storage-node\", instance=~\"$node\"})",
                "threads",
            )
            .query(
                "max(process_open_fds{job=\"ringkv-storage-node\", instance=~\"$node\"})",
                "open files",
            )
            .wide(6),
            Panel::new(
                Shape::Time,
                "Log lines and spans dropped",
                Unit::PerSecond,
                "Because their reader or collector was too slow or unreachable.",
            )
            .query(
                "sum(rate(ringkv_log_lines_dropped_total{job=\"ringkv-storage-node\", \
                     instance=~\"$node\"}[$__rate_interval]))",
                "log lines",
            )
            .query(
                "sum(rate(ringkv_trace_spans_dropped_total{job=\"ringkv-storage-node\", \
                     instance=~\"$node\"}[$__rate_interval]))",
                "spans",
            )
            .wide(6),
        ],
    }
}
