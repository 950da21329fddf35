//! A real Prometheus on this machine, with a data folder of its own, queried over its HTTP API.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::rules;
use crate::cluster::Metrics;
use crate::http::{call_once, percent_encode};
use crate::ports::free_address;
use crate::process::{Server, wait_until};
use crate::workspace;

const START_LIMIT: Duration = Duration::from_secs(30);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A running Prometheus; dropping it stops it and removes its data.
pub(crate) struct Prometheus {
    pub(crate) address: SocketAddr,
    _server: Server,
    _folder: TempDir,
}

impl Prometheus {
    /// Starts one that loads the tree's rules and scrapes these targets every second.
    pub(crate) fn start(targets: &[Metrics]) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("make a folder for Prometheus")?;
        let address = free_address()?;
        let config = folder.path().join("prometheus.yml");
        fs::write(&config, configuration(&workspace::root()?, targets)?)
            .context("write the configuration of Prometheus")?;
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
        command.arg(format!("--web.listen-address={address}"));
        command.args(["--enable-feature=exemplar-storage", "--log.level=warn"]);
        let mut server = Server::start("prometheus", command, folder.path())
            .context("'make setup' installs prometheus")?;
        wait_until("prometheus", START_LIMIT, || {
            server.check()?;
            let request = b"GET /-/ready HTTP/1.1\r\nHost: prometheus\r\n\r\n";
            let answer = call_once(address, request, Duration::from_secs(1));
            Ok(answer.is_ok_and(|(status, _)| status == 200).then_some(()))
        })?;
        Ok(Self { address, _server: server, _folder: folder })
    }

    /// The samples of an instant query; each is an object with `metric` and `value`.
    ///
    /// # Errors
    /// Prometheus cannot parse or evaluate it; contains Prometheus's message.
    pub(crate) fn query(&self, expression: &str) -> anyhow::Result<Vec<Value>> {
        let answer = self.get(&format!("/api/v1/query?query={}", percent_encode(expression)))?;
        match &answer["result"] {
            Value::Array(samples) => Ok(samples.clone()),
            other => bail!("not a list of samples: {other}"),
        }
    }

    /// The `data` of the API's response.
    ///
    /// # Errors
    /// There is no response, or it reports an error.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Value> {
        let request = format!("GET {path} HTTP/1.1\r\nHost: prometheus\r\n\r\n");
        let (_, body) = call_once(self.address, request.as_bytes(), ANSWER_LIMIT)?;
        let mut answer: Value =
            serde_json::from_slice(&body).with_context(|| format!("parse the answer to {path}"))?;
        if answer["status"] != "success" {
            bail!("{}", answer["error"].as_str().unwrap_or("no success and no error"));
        }
        Ok(answer["data"].take())
    }
}

/// The configuration of the tree, with the live addresses and a scrape interval of one second.
fn configuration(root: &Path, targets: &[Metrics]) -> anyhow::Result<String> {
    let mut text = String::from("global: {scrape_interval: 1s, evaluation_interval: 1s}\n");
    text.push_str("rule_files:\n");
    for path in rules::paths(root, "rules")? {
        text.push_str(&format!("  - {}\n", path.display()));
    }
    text.push_str("scrape_configs:\n");
    for job in ["ringkv-gateway", "ringkv-storage-node", "ringkv-placement"] {
        text.push_str(&format!("  - job_name: {job}\n    static_configs:\n"));
        for Metrics { name, address, .. } in targets.iter().filter(|one| one.service == job) {
            text.push_str(&format!(
                "      - {{targets: [\"{address}\"], labels: {{instance: {name}}}}}\n"
            ));
        }
    }
    Ok(text)
}
