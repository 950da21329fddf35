//! Gateway: what users request, how long they wait, and what a gateway refuses.

use super::shared::{REQUEST_P99, RETRIES};
use super::{GATEWAY, GATEWAY_INSTANCE, PLACEMENT, RAFT, SLOW, SLOW_SECONDS};
use crate::dashboards::board::{Board, Panel, Row, Shape, Unit};

pub(super) fn board() -> Board {
    Board {
        uid: GATEWAY,
        title: "ringkv gateway",
        about: "Requests, their times and outcomes, retries, and the bounds of the gateways.",
        variables: &[&GATEWAY_INSTANCE],
        rows: vec![requests(), times(), outcomes(), bounds(), routing(), process()],
    }
}

fn requests() -> Row {
    Row {
        title: "Requests",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Requests by method",
                Unit::RequestsPerSecond,
                "All requests, pages such as /topology included.",
            )
            .query(
                "sum by (method) (rate(ringkv_gateway_requests_total{instance=~\"$gateway\"}\
                     [$__rate_interval]))",
                "{{method}}",
            ),
            Panel::new(
                Shape::Stacked,
                "Requests by status",
                Unit::RequestsPerSecond,
                "Key requests by the status they were answered with.",
            )
            .query(
                "sum by (code) (rate(ringkv_gateway_requests_total{route=\"kv\", \
                     instance=~\"$gateway\"}[$__rate_interval]))",
                "{{code}}",
            ),
            Panel::new(
                Shape::Stacked,
                "Requests by gateway",
                Unit::RequestsPerSecond,
                "Even when the load is spread over the gateways.",
            )
            .query(
                "sum by (instance) (rate(ringkv_gateway_requests_total{\
                     instance=~\"$gateway\"}[$__rate_interval]))",
                "{{instance}}",
            ),
        ],
    }
}

fn times() -> Row {
    Row {
        title: "Time",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Time of a request, p50 and p99",
                Unit::Seconds,
                "By method, from the request's head to its answer's head. Points are requests with \
                 a trace: click one.",
            )
            .query(REQUEST_P99, "{{method}} p99")
            .query(
                "histogram_quantile(0.5, sum by (method, le) \
                     (rate(ringkv_gateway_request_seconds_bucket{instance=~\"$gateway\"}\
                     [$__rate_interval])))",
                "{{method}} p50",
            )
            .bad(SLOW_SECONDS)
            .exemplars()
            .traces("ringkv-gateway")
            .see(SLOW),
            Panel::new(
                Shape::Heatmap,
                "All requests by time",
                Unit::Seconds,
                "How many requests fall into each span of time: two bands are two kinds of \
                 requests, or two kinds of nodes.",
            )
            .query(
                "sum by (le) (rate(ringkv_gateway_request_seconds_bucket{\
                     instance=~\"$gateway\"}[$__rate_interval]))",
                "{{le}}",
            )
            .exemplars()
            .traces("ringkv-gateway"),
            Panel::new(
                Shape::Table,
                "By gateway",
                Unit::Seconds,
                "The last five minutes. A row leads to the slow traces of the gateways.",
            )
            .row_by("instance", "Gateway")
            .column(
                "Requests",
                Unit::RequestsPerSecond,
                "sum by (instance) (ringkv:gateway_requests:rate5m{instance=~\"$gateway\"})",
            )
            .column(
                "p99",
                Unit::Seconds,
                "histogram_quantile(0.99, sum by (instance, le) \
                     (rate(ringkv_gateway_request_seconds_bucket{instance=~\"$gateway\"}[5m])))",
            )
            .column(
                "In flight",
                Unit::Count,
                "sum by (instance) (ringkv_gateway_in_flight{instance=~\"$gateway\"})",
            )
            .traces("ringkv-gateway"),
        ],
    }
}

fn outcomes() -> Row {
    Row {
        title: "Outcomes",
        panels: vec![
            Panel::new(
                Shape::Stacked,
                "Writes by outcome",
                Unit::RequestsPerSecond,
                "Applied, certainly not applied, or unknown: the last is what clients have to \
                 settle by a retry with the same Idempotency-Key.",
            )
            .query(
                "sum by (outcome) (rate(ringkv_gateway_outcomes_total{\
                     instance=~\"$gateway\"}[$__rate_interval]))",
                "{{outcome}}",
            ),
            Panel::new(
                Shape::Time,
                "Errors by status",
                Unit::RequestsPerSecond,
                "Key requests answered with a 5xx: 503 certainly did not apply, 504 may have. \
                 Empty when there are none.",
            )
            .query(
                "sum by (code) (rate(ringkv_gateway_requests_total{route=\"kv\", \
                     code=~\"5..\", instance=~\"$gateway\"}[$__rate_interval]))",
                "{{code}}",
            )
            .bad(1.0)
            .traces("ringkv-gateway"),
            Panel::new(
                Shape::Time,
                "Error budget burn",
                Unit::Count,
                "How many times faster than 99.9 % over 30 days allows the budget is used. Above \
                 14.4 for an hour an alert pages.",
            )
            .query("ringkv:gateway_errors:ratio_rate5m / 0.001", "5 minutes")
            .query("ringkv:gateway_errors:ratio_rate1h / 0.001", "1 hour")
            .query("ringkv:gateway_errors:ratio_rate6h / 0.001", "6 hours")
            .warn(6.0)
            .bad(14.4),
        ],
    }
}

