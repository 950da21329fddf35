//! Why is it slow? Every panel is a question; a line over its threshold means yes, and the panel's
//! description says what follows.

use super::shared::{
    APPLY_LAG, ELECTIONS, EPOCHS_APART, FSYNC_P99, LEADER_CHANGES, LOG_LAG, MEAN_BY_STAGE,
    POLLER_BUSY, REQUEST_P99, RETRIES, SNAPSHOT_BYTES,
};
use super::{
    GATEWAY, GATEWAY_INSTANCE, NODE, PLACEMENT, RAFT, SLOW, SLOW_FSYNC_SECONDS, SLOW_SECONDS,
    STORAGE,
};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: SLOW,
        title: "Why is it slow?",
        about: "Questions from the top down: over the dashed line the answer is yes.",
        variables: &[&GATEWAY_INSTANCE, &NODE],
        rows: vec![whole(), load(), uneven(), disk(), rocksdb(), cluster(), behind()],
    }
}

/// The answer is yes over the threshold, which is visible even when the answer is no.
fn question(title: &'static str, unit: Unit, about: &'static str) -> Panel {
    Panel::new(Shape::Time, title, unit, about).up_to_threshold()
}

fn whole() -> Row {
    Row {
        title: "Is it slow, and where?",
        panels: vec![
            question(
                "Do users wait too long?",
                Unit::Seconds,
                "p99 at the gateways. If not, the time is lost before the gateway: network, load \
                 balancer, client. Points are requests with a trace: the fastest answer is there.",
            )
            .query(REQUEST_P99, "{{method}}")
            .bad(SLOW_SECONDS)
            .exemplars()
            .traces("ringkv-gateway")
            .see(GATEWAY),
            question(
                "Is it the gateway or the nodes?",
                Unit::Seconds,
                "Mean time of a request as each sees it. The difference is spent in the gateway, \
                 on the network, and on retries.",
            )
            .query(
                "sum(rate(ringkv_gateway_request_seconds_sum{instance=~\"$gateway\"}\
                     [$__rate_interval])) / sum(rate(ringkv_gateway_request_seconds_count{\
                     instance=~\"$gateway\"}[$__rate_interval]))",
                "gateway",
            )
            .query(
                "sum(rate(raft_request_latency_seconds_sum{instance=~\"$node\"}\
                     [$__rate_interval])) / sum(rate(raft_request_latency_seconds_count{\
                     instance=~\"$node\"}[$__rate_interval]))",
                "nodes",
            )
            .traces("ringkv-storage-node")
            .see(STORAGE),
            Panel::new(
                Shape::Stacked,
                "Which stage takes the time?",
                Unit::Seconds,
                "Mean time by stage. Waiting to be proposed or applied: too much work. fsync: the \
                 disk. Replicate: the network, or the disk of the others. read_index: the network.",
            )
            .query(MEAN_BY_STAGE, "{{stage}}")
            .see(RAFT),
        ],
    }
}

fn load() -> Row {
    Row {
        title: "Is it too much work?",
        panels: vec![
            question(
                "Is a gateway near its bounds?",
                Unit::Ratio,
                "Part of what may be in flight. Near 100 % requests are refused: add a gateway, or \
                 find what holds them up.",
            )
            .query(
                "ringkv_gateway_in_flight{instance=~\"$gateway\"} / \
                     ringkv_gateway_in_flight_limit{instance=~\"$gateway\"}",
                "requests {{instance}}",
            )
            .query(
                "ringkv_gateway_body_bytes{instance=~\"$gateway\"} / \
                     ringkv_gateway_body_bytes_limit{instance=~\"$gateway\"}",
                "bytes {{instance}}",
            )
            .bad(0.8)
            .see(GATEWAY),
            question(
                "Are requests turned away?",
                Unit::RequestsPerSecond,
                "At a gateway's bound, or by a node whose queues are full.",
            )
            .query(
                "sum(rate(ringkv_gateway_shed_total{instance=~\"$gateway\"}\
                     [$__rate_interval]))",
                "by gateways",
            )
            .query(
                "sum(rate(ringkv_requests_refused_total{instance=~\"$node\"}\
                     [$__rate_interval]))",
                "by nodes",
            )
            .bad(1.0)
            .see(GATEWAY),
            question(
                "Is a poller at its limit?",
                Unit::Ratio,
                "The one thread that drives all groups of a node. Near 100 %: more nodes, larger \
                 batches, fewer and larger requests.",
            )
            .query(POLLER_BUSY, "{{instance}}")
            .bad(0.85)
            .see(RAFT),
        ],
    }
}

