//! The compose cluster of the container tests: start, faults, removal.
//!
//! Owns its ports on this machine: free ones, except for one short run on those of the README.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;

use crate::ports::{ensure_free, free_port};
use crate::workspace;

/// Names every container, network and volume of the test, and nothing else on the machine.
const PROJECT: &str = "ringkv-container-test";
const IMAGE: &str = "ringkv:container-test";
const HEALTHY_LIMIT: Duration = Duration::from_secs(180);

/// ringkv's services of the compose file, in start order. The observability services use public
/// images and must not be required.
pub(super) const SERVICES: &[&str] = &[
    "placement-1",
    "placement-2",
    "placement-3",
    "storage-node-1",
    "storage-node-2",
    "storage-node-3",
    "storage-node-4",
    "storage-node-5",
    "gateway",
    "gateway-2",
];

/// The services that are published on ports which the README names.
const GATEWAYS: [&str; 2] = ["gateway", "gateway-2"];
const README_PORTS: [u16; 2] = [8080, 8081];

/// The running cluster. Dropping it removes all of it.
pub(super) struct Cluster {
    compose: Vec<String>,
    keep: bool,
    ports: Ports,
}

/// Where the cluster is published on this machine.
#[derive(Clone, Copy)]
pub(super) struct Ports {
    pub(super) gateways: [u16; 2],
    /// Of the first storage node.
    pub(super) metrics: u16,
}

impl Cluster {
    /// Builds the image from the built programs, without starting it. Removes a cluster that an
    /// interrupted run left.
    pub(super) fn prepare(keep: bool) -> anyhow::Result<Self> {
        let mut build = Command::new("scripts/image.sh");
        build.arg("--prebuilt").env("RINGKV_IMAGE", IMAGE).current_dir(workspace::root()?);
        finish(&mut build)?;
        let ports = Ports { gateways: [free_port()?, free_port()?], metrics: free_port()? };
        let cluster = Self { compose: compose_program()?, keep, ports };
        cluster.remove()?;
        Ok(cluster)
    }

    pub(super) fn ports(&self) -> Ports {
        self.ports
    }

    /// Creates what is missing and starts the gateways, which must start all their dependencies.
    pub(super) fn up(&self) -> anyhow::Result<()> {
        self.compose(&[&["up", "--detach", "--no-build"], &GATEWAYS[..]].concat())
    }

    /// Publishes the gateways on the ports of the README while `run` runs.
    ///
    /// # Errors
    /// When `run` fails, or another program holds one of the ports: it is named.
    pub(super) fn on_readme_ports(
        &mut self,
        run: impl FnOnce() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        README_PORTS.into_iter().try_for_each(ensure_free)?;
        let free = std::mem::replace(&mut self.ports.gateways, README_PORTS);
        let result = self.publish_again().and_then(|()| run());
        self.ports.gateways = free;
        result?;
        self.publish_again()
    }

    /// Makes the gateways' containers again, on the ports as they are now.
    fn publish_again(&self) -> anyhow::Result<()> {
        // To replace a container in place is beyond docker-compose 1.29 with a newer docker.
        self.compose(&[&["rm", "--stop", "--force"], &GATEWAYS[..]].concat())?;
        self.up()?;
        self.wait_healthy()
    }

    /// Names of the services that have a container.
    pub(super) fn services(&self) -> anyhow::Result<Vec<String>> {
        let list = docker(&[
            "ps",
            "--all",
            "--filter",
            &format!("label=com.docker.compose.project={PROJECT}"),
            "--format",
            "{{.Label \"com.docker.compose.service\"}}",
        ])?;
        Ok(list.lines().map(str::to_owned).collect())
    }

    /// Stops all containers and waits until they have exited. Data stays.
    pub(super) fn stop(&self) -> anyhow::Result<()> {
        self.compose(&["stop"])
    }

    /// Kills a container, like `kill -9`.
    pub(super) fn kill(&self, service: &str) -> anyhow::Result<()> {
        docker(&["kill", "--signal", "KILL", &self.container(service)?]).map(drop)
    }

    pub(super) fn start_again(&self, service: &str) -> anyhow::Result<()> {
        docker(&["start", &self.container(service)?]).map(drop)
    }

    /// Disconnects a container from the network; its process continues.
    pub(super) fn disconnect(&self, service: &str) -> anyhow::Result<()> {
        docker(&["network", "disconnect", &network(), &self.container(service)?]).map(drop)
    }

