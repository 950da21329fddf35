//! The data of the container tests: written through both gateways in turn and read back through
//! the other one. Every request must succeed at the first try: to retry within the deadline is the
//! gateway's task, not the client's.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use crate::http;

/// The deadline that each request sets for the gateway. Each of ten containers on a busy machine
/// may wait seconds for a CPU. The process tests, not these, measure how long a fault may take.
const DEADLINE: &str = "KV-Timeout-Ms: 20000";
/// Longer than the gateway's deadline, so that its response, even a late one, arrives first.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// The number of keys written so far; the value of key `i` contains its number and round.
pub(super) struct Data {
    /// Where the gateways are on this machine.
    ports: [u16; 2],
    written: usize,
    round: usize,
}

impl Data {
    pub(super) fn new(ports: [u16; 2]) -> Self {
        Self { ports, written: 0, round: 0 }
    }

    /// Writes this many new keys and overwrites all old ones.
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
            let (status, body) =
                http::call_once(self.gateway(key), request.as_bytes(), REQUEST_LIMIT)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            ensure!(
                matches!(status, 200 | 201 | 204),
                "PUT of key {key} returned {status}: {body}"
            );
        }
        Ok(())
    }

    /// Reads every key and compares its value with the last one written.
    pub(super) fn check(&self) -> anyhow::Result<()> {
        for key in 0..self.written {
            let request = format!(
                "GET /kv/container-{key} HTTP/1.1\r\nHost: localhost\r\n{DEADLINE}\r\n\r\n"
            );
            let (status, body) =
                http::call_once(self.gateway(key + 1), request.as_bytes(), REQUEST_LIMIT)?;
            let body = String::from_utf8_lossy(&body).into_owned();
            ensure!(status == 200, "GET of key {key} returned {status}: {body}");
            let expected = value(key, self.round);
            ensure!(body == expected, "key {key} holds {body:?}, not {expected:?}");
        }
        Ok(())
    }

    fn gateway(&self, turn: usize) -> SocketAddr {
        localhost(self.ports[turn % self.ports.len()])
    }
}

fn value(key: usize, round: usize) -> String {
    format!("value {key} of round {round}")
}

fn localhost(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Checks that the metrics page has the names on which the boards rely.
pub(super) fn check_metrics(port: u16) -> anyhow::Result<()> {
    let request = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (status, body) = http::call_once(localhost(port), request, REQUEST_LIMIT)?;
    ensure!(status == 200, "/metrics returned {status}");
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
