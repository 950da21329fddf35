//! The k6 program: its path, how it runs one of our scripts, and the results of a run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::{Server, wait_until};
use crate::workspace;

/// The time limit of one run, also on a busy machine.
const RUN_LIMIT: Duration = Duration::from_secs(120);
/// k6's exit code when a threshold did not hold.
const THRESHOLD_FAILED: i32 = 99;
/// The number of lines shown of an unexpected run.
const SHOWN_LINES: usize = 60;

/// A setting of a script: name and value.
pub(super) type Setting<'a> = (&'a str, &'a str);

/// The program, and a folder for its output.
pub(super) struct K6 {
    program: PathBuf,
    folder: TempDir,
}

/// A run in progress. Dropping it kills it.
pub(super) struct Running {
    process: Server,
    script: String,
    output: PathBuf,
    summary: PathBuf,
}

/// A completed run.
pub(super) struct Run {
    script: String,
    code: i32,
    output: String,
    /// The JSON of its `handleSummary`.
    summary: Option<Value>,
}

impl K6 {
    pub(super) fn find() -> anyhow::Result<Self> {
        let program = workspace::fetched("k6")?;
        let folder = TempDir::with_prefix("ringkv-k6-").context("create a folder for k6")?;
        Ok(Self { program, folder })
    }

    pub(super) fn start(
        &self,
        script: &str,
        base_url: &str,
        settings: &[Setting<'_>],
    ) -> anyhow::Result<Running> {
        let path = workspace::root()?.join("loadtests").join(format!("{script}.js"));
        let summary = self.folder.path().join(format!("{script}.json"));
        if summary.exists() {
            fs::remove_file(&summary).context("remove the summary of an earlier run")?;
        }
        let mut command = Command::new(&self.program);
        // Without a port for k6's own API, without usage reports, and without the settings of the
        // user's environment.
        command.args(["run", "--quiet", "--no-color", "--no-usage-report", "--address", ""]);
        command.arg("--include-system-env-vars=false");
        let folder = format!("SUMMARY_DIR={}", self.folder.path().display());
        command.args(["--env", &format!("BASE_URL={base_url}"), "--env", &folder]);
        for (name, value) in settings {
            command.args(["--env", &format!("{name}={value}")]);
        }
        command.arg(path);
        let process = Server::start(script, command, self.folder.path())?;
        let output = self.folder.path().join(format!("{script}.log"));
        Ok(Running { process, script: script.to_owned(), output, summary })
    }

    pub(super) fn run(
        &self,
        script: &str,
        base_url: &str,
        settings: &[Setting<'_>],
    ) -> anyhow::Result<Run> {
        self.start(script, base_url, settings)?.wait()
    }
}

impl Running {
    /// Fails if the run has already ended.
    pub(super) fn check(&mut self) -> anyhow::Result<()> {
        self.process.check()
    }

    /// Waits until the run has ended.
    pub(super) fn wait(mut self) -> anyhow::Result<Run> {
        let status = wait_until(&self.script, RUN_LIMIT, || self.process.ended())?;
        let output = fs::read_to_string(&self.output).context("read what k6 printed")?;
        let summary = match fs::read(&self.summary) {
            Ok(bytes) => Some(serde_json::from_slice(&bytes).context("read a summary")?),
            Err(_) => None,
        };
        let code = status.code().context("k6 was killed")?;
        Ok(Run { script: self.script, code, output, summary })
    }
}

impl Run {
    /// Checks that it succeeded; for a script that measures nothing and writes no summary.
    pub(super) fn ended_well(&self) -> anyhow::Result<()> {
        ensure!(self.code == 0, "{}: {}", self.script, self.shown());
        Ok(())
    }

    /// The summary of the run, which must have passed.
    pub(super) fn passed(&self) -> anyhow::Result<&Value> {
        self.ended(0, true)
    }

    /// The summary of the run, which must have failed because of a threshold.
    pub(super) fn failed(&self) -> anyhow::Result<&Value> {
        self.ended(THRESHOLD_FAILED, false)
    }

    /// Checks that it failed with this exit code and these words in its output.
    pub(super) fn failed_saying(&self, words: &str) -> anyhow::Result<()> {
        if self.code == 0 || !self.output.contains(words) {
            bail!("{}: expected a failure and `{words}`; {}", self.script, self.shown());
        }
        Ok(())
    }

    fn ended(&self, code: i32, passed: bool) -> anyhow::Result<&Value> {
        match &self.summary {
            Some(summary) if self.code == code && summary["passed"] == passed => Ok(summary),
            _ => bail!("{}: expected exit code {code}; {}", self.script, self.shown()),
        }
    }

    fn shown(&self) -> String {
        let lines: Vec<&str> = self.output.lines().collect();
        let end = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        format!("it ended with {} and printed\n{}", self.code, end.join("\n"))
    }
}

/// The number at this path of a summary; -1, which is never a count, if there is none.
pub(super) fn number(summary: &Value, place: &str) -> f64 {
    summary.pointer(place).and_then(Value::as_f64).unwrap_or(-1.0)
}

/// Whether this check of a script failed at least once.
pub(super) fn check_failed(summary: &Value, name: &str) -> bool {
    summary["checks"][name]["failed"].as_f64().is_some_and(|times| times > 0.0)
}
