//! One child process: its log file, its signals, its exit.
//!
//! Dropping a process kills and reaps it in every state of the test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::{binaries, wait};

/// The number of bytes at the end of a log that a failed test prints.
const TAIL_BYTES: u64 = 6_000;

/// A running or exited child.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `binary` with `args`. Standard error is appended to `log`, standard output to the
    /// file of the same name with the extension `out`. The child inherits no environment variable.
    ///
    /// # Errors
    /// The binary is not built, or cannot be started.
    pub fn start(name: &str, binary: &str, args: &[String], log: &Path) -> anyhow::Result<Self> {
        Self::start_with(name, binary, args, &[], log)
    }

    /// Like [`Process::start`], with an environment.
    ///
    /// # Errors
    /// See [`Process::start`].
    pub fn start_with(
        name: &str,
        binary: &str,
        args: &[String],
        environment: &[(&str, &OsStr)],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let path = binaries::path(binary)?;
        let append = |path: &Path| File::options().create(true).append(true).open(path);
        let err = append(log).with_context(|| format!("open {}", log.display()))?;
        let out = append(&log.with_extension("out")).context("open a file for the output")?;
        let child = Command::new(&path)
            .args(args)
            .env_clear()
            .env("RUST_BACKTRACE", "1")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Like [`Process::start`], but standard error is a pipe that is never read.
    ///
    /// # Errors
    /// See [`Process::start`].
    pub(crate) fn start_unread(
        name: &str,
        binary: &str,
        args: &[String],
        log: &Path,
    ) -> anyhow::Result<Self> {
        let path = binaries::path(binary)?;
        let child = Command::new(&path)
            .args(args)
            .env_clear()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {}", path.display()))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its name in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends SIGTERM.
    ///
    /// # Errors
    /// The process has exited.
    pub fn terminate(&mut self) -> anyhow::Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} has already ended: {status}", self.name);
        }
        // Not reaped, so the id still belongs to this child.
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).with_context(|| format!("terminate {}", self.name))
    }

    /// Sends SIGKILL and waits until the process has exited.
    pub fn kill(&mut self) {
        self.signal_kill();
        // Fails only for a child that was already reaped.
        let _ = self.child.wait();
    }

    /// Sends SIGKILL without waiting.
    pub(crate) fn signal_kill(&mut self) {
        // Fails only for a process that has already exited.
        let _ = self.child.kill();
    }

    /// Waits until the process exits, without a signal.
    ///
    /// # Errors
    /// It did not exit within `deadline`.
    pub async fn exit(&mut self, deadline: Duration) -> anyhow::Result<ExitStatus> {
        let what = format!("end of {}", self.name);
        let child = &mut self.child;
        wait::until_ok(&what, deadline, async || child.try_wait()?.context("it is still running"))
            .await
    }

    /// Whether the process is running.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The contents of its standard error so far.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> anyhow::Result<String> {
        text(&self.log)
    }

    /// The contents of its standard output so far.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn output(&self) -> anyhow::Result<String> {
        text(&self.log.with_extension("out"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A whole log file.
pub(crate) fn text(path: &Path) -> anyhow::Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The end of a log file, for the report of a failed test.
pub(crate) fn tail(log: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(log)?;
        let start = file.metadata()?.len().saturating_sub(TAIL_BYTES);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("cannot read {}: {error}", log.display()),
    }
}
