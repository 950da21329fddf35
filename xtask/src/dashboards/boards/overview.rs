//! Overview: one screen that shows whether the cluster serves its users, and for how long it can.

use super::shared::{PLACEMENT_LEADS, SILENT_NODES};
use super::{GATEWAY, JOB, OVERVIEW, PLACEMENT, RAFT, SLOW, SLOW_SECONDS, STORAGE};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: OVERVIEW,
        title: "ringkv overview",
        about: "Whether the cluster serves its users, how fast, and what it has left.",
        variables: &[&JOB],
        rows: vec![serves(), stands(), traffic(), cluster(), processes()],
    }
}

fn serves() -> Row {
    Row {
        title: "Does it serve its users?",
        panels: vec![
            Panel::new(
                Shape::Stat,
                "Availability, last hour",
                Unit::Ratio,
                "Share of key requests of the last hour that were not answered with a 5xx. The \
                 objective is 99.9 %.",
            )
            .query("1 - ringkv:gateway_errors:ratio_rate1h", "availability")
            .bad_below(0.999)
            .see(GATEWAY),
            Panel::new(
                Shape::Stat,
                "Requests",
                Unit::RequestsPerSecond,
                "Key requests answered by all gateways together.",
            )
            .query("sum(ringkv:gateway_requests:rate5m)", "requests")
            .see(GATEWAY),
            Panel::new(
                Shape::Stat,
                "Reads, p99",
                Unit::Seconds,
                "99 of 100 GETs of the last 5 minutes took less than this, in the gateway.",
            )
            .query("ringkv:gateway_request_seconds:p99_rate5m{method=\"GET\"}", "GET")
            .warn(SLOW_SECONDS / 2.0)
            .bad(SLOW_SECONDS)
            .see(SLOW),
            Panel::new(
                Shape::Stat,
                "Writes, p99",
                Unit::Seconds,
                "99 of 100 PUTs of the last 5 minutes took less than this, in the gateway.",
            )
            .query("ringkv:gateway_request_seconds:p99_rate5m{method=\"PUT\"}", "PUT")
            .warn(SLOW_SECONDS / 2.0)
            .bad(SLOW_SECONDS)
            .see(SLOW),
            Panel::new(
                Shape::Stat,
                "Groups without leader",
                Unit::Count,
                "Groups that no node leads: their slots answer 503. A second after a node died is \
                 normal, half a minute is not.",
            )
            .query("ringkv:raft_groups_without_leader:count", "groups")
            .bad(1.0)
            .see(RAFT),
            Panel::new(
                Shape::Stat,
                "Under-replicated groups",
                Unit::Count,
                "Groups whose leader has not heard from one of its voters lately: they go on, with \
                 less to lose.",
            )
            .query("sum(ringkv_raft_groups_under_replicated)", "groups")
            .warn(1.0)
            .see(RAFT),
        ],
    }
}

fn stands() -> Row {
    Row {
        title: "What does it stand on?",
        panels: vec![
            Panel::new(
                Shape::Stat,
                "Storage nodes up",
                Unit::Count,
                "Storage nodes that Prometheus can scrape.",
            )
            .query("sum(up{job=\"ringkv-storage-node\"})", "nodes")
            .bad_below(1.0)
            .see(STORAGE),
            Panel::new(
                Shape::Stat,
                "Storage nodes silent",
                Unit::Count,
                "Storage nodes from which placement has heard nothing for 5 s.",
            )
            .query(SILENT_NODES, "nodes")
            .bad(1.0)
            .see(PLACEMENT),
            Panel::new(
                Shape::Stat,
                "Placement has a leader",
                Unit::YesNo,
                "Whether any placement replica knows one. Without, reads and writes go on and \
                 changes of shape wait.",
            )
            .query(PLACEMENT_LEADS, "leader")
            .bad_below(1.0)
            .see(PLACEMENT),
            Panel::new(
                Shape::Stat,
                "Free disk, fullest node",
                Unit::Ratio,
                "Free part of the file system with the least left.",
            )
            .query("min(ringkv:disk_free:ratio)", "free")
            .bad_below(0.2)
            .see(STORAGE),
            Panel::new(
                Shape::Stat,
                "Days until a disk is full",
                Unit::Days,
                "At the rate of the last 6 hours, on the node that fills first; at most 365 is \
                 shown.",
            )
            .query("min(ringkv:disk_full:days)", "days")
            .bad_below(3.0)
            .see(STORAGE),
            Panel::new(
                Shape::Stat,
                "Alerts that fire",
                Unit::Count,
                "Alerts of all severities that fire now; the table below names them.",
            )
            .query(
                "count(ALERTS{alertname=~\"Ringkv.*\", alertstate=\"firing\"}) or vector(0)",
                "alerts",
            )
            .warn(1.0),
        ],
    }
}

