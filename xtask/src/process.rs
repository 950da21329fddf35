//! Child processes: started with their output in a file, killed, restarted, stopped when dropped.
//! Reads their CPU time from `/proc`.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

/// The unit of CPU times in `/proc`, the same on every Linux machine (USER_HZ).
const TICKS_PER_SECOND: u64 = 100;

/// One running process.
pub(crate) struct Server {
    child: Child,
    command: Command,
    name: String,
}

impl Server {
    /// Starts a command; its standard output and error go to `NAME.log` in the folder.
    pub(crate) fn start(name: &str, mut command: Command, folder: &Path) -> anyhow::Result<Self> {
        let log = File::create(folder.join(format!("{name}.log"))).context("create a log file")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().context("share a log file")?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("start {name}"))?;
        Ok(Self { child, command, name: name.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// The exit status of the process; `None` while it runs.
    pub(crate) fn ended(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("look at {}", self.name))
    }

    /// Fails if the process has exited.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.ended()? {
            Some(status) => bail!("{} ended: {status}", self.name),
            None => Ok(()),
        }
    }

    /// Sends SIGKILL and waits until the process has exited.
    pub(crate) fn kill(&mut self) {
        // It may have exited before; then there is nothing to stop.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// Restarts an exited process with the same command line; its log is continued.
    pub(crate) fn start_again(&mut self) -> anyhow::Result<()> {
        self.child = self.command.spawn().with_context(|| format!("start {} again", self.name))?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Calls `ready` until it returns a value, at most for this time.
pub(crate) fn wait_until<T>(
    what: &str,
    limit: Duration,
    mut ready: impl FnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let started = Instant::now();
    loop {
        if let Some(value) = ready()? {
            return Ok(value);
        }
        if started.elapsed() > limit {
            bail!("{what}: not ready after {} s", limit.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// User and system CPU time of the processes so far: all their threads, none of their children.
///
/// # Errors
/// One of them has exited.
pub(crate) fn cpu_time(processes: &[u32]) -> anyhow::Result<Duration> {
    let mut ticks = 0;
    for process in processes {
        let stat = fs::read_to_string(format!("/proc/{process}/stat"))
            .with_context(|| format!("read the CPU time of process {process}"))?;
        ticks += parse_ticks(&stat).context("read utime and stime")?;
    }
    Ok(Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND)))
}

/// The sum of fields 14 and 15 of a `/proc/PID/stat` line. The name in field 2 may contain any
/// character, so the count starts after its closing parenthesis.
fn parse_ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

#[cfg(test)]
mod tests {
    use super::{cpu_time, parse_ticks};

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 30 12 5 6 20 0 1 0 9";
        assert_eq!(parse_ticks(stat), Some(42));
    }

    #[test]
    fn a_process_that_is_gone_is_an_error() {
        assert!(cpu_time(&[u32::MAX]).is_err());
    }
}