fn uneven() -> Row {
    Row {
        title: "Is it other work than before?",
        panels: vec![
            question(
                "Does one node do most of the work?",
                Unit::Ratio,
                "Share of all requests each node answers. Uneven leaders, or keys of one tag that \
                 many clients use.",
            )
            .query(
                "sum by (instance) (rate(raft_request_latency_seconds_count{\
                     instance=~\"$node\"}[$__rate_interval])) / scalar(sum(rate(\
                     raft_request_latency_seconds_count{instance=~\"$node\"}\
                     [$__rate_interval])))",
                "{{instance}}",
            )
            .bad(0.6)
            .see(RAFT),
            question(
                "Do processes want more CPU?",
                Unit::Count,
                "Cores each keeps busy: compare with what its machine or container has.",
            )
            .query(
                "rate(process_cpu_seconds_total{instance=~\"$gateway|$node\"}\
                     [$__rate_interval])",
                "{{job}} {{instance}}",
            )
            .see(STORAGE),
            question(
                "Are values larger than before?",
                Unit::Bytes,
                "Mean size of what users send. Large values cost disk, network and memory on every \
                 replica.",
            )
            .query(
                "sum(rate(ringkv_gateway_request_bytes_total{instance=~\"$gateway\"}\
                     [$__rate_interval])) / sum(rate(ringkv_gateway_requests_total{\
                     method=\"PUT\", instance=~\"$gateway\"}[$__rate_interval]))",
                "bytes of a PUT",
            )
            .see(GATEWAY),
        ],
    }
}

fn disk() -> Row {
    Row {
        title: "Is it the disk?",
        panels: vec![
            question(
                "Is fsync slow?",
                Unit::Seconds,
                "p99. Each write waits for it on a majority: a faster disk, or fewer neighbours \
                 on it.",
            )
            .query(FSYNC_P99, "{{instance}}")
            .bad(SLOW_FSYNC_SECONDS)
            .see(STORAGE),
            question(
                "Is one disk slower than the others?",
                Unit::Count,
                "Times the median of all nodes' fsync p99. One slow node slows the groups it leads \
                 first.",
            )
            .query(
                "ringkv:storage_fsync_seconds:p99_rate5m{instance=~\"$node\"} / \
                     scalar(quantile(0.5, ringkv:storage_fsync_seconds:p99_rate5m))",
                "{{instance}}",
            )
            .bad(3.0)
            .see(STORAGE),
            question(
                "Is a disk full?",
                Unit::Ratio,
                "Used part of the file system. A full node refuses growing writes.",
            )
            .query("1 - ringkv:disk_free:ratio{instance=~\"$node\"}", "{{instance}}")
            .bad(0.9)
            .see(STORAGE),
        ],
    }
}

fn rocksdb() -> Row {
    Row {
        title: "Is it RocksDB?",
        panels: vec![
            question(
                "Has RocksDB stopped or slowed writes?",
                Unit::YesNo,
                "Compaction cannot keep up. Commits wait behind it.",
            )
            .query(
                "max by (instance) (ringkv_rocksdb_write_stopped{instance=~\"$node\"} or \
                     (ringkv_rocksdb_delayed_write_rate_bytes{instance=~\"$node\"} > bool 0))",
                "{{instance}}",
            )
            .bad(1.0)
            .see(STORAGE),
            question(
                "Does compaction fall behind?",
                Unit::Bytes,
                "Bytes that wait for it. Rising for long: writes come faster than the disk can \
                 sort them.",
            )
            .query(
                "sum by (instance) (ringkv_rocksdb_pending_compaction_bytes{\
                     instance=~\"$node\"})",
                "{{instance}}",
            )
            .bad(4e9)
            .see(STORAGE),
            question(
                "Must reads look into many files?",
                Unit::Count,
                "Files in level 0 of the data: each read may open all of them.",
            )
            .query(
                "max by (instance) (ringkv_rocksdb_l0_files{db=\"data\", \
                     instance=~\"$node\"})",
                "{{instance}}",
            )
            .bad(20.0)
            .see(STORAGE),
        ],
    }
}

fn cluster() -> Row {
    Row {
        title: "Is it the cluster?",
        panels: vec![
            question(
                "Do groups change their leaders?",
                Unit::PerSecond,
                "Each change costs its group up to a second. A dying node, a slow disk, or a lossy \
                 network.",
            )
            .query(LEADER_CHANGES, "changes")
            .query(ELECTIONS, "elections")
            .bad(0.1)
            .see(RAFT),
            question(
                "Must requests be tried again?",
                Unit::PerSecond,
                "Attempts that were followed by another, by reason: each adds its own wait.",
            )
            .query(RETRIES, "{{reason}}")
            .bad(5.0)
            .see(GATEWAY),
            question(
                "Is an old map in use?",
                Unit::Count,
                "Epochs between the newest and the oldest topology in use. Requests then go to the \
                 wrong node first.",
            )
            .query(EPOCHS_APART, "epochs apart")
            .bad(1.0)
            .see(PLACEMENT),
        ],
    }
}

fn behind() -> Row {
    Row {
        title: "Is something behind?",
        panels: vec![
            question(
                "Does a follower fall behind?",
                Unit::Count,
                "Entries behind its leader. Its disk or its network; near --log-entries-max it \
                 gets a snapshot instead.",
            )
            .query(LOG_LAG, "{{instance}}")
            .bad(5000.0)
            .see(RAFT),
            question(
                "Does applying fall behind?",
                Unit::Count,
                "Entries committed and not yet applied: reads wait for them.",
            )
            .query(APPLY_LAG, "{{instance}}")
            .bad(5000.0)
            .see(RAFT),
            question(
                "Are snapshots on their way?",
                Unit::BytesPerSecond,
                "They share disk and network with requests; a node that was away gets them.",
            )
            .query(SNAPSHOT_BYTES, "{{direction}}")
            .bad(50e6)
            .see(RAFT),
        ],
    }
}
