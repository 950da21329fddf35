//! Raft and groups: where a write spends its time, who leads, and how far logs are behind.

use super::shared::{
    APPLY_LAG, ELECTIONS, LEADER_CHANGES, LOG_LAG, MEAN_BY_STAGE, POLLER_BUSY, SNAPSHOT_BYTES,
};
use super::{GROUP, NODE, RAFT, SLOW, SLOW_FSYNC_SECONDS, STORAGE};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: RAFT,
        title: "ringkv Raft and groups",
        about: "The stages of a write, leaders and elections, logs, and snapshots.",
        variables: &[&NODE, &GROUP],
        rows: vec![stages(), leaders(), logs(), work(), pressure(), snapshots(), groups()],
    }
}

fn stages() -> Row {
    Row {
        title: "The stages of a request",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Mean time by stage",
                Unit::Seconds,
                "Waiting to be proposed, fsync, replication, waiting to be applied, applying; and \
                 the round that confirms a read.",
            )
            .query(MEAN_BY_STAGE, "{{stage}}")
            .wide(12)
            .see(SLOW),
            Panel::new(
                Shape::Time,
                "p99 by stage",
                Unit::Seconds,
                "99 of 100 took less than this. The largest line is where to look.",
            )
            .query(
                "histogram_quantile(0.99, sum by (stage, le) \
                     (rate(ringkv_raft_stage_seconds_bucket{instance=~\"$node\"}\
                     [$__rate_interval])))",
                "{{stage}}",
            )
            .bad(SLOW_FSYNC_SECONDS)
            .wide(12)
            .traces("ringkv-storage-node")
            .see(SLOW),
        ],
    }
}

fn leaders() -> Row {
    Row {
        title: "Leaders",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Groups by role of the replica",
                Unit::Count,
                "Replicas on the chosen nodes. Candidates only while an election runs.",
            )
            .query("sum by (state) (ringkv_raft_groups{instance=~\"$node\"})", "{{state}}"),
            Panel::new(
                Shape::Time,
                "Leaders by node",
                Unit::Count,
                "Even when all is well: each leader serves the reads and orders the writes of its \
                 group.",
            )
            .query("ringkv_raft_leaders{instance=~\"$node\"}", "{{instance}}"),
            Panel::new(
                Shape::Time,
                "Elections and changes of leader",
                Unit::PerSecond,
                "Elections begun, and changes of leader seen by any replica.",
            )
            .query(ELECTIONS, "elections")
            .query(LEADER_CHANGES, "changes")
            .warn(0.1),
            Panel::new(
                Shape::Time,
                "Replicas that know no leader",
                Unit::Count,
                "For longer than an election takes: the node is cut off, or its groups have lost \
                 their majority.",
            )
            .query("ringkv_raft_groups_without_leader{instance=~\"$node\"}", "{{instance}}")
            .bad(1.0),
            Panel::new(
                Shape::Time,
                "Under-replicated groups",
                Unit::Count,
                "Led by the node, with a voter that was not heard from lately.",
            )
            .query("ringkv_raft_groups_under_replicated{instance=~\"$node\"}", "{{instance}}")
            .warn(1.0),
            Panel::new(
                Shape::Time,
                "Other nodes that answer",
                Unit::YesNo,
                "As each node sees its peers; the worst view of each.",
            )
            .query("min by (peer) (raft_node_health{instance=~\"$node\"})", "node {{peer}}"),
        ],
    }
}

fn logs() -> Row {
    Row {
        title: "Logs",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Entries the slowest follower is behind",
                Unit::Count,
                "Of the groups each node leads.",
            )
            .query(LOG_LAG, "{{instance}}")
            .bad(5000.0),
            Panel::new(
                Shape::Time,
                "Entries committed and not yet applied",
                Unit::Count,
                "The largest of the groups on each node: reads wait for it.",
            )
            .query(APPLY_LAG, "{{instance}}")
            .bad(5000.0),
            Panel::new(
                Shape::Time,
                "Entries in the log, ten longest",
                Unit::Count,
                "A log is cut behind a snapshot when it passes --log-entries-max.",
            )
            .query(
                "topk(10, max by (group) (raft_log_size{job=\"ringkv-storage-node\", \
                     instance=~\"$node\", group=~\"$group\"}))",
                "group {{group}}",
            ),
        ],
    }
}

