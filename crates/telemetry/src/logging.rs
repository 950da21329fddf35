//! The process's log: lines on stderr, as text or JSON, written by a thread of their own.
//!
//! Logging never blocks the one who logs: lines wait in a bounded queue, and when the sink is
//! slower than the log they are dropped and counted (`ringkv_log_lines_dropped_total`).

use std::fmt;
use std::io::IsTerminal as _;
use std::str::FromStr;
use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

/// Lines that may wait for the sink: some seconds of a busy log, a few MiB.
const LINES_QUEUED_MAX: usize = 16 * 1024;

static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("`{name}` is not a log format: text or json")),
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// Keeps the writing thread; dropping it writes what is queued (for a second at most).
#[must_use = "the log ends when this is dropped"]
#[derive(Debug)]
pub struct LogGuard {
    _worker: WorkerGuard,
}

/// Starts the log of the process. `level` is a level (`info`) or a list of directives
/// (`info,ringkv_engine=debug`).
///
/// # Errors
/// `level` is not understood, or the log was started before.
pub fn init(format: LogFormat, level: &str) -> anyhow::Result<LogGuard> {
    let filter = EnvFilter::try_new(level)
        .map_err(|error| anyhow::anyhow!("--log-level: `{level}` is not a level: {error}"))?;
    let (writer, worker) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LINES_QUEUED_MAX)
        .thread_name("log")
        .finish(std::io::stderr());
    let dropped = writer.error_counter();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|error| anyhow::anyhow!("start the log: {error}"))?;
    DROPPED.get_or_init(|| dropped);
    Ok(LogGuard { _worker: worker })
}

/// Lines dropped so far because the sink was too slow; 0 before [`init`].
pub fn dropped_lines() -> u64 {
    DROPPED.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_go_to_text_and_back() {
        for format in [LogFormat::Text, LogFormat::Json] {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert!("xml".parse::<LogFormat>().is_err());
    }

    #[test]
    fn a_level_that_is_none_is_refused_by_its_flag() {
        let error = init(LogFormat::Text, "info,=what=").unwrap_err().to_string();
        assert!(error.starts_with("--log-level: `info,=what=`"), "{error}");
    }
}
