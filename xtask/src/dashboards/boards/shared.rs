//! Expressions that several boards show, so that the same words mean the same number on all.
//!
//! Owns no panel: each board uses an expression in its own way.

/// Mean time of an entry, or a read, in each stage.
pub(super) const MEAN_BY_STAGE: &str = "sum by (stage) \
    (rate(ringkv_raft_stage_seconds_sum{instance=~\"$node\"}[$__rate_interval])) / sum by \
    (stage) (rate(ringkv_raft_stage_seconds_count{instance=~\"$node\"}[$__rate_interval]))";

/// Elections begun.
pub(super) const ELECTIONS: &str =
    "sum(rate(ringkv_raft_elections_total{instance=~\"$node\"}[$__rate_interval]))";

/// Changes of leader seen by any replica.
pub(super) const LEADER_CHANGES: &str =
    "sum(rate(ringkv_raft_leader_changes_total{instance=~\"$node\"}[$__rate_interval]))";

/// Entries the slowest follower is behind.
pub(super) const LOG_LAG: &str = "ringkv_raft_log_lag_entries{instance=~\"$node\"}";

/// Entries committed and not yet applied.
pub(super) const APPLY_LAG: &str = "ringkv_raft_apply_lag_entries{instance=~\"$node\"}";

/// The share of its time in which a poller works.
pub(super) const POLLER_BUSY: &str =
    "rate(ringkv_raft_poller_busy_seconds_total{instance=~\"$node\"}[$__rate_interval])";

/// Snapshots built and received.
pub(super) const SNAPSHOT_BYTES: &str =
    "sum by (direction) (rate(ringkv_snapshot_bytes_total{instance=~\"$node\"}[$__rate_interval]))";

/// p99 of requests for keys, by method.
pub(super) const REQUEST_P99: &str = "histogram_quantile(0.99, sum by (method, le) \
    (rate(ringkv_gateway_request_seconds_bucket{instance=~\"$gateway\"}[$__rate_interval])))";

/// Attempts that were followed by another.
pub(super) const RETRIES: &str = "sum by (reason) \
    (rate(ringkv_gateway_retries_total{instance=~\"$gateway\"}[$__rate_interval]))";

/// Whether any placement replica knows a leader.
pub(super) const PLACEMENT_LEADS: &str = "max(ringkv_placement_has_leader)";

/// Nodes from which placement receives no heartbeat.
pub(super) const SILENT_NODES: &str = "max(ringkv_placement_nodes{state=\"silent\"})";

/// The difference between the newest and the oldest topology in use.
pub(super) const EPOCHS_APART: &str = "max(ringkv_ring_epoch) - min(ringkv_ring_epoch)";

/// The free part of the disk.
pub(super) const DISK_FREE: &str = "ringkv:disk_free:ratio{instance=~\"$node\"}";

/// p99 of a synced write of the log.
pub(super) const FSYNC_P99: &str = "histogram_quantile(0.99, sum by (instance, le) \
    (rate(ringkv_storage_fsync_seconds_bucket{instance=~\"$node\"}[$__rate_interval])))";
