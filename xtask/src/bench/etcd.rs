//! Three etcd members from the Debian package, driven through etcd's own JSON gateway. The
//! generator connects to the leader, which is etcd's best case: no request is forwarded.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::store::{Operation, Store};
use crate::http::{call_once, find};
use crate::ports::free_address;
use crate::process::{Server, wait_until};

const MEMBERS: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(30);

/// A running etcd cluster.
pub(crate) struct Etcd {
    servers: Vec<Server>,
    leader: SocketAddr,
    _folder: TempDir,
}

impl Etcd {
    pub(crate) fn start(folder: TempDir) -> anyhow::Result<Self> {
        let clients = addresses()?;
        let peers = addresses()?;
        let cluster: Vec<String> =
            peers.iter().enumerate().map(|(i, peer)| format!("m{i}=http://{peer}")).collect();
        let mut servers = Vec::new();
        for index in 0..MEMBERS {
            let command = member(folder.path(), index, clients[index], peers[index], &cluster);
            servers.push(Server::start(&format!("etcd-{index}"), command, folder.path())?);
        }
        let leader = wait_until("etcd", START_LIMIT, || {
            for server in &mut servers {
                server.check()?;
            }
            Ok(clients.iter().copied().find(|address| is_leader(*address)))
        })?;
        Ok(Self { servers, leader, _folder: folder })
    }
}

fn addresses() -> anyhow::Result<Vec<SocketAddr>> {
    (0..MEMBERS).map(|_| free_address()).collect()
}

fn member(
    folder: &Path,
    index: usize,
    client: SocketAddr,
    peer: SocketAddr,
    cluster: &[String],
) -> Command {
    let mut command = Command::new("etcd");
    command
        .args(["--name", &format!("m{index}")])
        .arg("--data-dir")
        .arg(folder.join(format!("etcd-{index}")))
        .args(["--listen-client-urls", &format!("http://{client}")])
        .args(["--advertise-client-urls", &format!("http://{client}")])
        .args(["--listen-peer-urls", &format!("http://{peer}")])
        .args(["--initial-advertise-peer-urls", &format!("http://{peer}")])
        .args(["--initial-cluster", &cluster.join(",")])
        .args(["--initial-cluster-state", "new"])
        .args(["--quota-backend-bytes", "8589934592"])
        .args(["--logger", "zap", "--log-level", "warn"]);
    command
}

/// Whether this member reports that it is the leader. An unreachable member counts as no.
fn is_leader(address: SocketAddr) -> bool {
    status(address).is_ok_and(|status| {
        status["leader"].is_string() && status["leader"] == status["header"]["member_id"]
    })
}

fn status(address: SocketAddr) -> anyhow::Result<Value> {
    let request = post("/v3/maintenance/status", &json!({}));
    let (_, body) = call_once(address, &request, Duration::from_secs(1))?;
    serde_json::from_slice(&body).context("read the status of a member")
}

fn post(path: &str, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    format!(
        "POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Store for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn address(&self) -> SocketAddr {
        self.leader
    }

    /// A range read without `serializable` is linearizable.
    fn request(&self, operation: Operation, key: &str, value: &[u8]) -> Vec<u8> {
        let key = STANDARD.encode(key);
        match operation {
            Operation::Put => {
                post("/v3/kv/put", &json!({"key": key, "value": STANDARD.encode(value)}))
            }
            Operation::Get => post("/v3/kv/range", &json!({"key": key})),
        }
    }

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::id).collect()
    }

    fn carries(&self, body: &[u8], value: &[u8]) -> bool {
        find(body, STANDARD.encode(value).as_bytes()).is_some()
    }
}
