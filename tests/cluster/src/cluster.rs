//! A cluster of real processes, and one of its services.
//!
//! Owns who listens where, the command lines, and readiness. Children, ports, logs and data live
//! in one temporary directory and end with the value; unless the test passed, the ends of the
//! logs are printed before.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;

use crate::http::Gateway;
use crate::ports::free_port;
use crate::process::{Process, tail, text};
use crate::wait;

/// Time for a cluster to form or to come back, on a machine that is busy with other things too.
const READY: Duration = Duration::from_secs(30);

/// What a cluster consists of.
#[derive(Clone, Debug)]
pub struct Shape {
    pub placement: u16,
    pub nodes: u16,
    pub gateways: u16,
    pub replication_factor: u16,
    /// Further flags of every storage node.
    pub node_flags: Vec<String>,
    /// Where the nodes keep their data instead of in the cluster's temporary directory.
    pub node_data: Option<PathBuf>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            placement: 1,
            nodes: 3,
            gateways: 2,
            replication_factor: 3,
            node_flags: Vec::new(),
            node_data: None,
        }
    }
}

/// A placement replica, storage node or gateway: its command line, and its process while it runs.
pub struct Service {
    pub name: String,
    /// `host:port` it serves: gRPC, or HTTP of a gateway.
    pub address: String,
    /// `host:port` of /metrics and /readyz.
    pub metrics: String,
    pub data: PathBuf,
    binary: &'static str,
    args: Vec<String>,
    log: PathBuf,
    process: Option<Process>,
}

impl Service {
    /// Starts it, or starts it again, with the same command line.
    ///
    /// # Errors
    /// It runs already, or the binary cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_by(self.binary, &[])
    }

    /// Starts it by another binary, which takes the service's own arguments after `command`.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub fn start_by(&mut self, binary: &str, command: &[&str]) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let command = command.iter().map(|word| (*word).to_owned());
        let args: Vec<String> = command.chain(self.args.iter().cloned()).collect();
        self.process = Some(Process::start(&self.name, binary, &args, &self.log)?);
        Ok(())
    }

    /// Whether it was started and neither killed nor stopped since.
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Sends SIGKILL, and returns when the process is gone.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// It did not run, or did not end within `deadline`.
    pub async fn stop(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} runs", self.name))?;
        process.terminate()?;
        let status = process.exit(deadline).await?;
        self.process = None;
        Ok(status)
    }

    /// Waits for it to end by itself.
    ///
    /// # Errors
    /// It did not run, or did not end within `deadline`.
    pub async fn exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} runs", self.name))?;
        let status = process.exit(deadline).await?;
        self.process = None;
        Ok(status)
    }

    /// Waits until its /readyz says yes.
    ///
    /// # Errors
    /// It did not in time, or ended; names its last reason.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let process = self.process.as_mut().with_context(|| format!("{} runs", self.name))?;
        let url = format!("http://{}/readyz", self.metrics);
        let http = reqwest::Client::builder().no_proxy().build()?;
        let what = format!("readiness of {}", self.name);
        let ready = wait::until_ok(&what, READY, async || {
            let answer = http.get(&url).send().await?;
            let status = answer.status();
            ensure!(status.is_success(), "{status}: {}", answer.text().await?);
            Ok(())
        });
        tokio::select! {
            ready = ready => ready,
            ended = process.exit(READY + READY) => bail!("{} ended: {}", self.name, ended?),
        }
    }

    /// All it has logged so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        text(&self.log)
    }

    /// Starts a second process with this service's command line changed by `change`, as a child
    /// of its own with its own log.
    ///
    /// # Errors
    /// The binary cannot be started.
    pub fn twin(
        &self,
        name: &str,
        change: impl FnOnce(&mut Vec<String>),
    ) -> anyhow::Result<Process> {
        let mut args = self.args.clone();
        change(&mut args);
        Process::start(name, self.binary, &args, &self.log.with_file_name(format!("{name}.log")))
    }
}

/// A running cluster.
pub struct Cluster {
    pub placement: Vec<Service>,
    pub nodes: Vec<Service>,
    pub gateways: Vec<Service>,
    passed: bool,
    // Last: the services must be gone before their directories go.
    _dir: TempDir,
}

/// Starts a cluster, waits until it serves, runs `test` on it and removes it.
///
/// # Errors
/// It did not start, the test failed, or a process panicked meanwhile.
pub async fn run(
    shape: Shape,
    test: impl AsyncFnOnce(&mut Cluster) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut cluster = Cluster::new(&shape)?;
    cluster.start()?;
    cluster.ready().await?;
    test(&mut cluster).await?;
    cluster.no_panics()?;
    cluster.passed = true;
    Ok(())
}