fn work() -> Row {
    Row {
        title: "Work",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Writes by result",
                Unit::PerSecond,
                "Writes answered by the nodes: applied, or the code of the error.",
            )
            .query(
                "sum by (result) (rate(ringkv_raft_proposals_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "{{result}}",
            ),
            Panel::new(
                Shape::Time,
                "Commands in an entry",
                Unit::Count,
                "Commands that shared one log entry, on average: it rises with load, and saves \
                 syncs and messages.",
            )
            .query("ringkv:raft_pack_commands:mean", "all nodes"),
            Panel::new(
                Shape::Stacked,
                "Reads by mode",
                Unit::PerSecond,
                "Confirmed by a round to a majority (read_index) or within a lease.",
            )
            .query(
                "sum by (mode) (rate(ringkv_raft_reads_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "{{mode}}",
            ),
        ],
    }
}

fn pressure() -> Row {
    Row {
        title: "Pressure",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Poller busy",
                Unit::Ratio,
                "Part of the time the one thread that drives all groups of a node works. Near \
                 100 % it is the limit of the node.",
            )
            .query(POLLER_BUSY, "{{instance}}")
            .warn(0.7)
            .bad(0.85),
            Panel::new(
                Shape::Time,
                "Requests refused as busy",
                Unit::PerSecond,
                "A queue of the engine was full. They were certainly not applied.",
            )
            .query(
                "sum by (instance) (rate(ringkv_requests_refused_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "{{instance}}",
            )
            .warn(1.0),
            Panel::new(
                Shape::Time,
                "Frames and messages dropped",
                Unit::PerSecond,
                "Raft sends again what is dropped; a lasting rate costs time.",
            )
            .query(
                "sum(rate(ringkv_raft_frames_dropped_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "frames",
            )
            .query(
                "sum(rate(ringkv_raft_messages_dropped_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "messages",
            )
            .warn(1.0),
        ],
    }
}

fn snapshots() -> Row {
    Row {
        title: "Snapshots",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Snapshots",
                Unit::PerSecond,
                "Cut here for a replica that is too far behind for the log, and arrived here.",
            )
            .query(
                "sum(rate(ringkv_snapshots_built_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "built",
            )
            .query(
                "sum(rate(ringkv_snapshots_received_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "received",
            ),
            Panel::new(
                Shape::Time,
                "Bytes of snapshots",
                Unit::BytesPerSecond,
                "Built and received.",
            )
            .query(SNAPSHOT_BYTES, "{{direction}}"),
            Panel::new(
                Shape::Time,
                "Logs cut",
                Unit::PerSecond,
                "Cuts of a group's log behind what its state has flushed.",
            )
            .query(
                "sum by (instance) (rate(ringkv_raft_compactions_total{\
                     instance=~\"$node\"}[$__rate_interval]))",
                "{{instance}}",
            ),
        ],
    }
}

fn groups() -> Row {
    Row {
        title: "Groups",
        panels: vec![
            Panel::new(
                Shape::Table,
                "Groups",
                Unit::Count,
                "The chosen groups; the first 256 of a node have series of their own. A row leads \
                 to slow traces.",
            )
            .row_by("group", "Group")
            .column(
                "Leaders",
                Unit::Count,
                "count by (group) (raft_state{job=\"ringkv-storage-node\", \
                     group=~\"$group\"} == 2)",
            )
            .column(
                "Term",
                Unit::Count,
                "max by (group) (raft_term{job=\"ringkv-storage-node\", group=~\"$group\"})",
            )
            .column(
                "Committed a second",
                Unit::PerSecond,
                "max by (group) (rate(raft_committed_index{job=\"ringkv-storage-node\", \
                     group=~\"$group\"}[1m]))",
            )
            .column(
                "Entries in the log",
                Unit::Count,
                "max by (group) (raft_log_size{job=\"ringkv-storage-node\", \
                     group=~\"$group\"})",
            )
            .column(
                "Behind",
                Unit::Count,
                "max by (group) (raft_replication_lag{job=\"ringkv-storage-node\", \
                     group=~\"$group\"})",
            )
            .traces("ringkv-storage-node")
            .see(STORAGE)
            .wide(24),
        ],
    }
}
