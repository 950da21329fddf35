//! Our own cluster as separate processes: one placement, three storage nodes, one gateway.

mod faults;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::process::{Server, free_address, wait_until};
use super::store::{Operation, Store};
use crate::http::{call_once, find};
use crate::workspace;

const NODES: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(60);

/// Where one storage node is.
struct Node {
    /// Its index among the servers.
    server: usize,
    address: String,
    metrics: SocketAddr,
}

/// A running cluster of ours.
pub(crate) struct Ringkv {
    servers: Vec<Server>,
    nodes: Vec<Node>,
    placement: SocketAddr,
    gateway: SocketAddr,
    folder: TempDir,
}

impl Ringkv {
    pub(crate) fn start(folder: TempDir) -> anyhow::Result<Self> {
        let at = folder.path();
        let placement = free_address()?;
        let gateway = free_address()?;
        let (mut servers, mut nodes) = (Vec::new(), Vec::new());

        let mut command = program("ringkv-placement", at, "placement", free_address()?)?;
        command.args(["--id", "1", "--listen", &placement.to_string()]);
        command.args(["--advertise", &placement.to_string()]);
        servers.push(Server::start("placement", command, at)?);

        for index in 1..=NODES {
            let name = format!("storage-node-{index}");
            let (address, metrics) = (free_address()?.to_string(), free_address()?);
            let mut command = program("ringkv-storage-node", at, &name, metrics)?;
            command.args(["--listen", &address, "--advertise", &address]);
            command.args(["--placement", &placement.to_string()]);
            nodes.push(Node { server: servers.len(), address, metrics });
            servers.push(Server::start(&name, command, at)?);
        }
        servers.push(Server::start("gateway", gateway_program(gateway, placement)?, at)?);

        wait_until("ringkv", START_LIMIT, || {
            for server in &mut servers {
                server.check()?;
            }
            Ok(is_ready(gateway).then_some(()))
        })?;
        Ok(Self { servers, nodes, placement, gateway, folder })
    }
}

fn gateway_program(listen: SocketAddr, placement: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(workspace::program("ringkv-gateway")?);
    command.args(["--log-level", "warn", "--listen", &listen.to_string()]);
    command.args(["--placement", &placement.to_string()]);
    Ok(command)
}

/// A service with a data directory and a metrics port.
fn program(name: &str, folder: &Path, data: &str, metrics: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(workspace::program(name)?);
    command.args(["--log-level", "warn", "--metrics-listen", &metrics.to_string()]);
    command.arg("--data-dir").arg(folder.join(data));
    Ok(command)
}

fn is_ready(service: SocketAddr) -> bool {
    let request = b"GET /readyz HTTP/1.1\r\nHost: ringkv\r\n\r\n";
    call_once(service, request, Duration::from_secs(1)).is_ok_and(|(status, _)| status == 200)
}

impl Store for Ringkv {
    fn name(&self) -> &'static str {
        "ringkv"
    }

    fn address(&self) -> SocketAddr {
        self.gateway
    }

    fn request(&self, operation: Operation, key: &str, value: &[u8]) -> Vec<u8> {
        match operation {
            Operation::Put => {
                let mut request = format!(
                    "PUT /kv/{key} HTTP/1.1\r\nHost: ringkv\r\n\
                     Content-Type: application/octet-stream\r\nContent-Length: {}\r\n\r\n",
                    value.len()
                )
                .into_bytes();
                request.extend_from_slice(value);
                request
            }
            Operation::Get => {
                format!("GET /kv/{key} HTTP/1.1\r\nHost: ringkv\r\n\r\n").into_bytes()
            }
        }
    }

    fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::id).collect()
    }

    fn carries(&self, body: &[u8], value: &[u8]) -> bool {
        find(body, value).is_some()
    }
}