    /// Reconnects a container to the network under the name that compose assigned.
    pub(super) fn connect(&self, service: &str) -> anyhow::Result<()> {
        let container = self.container(service)?;
        docker(&["network", "connect", "--alias", service, &network(), &container]).map(drop)
    }

    /// Waits until the health check of every container has passed.
    pub(super) fn wait_healthy(&self) -> anyhow::Result<()> {
        let started = Instant::now();
        loop {
            let mut waiting = Vec::new();
            for service in SERVICES {
                let state = self.inspect(service)?["State"].clone();
                if state["Health"]["Status"] != "healthy" {
                    waiting.push(format!("{service} is {}", state["Health"]["Status"]));
                }
            }
            if waiting.is_empty() {
                return Ok(());
            }
            if started.elapsed() > HEALTHY_LIMIT {
                bail!("after {} s: {}", HEALTHY_LIMIT.as_secs(), waiting.join(", "));
            }
            sleep(Duration::from_millis(300));
        }
    }

    /// Docker's description of the container of a service.
    pub(super) fn inspect(&self, service: &str) -> anyhow::Result<Value> {
        let text = docker(&["inspect", &self.container(service)?])?;
        let list: Value = serde_json::from_str(&text).context("read docker's answer")?;
        Ok(list[0].clone())
    }

    /// Prints the end of every container's log, for the analysis of a failure.
    pub(super) fn print_logs(&self) {
        for service in SERVICES {
            let Ok(container) = self.container(service) else { continue };
            let mut command = Command::new("docker");
            let output = command.args(["logs", "--tail", "15", &container]).output();
            let Ok(output) = output else { continue };
            println!("--- {service}");
            print!("{}", String::from_utf8_lossy(&output.stdout));
            print!("{}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn container(&self, service: &str) -> anyhow::Result<String> {
        let id = docker(&[
            "ps",
            "--all",
            "--quiet",
            "--filter",
            &format!("label=com.docker.compose.project={PROJECT}"),
            "--filter",
            &format!("label=com.docker.compose.service={service}"),
        ])?;
        let id = id.trim();
        ensure!(!id.is_empty() && !id.contains('\n'), "{service} has not exactly one container");
        Ok(id.to_owned())
    }

    fn remove(&self) -> anyhow::Result<()> {
        self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "5"])
    }

    fn compose(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new(&self.compose[0]);
        command
            .args(&self.compose[1..])
            .args(["--project-name", PROJECT])
            .args(arguments)
            .env("RINGKV_IMAGE", IMAGE)
            .env("RINGKV_PORT_1", self.ports.gateways[0].to_string())
            .env("RINGKV_PORT_2", self.ports.gateways[1].to_string())
            .env("RINGKV_METRICS_PORT", self.ports.metrics.to_string())
            .current_dir(workspace::root()?);
        finish(&mut command)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.keep {
            let [first, second] = self.ports.gateways;
            println!("kept, with gateways on ports {first} and {second}");
            println!("docker-compose --project-name {PROJECT} down --volumes removes it");
        } else if let Err(error) = self.remove() {
            println!("cannot remove the test cluster: {error:#}");
        }
    }
}

fn network() -> String {
    format!("{PROJECT}_default")
}

/// Compose v2 is a plugin of docker; 1.29 is a separate program.
fn compose_program() -> anyhow::Result<Vec<String>> {
    let candidates: [&[&str]; 2] = [&["docker", "compose"], &["docker-compose"]];
    for words in candidates {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).arg("version").stdout(Stdio::null()).stderr(Stdio::null());
        if command.status().is_ok_and(|status| status.success()) {
            return Ok(words.iter().map(|word| (*word).to_owned()).collect());
        }
    }
    bail!("neither docker compose nor docker-compose is here: run 'make setup'")
}

/// Runs a docker command and returns its standard output.
fn docker(arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("docker").args(arguments).output().context("run docker")?;
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "docker {}: {}", arguments.join(" "), error.trim());
    String::from_utf8(output.stdout).context("read docker's answer")
}

/// Runs a command to its end; prints its output only if it fails.
fn finish(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        print!("{}", String::from_utf8_lossy(&output.stdout));
        print!("{}", String::from_utf8_lossy(&output.stderr));
        bail!("{command:?}: {}", output.status);
    }
    Ok(())
}
