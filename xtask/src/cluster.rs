//! A ringkv cluster of separate processes: one placement, three storage nodes, one gateway. The
//! benchmark, the boards and the load tests all run against it.
//!
//! Owns the processes and their folder, and removes both when dropped. Never measures or checks.

mod faults;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::http::call_once;
use crate::ports::free_address;
use crate::process::{Server, wait_until};
use crate::workspace;

const NODES: usize = 3;
const START_LIMIT: Duration = Duration::from_secs(60);

/// The place of one storage node.
struct Node {
    /// Its index among the servers.
    server: usize,
    address: String,
    metrics: SocketAddr,
}

/// The metrics endpoint of one process.
pub(crate) struct Metrics {
    pub(crate) service: &'static str,
    /// The same in every run, unlike the port.
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
}

/// A running cluster. Dropping it stops its processes and removes its data.
pub(crate) struct Cluster {
    servers: Vec<Server>,
    nodes: Vec<Node>,
    placement: SocketAddr,
    gateway: SocketAddr,
    metrics: Vec<Metrics>,
    folder: TempDir,
}

impl Cluster {
    pub(crate) fn start(folder: TempDir) -> anyhow::Result<Self> {
        Self::start_with(folder, &[])
    }

    /// Starts a cluster with these variables in the environment of every process.
    pub(crate) fn start_with(
        folder: TempDir,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Self> {
        let at = folder.path();
        let placement = free_address()?;
        let gateway = free_address()?;
        let (mut servers, mut nodes) = (Vec::new(), Vec::new());
        let mut metrics = vec![Metrics {
            service: "ringkv-gateway",
            name: "gateway".to_owned(),
            address: gateway,
        }];

        let mut command = program("ringkv-placement", at, "placement", &mut metrics)?;
        command.args(["--id", "1", "--listen", &placement.to_string()]);
        command.args(["--advertise", &placement.to_string()]).envs(environment.to_vec());
        servers.push(Server::start("placement", command, at)?);

        for index in 1..=NODES {
            let name = format!("storage-node-{index}");
            let address = free_address()?.to_string();
            let mut command = program("ringkv-storage-node", at, &name, &mut metrics)?;
            command.args(["--listen", &address, "--advertise", &address]);
            command.args(["--placement", &placement.to_string()]).envs(environment.to_vec());
            let shown = metrics.last().expect("just pushed").address;
            nodes.push(Node { server: servers.len(), address, metrics: shown });
            servers.push(Server::start(&name, command, at)?);
        }
        let mut command = gateway_program(gateway, placement)?;
        command.envs(environment.to_vec());
        servers.push(Server::start("gateway", command, at)?);

        wait_until("ringkv", START_LIMIT, || {
            for server in &mut servers {
                server.check()?;
            }
            Ok(is_ready(gateway).then_some(()))
        })?;
        Ok(Self { servers, nodes, placement, gateway, metrics, folder })
    }

    /// The address on which the gateway listens.
    pub(crate) fn gateway(&self) -> SocketAddr {
        self.gateway
    }

    /// The process ids of all servers.
    pub(crate) fn processes(&self) -> Vec<u32> {
        self.servers.iter().map(Server::id).collect()
    }

    /// Every process with a metrics endpoint.
    pub(crate) fn metrics(&self) -> &[Metrics] {
        &self.metrics
    }
}

fn gateway_program(listen: SocketAddr, placement: SocketAddr) -> anyhow::Result<Command> {
    let mut command = Command::new(workspace::program("ringkv-gateway")?);
    command.args(["--log-level", "warn", "--listen", &listen.to_string()]);
    command.args(["--placement", &placement.to_string()]);
    Ok(command)
}

/// A service with a data directory and a metrics port.
fn program(
    name: &'static str,
    folder: &Path,
    data: &str,
    metrics: &mut Vec<Metrics>,
) -> anyhow::Result<Command> {
    let address = free_address()?;
    metrics.push(Metrics { service: name, name: data.to_owned(), address });
    let mut command = Command::new(workspace::program(name)?);
    command.args(["--log-level", "warn", "--metrics-listen", &address.to_string()]);
    command.arg("--data-dir").arg(folder.join(data));
    Ok(command)
}

fn is_ready(service: SocketAddr) -> bool {
    let request = b"GET /readyz HTTP/1.1\r\nHost: ringkv\r\n\r\n";
    call_once(service, request, Duration::from_secs(1)).is_ok_and(|(status, _)| status == 200)
}