fn traffic() -> Row {
    Row {
        title: "Traffic",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Requests by status",
                Unit::RequestsPerSecond,
                "Key requests by the status they were answered with. 404, 304 and 412 are answers, \
                 not errors.",
            )
            .query(
                "sum by (code) (rate(ringkv_gateway_requests_total{route=\"kv\"}\
                     [$__rate_interval]))",
                "{{code}}",
            )
            .see(GATEWAY),
            Panel::new(
                Shape::Time,
                "Time of a request, p99",
                Unit::Seconds,
                "By method, from the request's head to its answer's head. Points are requests with \
                 a trace: click one.",
            )
            .query(
                "histogram_quantile(0.99, sum by (method, le) \
                     (rate(ringkv_gateway_request_seconds_bucket[$__rate_interval])))",
                "{{method}}",
            )
            .bad(SLOW_SECONDS)
            .exemplars()
            .traces("ringkv-gateway")
            .see(SLOW),
            Panel::new(
                Shape::Time,
                "Errors by status",
                Unit::RequestsPerSecond,
                "Key requests answered with a 5xx. Empty when there are none.",
            )
            .query(
                "sum by (code) (rate(ringkv_gateway_requests_total{route=\"kv\", \
                     code=~\"5..\"}[$__rate_interval]))",
                "{{code}}",
            )
            .bad(1.0)
            .traces("ringkv-gateway")
            .see(GATEWAY),
        ],
    }
}

fn cluster() -> Row {
    Row {
        title: "Cluster",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Leaders by node",
                Unit::Count,
                "Groups led by each storage node. Even when all is well; a node that was restarted \
                 gets its share back gradually.",
            )
            .query("ringkv_raft_leaders", "{{instance}}")
            .see(RAFT),
            Panel::new(
                Shape::Time,
                "Elections",
                Unit::PerSecond,
                "Elections begun. Some when a node dies or is restarted, none otherwise.",
            )
            .query(
                "sum by (instance) (rate(ringkv_raft_elections_total[$__rate_interval]))",
                "{{instance}}",
            )
            .warn(0.1)
            .see(RAFT),
            Panel::new(
                Shape::Table,
                "Alerts",
                Unit::Count,
                "What fires now, with its severity. Each has a page in docs/runbooks.",
            )
            .row_by("alertname", "Alert")
            .column(
                "Instances",
                Unit::Count,
                "count by (alertname, severity) (ALERTS{alertname=~\"Ringkv.*\", \
                     alertstate=\"firing\"})",
            ),
        ],
    }
}

fn processes() -> Row {
    Row {
        title: "Processes",
        panels: vec![
            Panel::new(Shape::Time, "CPU", Unit::Count, "Processor cores each process keeps busy.")
                .query(
                    "rate(process_cpu_seconds_total{job=~\"$job\"}[$__rate_interval])",
                    "{{job}} {{instance}}",
                ),
            Panel::new(Shape::Time, "Memory", Unit::Bytes, "Resident memory of each process.")
                .query("process_resident_memory_bytes{job=~\"$job\"}", "{{job}} {{instance}}"),
            Panel::new(
                Shape::Table,
                "Versions",
                Unit::Count,
                "Processes by version. More than one line only during an upgrade.",
            )
            .row_by("version", "Version")
            .column(
                "Processes",
                Unit::Count,
                "count by (version) (ringkv_build_info{job=~\"$job\"})",
            ),
        ],
    }
}
