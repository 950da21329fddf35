//! A cluster of real processes.
//!
//! Owns the child processes and one temporary directory with their logs and data; dropping the
//! value removes all of them. Unless the test passed, it first prints the ends of the logs.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Context as _, ensure};
use tempfile::TempDir;

use crate::http::Gateway;
use crate::layout::{Layout, loopback};
use crate::process::tail;
use crate::service::Service;
use crate::shape::Shape;

/// A running cluster.
pub struct Cluster {
    pub placement: Vec<Service>,
    pub nodes: Vec<Service>,
    pub gateways: Vec<Service>,
    shape: Shape,
    passed: bool,
    // Last: the services must have exited before their directories are removed.
    dir: TempDir,
}

/// Starts a cluster, waits until it serves, runs `test` on it and removes it.
///
/// # Errors
/// The cluster did not start, the test failed, or a process panicked.
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
    /// Prepares a cluster without starting it.
    ///
    /// # Errors
    /// A directory cannot be created, or no port is free.
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
        Ok(Self { placement, nodes, gateways, shape: shape.clone(), passed: false, dir })
    }

    /// Adds a storage node, not started, with an empty data directory; returns its place in `nodes`.
    ///
    /// # Errors
    /// No port is free.
    pub fn add_node(&mut self) -> anyhow::Result<usize> {
        let layout = Layout { dir: self.dir.path(), shape: &self.shape };
        let placement: Vec<_> = self.placement.iter().map(|it| it.address.clone()).collect();
        let number = u16::try_from(self.nodes.len() + 1).context("few nodes")?;
        self.nodes.push(layout.node(number, &placement.join(","))?);
        Ok(self.nodes.len() - 1)
    }

    /// The flag by which `ringkv` reaches placement's admin calls.
    pub fn placement_admin(&self) -> String {
        format!("--placement-admin={}", self.placement[0].admin)
    }

    /// Starts all services that are not running.
    ///
    /// # Errors
    /// A binary cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.services_mut().filter(|service| !service.is_started()).try_for_each(Service::start)
    }

    /// Waits until every started node and gateway is ready.
    ///
    /// # Errors
    /// One is not ready in time.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        for service in self.nodes.iter_mut().chain(&mut self.gateways) {
            if service.is_started() {
                service.ready().await?;
            }
        }
        Ok(())
    }

    /// Sends SIGKILL to every process before it waits for the first exit.
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
    /// A client cannot be created.
    pub fn clients(&self) -> anyhow::Result<Vec<Gateway>> {
        self.gateways.iter().map(|gateway| Gateway::new(&gateway.address)).collect()
    }

    /// For a test that does not use `run`: it passed, do not print the logs.
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

    /// All services, placement first and gateways last.
    pub fn services(&self) -> impl Iterator<Item = &Service> {
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
            // If standard error is closed, the report has no reader.
            let _ = std::io::stderr().write_all(report.as_bytes());
        }
        self.kill_all();
    }
}
