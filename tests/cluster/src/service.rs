//! One service of a cluster: its command line, and its process while it runs.
//!
//! A service keeps its name, addresses, directory and log over any number of starts.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::process::{Process, text};
use crate::wait;

/// Time for a cluster to form or to come back, on a machine that is busy with other things too.
const READY: Duration = Duration::from_secs(30);

/// A placement replica, storage node or gateway: its command line, and its process while it runs.
pub struct Service {
    pub name: String,
    /// `host:port` it serves: gRPC, or HTTP of a gateway.
    pub address: String,
    /// `host:port` of /metrics and /readyz.
    pub metrics: String,
    pub data: PathBuf,
    pub(crate) binary: &'static str,
    pub(crate) args: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) log: PathBuf,
    pub(crate) process: Option<Process>,
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
        let environment: Vec<(&str, &OsStr)> =
            self.environment.iter().map(|(name, value)| (*name, OsStr::new(value))).collect();
        let started = Process::start_with(&self.name, binary, &args, &environment, &self.log)?;
        self.process = Some(started);
        Ok(())
    }

    /// Starts it with a pipe for its log that nobody ever reads.
    ///
    /// # Errors
    /// As [`Service::start`].
    pub fn start_unread(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        self.process = Some(Process::start_unread(&self.name, self.binary, &self.args, &self.log)?);
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

/// Sets a `--flag=value` argument to another value, or adds it.
pub fn set_flag(args: &mut Vec<String>, flag: &str, value: &str) {
    let start = format!("{flag}=");
    args.retain(|arg| !arg.starts_with(&start));
    args.push(format!("{start}{value}"));
}