fn bounds() -> Row {
    Row {
        title: "Bounds",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Requests in flight",
                Unit::Count,
                "Key requests that wait for their answer, and how many may. What comes beyond the \
                 limit is refused with 503.",
            )
            .query("ringkv_gateway_in_flight{instance=~\"$gateway\"}", "{{instance}}")
            .query("min(ringkv_gateway_in_flight_limit{instance=~\"$gateway\"})", "limit"),
            Panel::new(
                Shape::Time,
                "Bytes of bodies held",
                Unit::Bytes,
                "Bytes of values in memory on their way in, and how many may be.",
            )
            .query("ringkv_gateway_body_bytes{instance=~\"$gateway\"}", "{{instance}}")
            .query("min(ringkv_gateway_body_bytes_limit{instance=~\"$gateway\"})", "limit"),
            Panel::new(
                Shape::Time,
                "Requests refused at a bound",
                Unit::RequestsPerSecond,
                "By the bound that was reached.",
            )
            .query(
                "sum by (reason) (rate(ringkv_gateway_shed_total{instance=~\"$gateway\"}\
                     [$__rate_interval]))",
                "{{reason}}",
            )
            .warn(0.1),
            Panel::new(Shape::Time, "Connections of clients", Unit::Count, "Open TCP connections.")
                .query("ringkv_gateway_connections{instance=~\"$gateway\"}", "{{instance}}"),
            Panel::new(
                Shape::Time,
                "Values in and out",
                Unit::BytesPerSecond,
                "Bytes of values received and sent.",
            )
            .query(
                "sum(rate(ringkv_gateway_request_bytes_total{instance=~\"$gateway\"}\
                     [$__rate_interval]))",
                "in",
            )
            .query(
                "sum(rate(ringkv_gateway_response_bytes_total{instance=~\"$gateway\"}\
                     [$__rate_interval]))",
                "out",
            ),
            Panel::new(
                Shape::Time,
                "Ready",
                Unit::YesNo,
                "Whether /readyz says yes: the gateway has a topology and is not stopping.",
            )
            .query("ringkv_ready{job=\"ringkv-gateway\", instance=~\"$gateway\"}", "{{instance}}"),
        ],
    }
}

fn routing() -> Row {
    Row {
        title: "Routing",
        panels: vec![
            Panel::new(
                Shape::Time,
                "Retries by reason",
                Unit::PerSecond,
                "Attempts that were followed by another. A short rise when a leader changes is \
                 what retries are for; a lasting one is a finding.",
            )
            .query(RETRIES, "{{reason}}")
            .see(RAFT),
            Panel::new(
                Shape::Time,
                "Connected to storage nodes",
                Unit::YesNo,
                "Whether each node is connected, from the gateway that sees it worst.",
            )
            .query(
                "min by (node) (ringkv_gateway_node_connected{instance=~\"$gateway\"})",
                "node {{node}}",
            ),
            Panel::new(
                Shape::Time,
                "Since the last word from placement",
                Unit::Seconds,
                "Small while placement answers. Requests go on with the map the gateway has.",
            )
            .query("ringkv_gateway_topology_age_seconds{instance=~\"$gateway\"}", "{{instance}}")
            .warn(60.0)
            .see(PLACEMENT),
        ],
    }
}

fn process() -> Row {
    Row {
        title: "Process",
        panels: vec![
            Panel::new(Shape::Time, "CPU", Unit::Count, "Processor cores each gateway keeps busy.")
                .query(
                    "rate(process_cpu_seconds_total{job=\"ringkv-gateway\", \
                     instance=~\"$gateway\"}[$__rate_interval])",
                    "{{instance}}",
                ),
            Panel::new(Shape::Time, "Memory", Unit::Bytes, "Resident memory of each gateway.")
                .query(
                    "process_resident_memory_bytes{job=\"ringkv-gateway\", \
                     instance=~\"$gateway\"}",
                    "{{instance}}",
                ),
            Panel::new(
                Shape::Time,
                "Open files",
                Unit::Count,
                "File descriptors, sockets among them.",
            )
            .query(
                "process_open_fds{job=\"ringkv-gateway\", instance=~\"$gateway\"}",
                "{{instance}}",
            ),
        ],
    }
}