impl Cluster {
    /// Lays out a cluster; nothing runs yet.
    ///
    /// # Errors
    /// No directory or no ports can be had.
    pub fn new(shape: &Shape) -> anyhow::Result<Self> {
        let dir = tempfile::Builder::new().prefix("ringkv-cluster-").tempdir()?;
        let layout = Layout { dir: dir.path(), shape };
        let placement_addresses =
            (0..shape.placement).map(|_| loopback()).collect::<anyhow::Result<Vec<_>>>()?;
        let placement = (1..)
            .zip(&placement_addresses)
            .map(|(id, address)| layout.placement(id, address, &placement_addresses))
            .collect::<anyhow::Result<_>>()?;
        let placement_list = placement_addresses.join(",");
        let nodes = (1..=shape.nodes)
            .map(|number| layout.node(number, &placement_list))
            .collect::<anyhow::Result<_>>()?;
        let gateways = (1..=shape.gateways)
            .map(|number| layout.gateway(number, &placement_list))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { placement, nodes, gateways, passed: false, _dir: dir })
    }

    /// Starts all services that do not run.
    ///
    /// # Errors
    /// A binary cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.services_mut().filter(|service| !service.is_started()).try_for_each(Service::start)
    }

    /// Waits until every started node and gateway is ready.
    ///
    /// # Errors
    /// One is not in time.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        for service in self.nodes.iter_mut().chain(&mut self.gateways) {
            if service.is_started() {
                service.ready().await?;
            }
        }
        Ok(())
    }

    /// Sends SIGKILL to every process before waiting for any of them to be gone.
    pub fn kill_all(&mut self) {
        for service in self.services_mut() {
            if let Some(process) = &mut service.process {
                process.signal_kill();
            }
        }
        self.services_mut().for_each(Service::kill);
    }

    /// HTTP clients of the gateways, in order.
    ///
    /// # Errors
    /// A client cannot be made.
    pub fn clients(&self) -> anyhow::Result<Vec<Gateway>> {
        self.gateways.iter().map(|gateway| Gateway::new(&gateway.address)).collect()
    }

    /// The test ran on its own and passed: do not print the logs.
    pub fn pass(&mut self) {
        self.passed = true;
    }

    /// Checks that no process has panicked so far.
    ///
    /// # Errors
    /// Names the first that has.
    pub fn no_panics(&self) -> anyhow::Result<()> {
        for service in self.services() {
            ensure!(!service.log()?.contains("panicked"), "{} panicked", service.name);
        }
        Ok(())
    }

    fn services(&self) -> impl Iterator<Item = &Service> {
        self.placement.iter().chain(&self.nodes).chain(&self.gateways)
    }

    fn services_mut(&mut self) -> impl Iterator<Item = &mut Service> {
        self.placement.iter_mut().chain(&mut self.nodes).chain(&mut self.gateways)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if !self.passed {
            let mut report = String::new();
            for service in self.services() {
                let end = tail(&service.log);
                // Writing to a string cannot fail.
                let _ = writeln!(report, "---- end of the log of {} ----\n{end}", service.name);
            }
            // Standard error closed leaves nobody to tell.
            let _ = std::io::stderr().write_all(report.as_bytes());
        }
        self.kill_all();
    }
}

/// Sets a `--flag=value` argument to another value, or adds it.
pub fn set_flag(args: &mut Vec<String>, flag: &str, value: &str) {
    let start = format!("{flag}=");
    args.retain(|arg| !arg.starts_with(&start));
    args.push(format!("{start}{value}"));
}

/// Makes the services of one cluster.
struct Layout<'a> {
    dir: &'a Path,
    shape: &'a Shape,
}

impl Layout<'_> {
    fn placement(&self, id: u16, address: &str, all: &[String]) -> anyhow::Result<Service> {
        let peers: Vec<_> =
            (1..).zip(all).map(|(id, address): (u16, _)| format!("{id}={address}")).collect();
        let mut service =
            self.service(format!("placement-{id}"), "ringkv-placement", address.to_owned())?;
        service.args.extend([
            format!("--id={id}"),
            format!("--peers={}", peers.join(",")),
            format!("--replication-factor={}", self.shape.replication_factor),
            format!("--initial-nodes={}", self.shape.nodes),
        ]);
        self.with_data(&mut service, self.dir);
        Ok(service)
    }

    fn node(&self, number: u16, placement: &str) -> anyhow::Result<Service> {
        let name = format!("node-{number}");
        let mut service = self.service(name, "ringkv-storage-node", loopback()?)?;
        service.args.push(format!("--placement={placement}"));
        service.args.extend(self.shape.node_flags.iter().cloned());
        self.with_data(&mut service, self.shape.node_data.as_deref().unwrap_or(self.dir));
        Ok(service)
    }

    fn gateway(&self, number: u16, placement: &str) -> anyhow::Result<Service> {
        let address = loopback()?;
        let name = format!("gateway-{number}");
        Ok(Service {
            metrics: address.clone(),
            data: PathBuf::new(),
            binary: "ringkv-gateway",
            args: vec![format!("--listen={address}"), format!("--placement={placement}")],
            log: self.dir.join(format!("{name}.log")),
            process: None,
            name,
            address,
        })
    }

    fn service(
        &self,
        name: String,
        binary: &'static str,
        address: String,
    ) -> anyhow::Result<Service> {
        let metrics = loopback()?;
        Ok(Service {
            args: vec![
                format!("--listen={address}"),
                format!("--advertise={address}"),
                format!("--metrics-listen={metrics}"),
            ],
            data: PathBuf::new(),
            log: self.dir.join(format!("{name}.log")),
            process: None,
            name,
            address,
            metrics,
            binary,
        })
    }

    fn with_data(&self, service: &mut Service, root: &Path) {
        service.data = root.join(&service.name);
        service.args.push(format!("--data-dir={}", service.data.display()));
    }
}

fn loopback() -> anyhow::Result<String> {
    Ok(format!("127.0.0.1:{}", free_port()?))
}
