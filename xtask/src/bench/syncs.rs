//! Counts the `fsync` and `fdatasync` calls of server processes with strace, in a separate short
//! run: strace slows the processes down, so this run is not timed.

use std::fs;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, ensure};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::NamedTempFile;

/// A running count.
pub(crate) struct SyncCount {
    strace: Child,
    table: NamedTempFile,
}

impl SyncCount {
    /// Starts counting in these processes and all their threads, including later ones.
    pub(crate) fn start(processes: &[u32]) -> anyhow::Result<Self> {
        let table = NamedTempFile::new().context("create a file for strace")?;
        let mut command = Command::new("strace");
        command.args(["-f", "-c", "-e", "trace=fsync,fdatasync", "-o"]).arg(table.path());
        for process in processes {
            command.args(["-p", &process.to_string()]);
        }
        let strace = command.stderr(Stdio::null()).spawn().context("start strace")?;
        let count = Self { strace, table };
        for process in processes {
            count.wait_attached(*process)?;
        }
        Ok(count)
    }

    /// Calls before strace has attached would not be counted.
    fn wait_attached(&self, process: u32) -> anyhow::Result<()> {
        let limit = std::time::Duration::from_secs(10);
        crate::process::wait_until("strace", limit, || {
            let status = fs::read_to_string(format!("/proc/{process}/status"))
                .with_context(|| format!("look at process {process}"))?;
            let is_traced = status.lines().any(|line| {
                line.strip_prefix("TracerPid:").is_some_and(|tracer| tracer.trim() != "0")
            });
            Ok(is_traced.then_some(()))
        })
    }

    /// Ends the count and returns the number of calls since the start.
    pub(crate) fn stop(mut self) -> anyhow::Result<u64> {
        let id = i32::try_from(self.strace.id()).context("read the id of strace")?;
        let pid = Pid::from_raw(id).context("a process has an id")?;
        kill_process(pid, Signal::INT).context("stop strace")?;
        self.strace.wait().context("wait for strace")?;
        let table = fs::read_to_string(self.table.path()).context("read what strace counted")?;
        ensure!(!table.is_empty(), "strace counted nothing: may this user trace processes?");
        Ok(total(&table))
    }
}

impl Drop for SyncCount {
    fn drop(&mut self) {
        // After `stop` strace has already ended.
        self.strace.kill().ok();
        self.strace.wait().ok();
    }
}

/// Adds the `calls` column (the fourth) of the rows of both calls.
fn total(table: &str) -> u64 {
    table
        .lines()
        .filter(|line| line.ends_with("fsync") || line.ends_with("fdatasync"))
        .filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::total;

    #[test]
    fn the_calls_of_both_rows_are_added() {
        let table = "\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 90.00    1.234567         120      1000           fdatasync
 10.00    0.001000         100        10         2 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    1.235567         122      1010         2 total
";
        assert_eq!(total(table), 1010);
    }
}
