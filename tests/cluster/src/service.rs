//! One service of a cluster: its command line, and its process while it runs.
//!
//! A service keeps its name, addresses, directory and log across restarts.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::process::{Process, text};
use crate::wait;

/// The time limit for a cluster to bootstrap or to recover, also on a busy machine.
const READY: Duration = Duration::from_secs(30);

/// A placement replica, storage node or gateway: its command line, and its process while it runs.
pub struct Service {
    pub name: String,
    /// `host:port` on which it serves gRPC, or HTTP for a gateway.
    pub address: String,
    /// `host:port` of its admin calls; empty unless it is a placement replica.
    pub admin: String,
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
    /// Starts or restarts it with the same command line.
    ///
    /// # Errors
    /// It is already running, or the binary cannot be started.
    pub fn start(&mut self) -> anyhow::Result<()> {
        self.start_by(self.binary, &[])
    }

    /// Starts it with another binary, which gets the service's own arguments after `command`.
    ///
    /// # Errors
    /// See [`Service::start`].
    pub fn start_by(&mut self, binary: &str, command: &[&str]) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} is already running", self.name);
        let command = command.iter().map(|word| (*word).to_owned());
        let args: Vec<String> = command.chain(self.args.iter().cloned()).collect();
        let environment: Vec<(&str, &OsStr)> =
            self.environment.iter().map(|(name, value)| (*name, OsStr::new(value))).collect();
        let started = Process::start_with(&self.name, binary, &args, &environment, &self.log)?;
        self.process = Some(started);
        Ok(())
    }

    /// Starts it with a pipe for its log that is never read.
    ///
    /// # Errors
    /// See [`Service::start`].
    pub fn start_unread(&mut self) -> anyhow::Result<()> {
        ensure!(self.process.is_none(), "{} is already running", self.name);
        self.process = Some(Process::start_unread(&self.name, self.binary, &self.args, &self.log)?);
        Ok(())
    }

    /// Whether it was started and has not been killed or stopped since.
    pub fn is_started(&self) -> bool {
        self.process.is_some()
    }

    /// Sends SIGKILL and waits until the process has exited.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Sends SIGTERM and waits for the exit.
    ///
    /// # Errors
    /// It was not running, or did not exit within `deadline`.
    pub async fn stop(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} runs", self.name))?;
        process.terminate()?;
        let status = process.exit(deadline).await?;
        self.process = None;
        Ok(status)
    }

    /// Waits until it exits, without a signal.
    ///
    /// # Errors
    /// It was not running, or did not exit within `deadline`.
    pub async fn exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let process = self.process.as_mut().with_context(|| format!("{} runs", self.name))?;
        let status = process.exit(deadline).await?;
        self.process = None;
        Ok(status)
    }

    /// Waits until its /readyz reports that it is ready.
    ///
    /// # Errors
    /// It was not ready in time, or exited; the message has its last reason.
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

    /// The contents of its log so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        text(&self.log)
    }

    /// Starts a second process with this service's command line changed by `change`, as a separate
    /// child with its own log.
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

/// Changes the value of a `--flag=value` argument, or adds the argument.
pub fn set_flag(args: &mut Vec<String>, flag: &str, value: &str) {
    let start = format!("{flag}=");
    args.retain(|arg| !arg.starts_with(&start));
    args.push(format!("{start}{value}"));
}
