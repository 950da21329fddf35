//! The data of the container tests: written through both gateways in turn and read back through
//! the other one. Every request must succeed at the first try: riding over a fault within the
//! deadline is the gateway's work, not the client's.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::http;

const GATEWAYS: [u16; 2] = [8080, 8081];
const METRICS: u16 = 9090;
/// The deadline given to the gateway. Ten containers on a busy machine may each be without a
/// processor for seconds; how long a fault may take is measured by the process tests, not here.
const DEADLINE: &str = "KV-Timeout-Ms: 20000";
/// The gateway's own answer, also a late one, comes first.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// How many keys were written so far; key `i` holds its own number and round.
pub(super) struct Data {
    written: usize,
    round: usize,
}

impl Data {
    pub(super) fn new() -> Self {
        Self { written: 0, round: 0 }
    }

    /// Writes this many new keys, and overwrites as many of the old ones as there are.
    pub(super) fn write(&mut self, count: usize) -> anyhow::Result<()> {
        self.round += 1;
        self.written = self.written.max(count * self.round);
        for key in 0..self.written {
            let value = value(key, self.round);
            let request = format!(
                "PUT /kv/container-{key} HTTP/1.1\r\nHost: localhost\r\n{DEADLINE}\r\n\
                 Content-Length: {}\r\n\r\n{value}",
                value.len()
            );
            let (status, body) = http::call_once(gateway(key), request.as_bytes(), REQUEST_LIMIT)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            ensure!(matches!(status, 200 | 201 | 204), "PUT of key {key} gave {status}: {body}");
        }
        Ok(())
    }

    /// Reads every key and compares it with what was last written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for key in 0..self.written {
            let request = format!(
                "GET /kv/container-{key} HTTP/1.1\r\nHost: localhost\r\n{DEADLINE}\r\n\r\n"
            );
            let (status, body) =
                http::call_once(gateway(key + 1), request.as_bytes(), REQUEST_LIMIT)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            ensure!(status == 200, "GET of key {key} gave {status}: {body}");
            let expected = value(key, self.round);
            ensure!(body == expected, "key {key} holds {body:?}, not {expected:?}");
        }
        Ok(())
    }
}

fn value(key: usize, round: usize) -> String {
    format!("value {key} of round {round}")
}

fn gateway(turn: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], GATEWAYS[turn % GATEWAYS.len()]))
}

/// The names that a dashboard relies on are there.
pub(super) fn check_metrics() -> anyhow::Result<()> {
    let address = SocketAddr::from(([127, 0, 0, 1], METRICS));
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (status, body) = http::call_once(address, request, REQUEST_LIMIT)?;
    ensure!(status == 200, "/metrics gave {status}");
    let body = String::from_utf8(body).context("read the metrics")?;
    for name in [
        "raft_replication_lag",
        "raft_request_latency_seconds",
        "raft_node_health",
        "raft_term",
        "raft_state",
        "raft_log_size",
        "raft_committed_index",
    ] {
        let help = format!("# HELP {name} ");
        ensure!(body.lines().any(|line| line.starts_with(&help)), "/metrics has no {name}");
    }
    Ok(())
}
