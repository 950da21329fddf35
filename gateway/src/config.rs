//! Settings: flags and environment, checked into a [`Config`].
//!
//! A value out of range is refused with its flag and the range; code that has a [`Config`] does not
//! check again.

use std::ops::RangeInclusive;
use std::time::Duration;

use clap::Parser;
use ringkv_telemetry::logging::LogFormat;
use ringkv_telemetry::trace;

use crate::limits::Limits;

/// Workers by default: more gain nothing; the kernel and other processes need the other cores.
const WORKERS_DEFAULT_MAX: usize = 4;

/// Serves the keys of a ringkv cluster over HTTP (`GET PUT HEAD DELETE /kv/{key}`).
///
/// Stateless: run as many as you like, each with the addresses of the placement replicas. Every
/// setting is a flag or the environment variable named with it; the flag wins.
#[derive(Clone, Debug, Parser)]
#[command(name = "ringkv-gateway", version)]
pub struct Args {
    /// Address to serve HTTP/1.1 and HTTP/2 (prior knowledge) on: host:port.
    #[arg(long, env = "RINGKV_LISTEN", default_value = "0.0.0.0:8080", value_name = "HOST:PORT")]
    pub listen: String,

    /// Addresses of all placement replicas: host:port,host:port,…
    #[arg(long, env = "RINGKV_PLACEMENT", value_delimiter = ',', required = true)]
    #[arg(value_name = "HOST:PORT")]
    pub placement: Vec<String>,

    /// Threads that serve requests, 1 to 256; default: one per core, at most 4.
    #[arg(long, env = "RINGKV_WORKERS", value_name = "N")]
    pub workers: Option<usize>,

    /// Timeout of a request without KV-Timeout-Ms, in milliseconds, 1 to 30000.
    #[arg(long, env = "RINGKV_TIMEOUT_MS", default_value_t = 5000, value_name = "MS")]
    pub timeout_ms: u64,

    /// Most connections at a time, 1 to 1000000; a further one gets 503 and is closed.
    #[arg(long, env = "RINGKV_CONNECTIONS_MAX", default_value_t = 10_000, value_name = "N")]
    pub connections_max: usize,

    /// Most requests for keys at a time, 1 to 1000000; a further one gets 503 at once.
    #[arg(long, env = "RINGKV_REQUESTS_MAX", default_value_t = 8192, value_name = "N")]
    pub requests_max: usize,

    /// Most bytes of request bodies held at a time, 1048576 to 1099511627776.
    #[arg(long, env = "RINGKV_BODY_BYTES_MAX", default_value_t = 256 << 20, value_name = "BYTES")]
    pub body_bytes_max: usize,

    /// Longest time to receive a request's head, and for a connection to be idle, in milliseconds,
    /// 1 to 600000.
    #[arg(long, env = "RINGKV_HEAD_TIMEOUT_MS", default_value_t = 30_000, value_name = "MS")]
    pub head_timeout_ms: u64,

    /// Longest time to receive a request's body, in milliseconds, 1 to 600000.
    #[arg(long, env = "RINGKV_BODY_TIMEOUT_MS", default_value_t = 30_000, value_name = "MS")]
    pub body_timeout_ms: u64,

    /// Close a connection when its client reads nothing of an answer for this long, in
    /// milliseconds, 1 to 600000.
    #[arg(long, env = "RINGKV_WRITE_TIMEOUT_MS", default_value_t = 30_000, value_name = "MS")]
    pub write_timeout_ms: u64,

    /// How long to keep serving as unready at shutdown, so that load balancers notice, in
    /// milliseconds, 0 to 600000.
    #[arg(long, env = "RINGKV_UNREADY_MS", default_value_t = 0, value_name = "MS")]
    pub unready_ms: u64,

    /// Longest wait for open requests at shutdown, in milliseconds, 0 to 600000.
    #[arg(long, env = "RINGKV_DRAIN_MS", default_value_t = 10_000, value_name = "MS")]
    pub drain_ms: u64,

    /// Format of log lines: text or json.
    #[arg(long, env = "RINGKV_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    pub log_format: LogFormat,

    /// What is logged: a level, or a list of module=level.
    #[arg(long, env = "RINGKV_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// The checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: String,
    pub placement: Vec<String>,
    pub workers: usize,
    pub(crate) limits: Limits,
    pub(crate) unready: Duration,
    pub(crate) drain: Duration,
    /// Off unless set: see [`trace::Settings::from_env`].
    pub trace: trace::Settings,
}

/// A setting out of range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("--{flag}: {problem}")]
pub struct InvalidConfig {
    flag: &'static str,
    problem: String,
}

impl TryFrom<Args> for Config {
    type Error = InvalidConfig;

    fn try_from(args: Args) -> Result<Self, InvalidConfig> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let workers = args.workers.unwrap_or_else(|| cores.min(WORKERS_DEFAULT_MAX));
        let ms = |flag, value: u64, range: RangeInclusive<u64>| {
            within(flag, value, range).map(Duration::from_millis)
        };
        let timeout_max = Limits::default().timeout_max.as_millis() as u64;
        Ok(Self {
            listen: host_port("listen", args.listen)?,
            placement: args
                .placement
                .into_iter()
                .map(|address| host_port("placement", address))
                .collect::<Result<_, _>>()?,
            workers: within("workers", workers, 1..=256)?,
            limits: Limits {
                timeout_default: ms("timeout-ms", args.timeout_ms, 1..=timeout_max)?,
                connections_max: within("connections-max", args.connections_max, 1..=1_000_000)?,
                requests_max: within("requests-max", args.requests_max, 1..=1_000_000)?,
                body_bytes_in_all_max: within(
                    "body-bytes-max",
                    args.body_bytes_max,
                    1 << 20..=1 << 40,
                )?,
                head_timeout: ms("head-timeout-ms", args.head_timeout_ms, 1..=600_000)?,
                body_timeout: ms("body-timeout-ms", args.body_timeout_ms, 1..=600_000)?,
                write_timeout: ms("write-timeout-ms", args.write_timeout_ms, 1..=600_000)?,
                ..Limits::default()
            },
            unready: ms("unready-ms", args.unready_ms, 0..=600_000)?,
            drain: ms("drain-ms", args.drain_ms, 0..=600_000)?,
            trace: trace::Settings::default(),
        })
    }
}

fn within<T: PartialOrd + std::fmt::Display>(
    flag: &'static str,
    value: T,
    range: RangeInclusive<T>,
) -> Result<T, InvalidConfig> {
    if range.contains(&value) {
        return Ok(value);
    }
    let problem = format!("{value} is not in {} to {}", range.start(), range.end());
    Err(InvalidConfig { flag, problem })
}

fn host_port(flag: &'static str, address: String) -> Result<String, InvalidConfig> {
    let parts = address.rsplit_once(':');
    if parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()) {
        return Ok(address);
    }
    let problem = format!("`{address}` is not host:port with a port of 0 to 65535");
    Err(InvalidConfig { flag, problem })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(flags: &[&str]) -> Result<Config, InvalidConfig> {
        let base = ["ringkv-gateway", "--placement=one:7000,two:7000"];
        let args = Args::try_parse_from(base.iter().chain(flags)).expect("the flags exist");
        Config::try_from(args)
    }

    #[test]
    fn the_defaults_hold() {
        let config = config(&[]).unwrap();
        assert_eq!(config.placement, ["one:7000", "two:7000"]);
        assert!((1..=4).contains(&config.workers));
    }

    #[test]
    fn a_value_out_of_range_is_refused_with_its_flag_and_the_range() {
        let cases = [
            ("--workers=0", "--workers: 0 is not in 1 to 256"),
            ("--timeout-ms=30001", "--timeout-ms: 30001 is not in 1 to 30000"),
            ("--body-bytes-max=9", "--body-bytes-max: 9 is not in 1048576 to 1099511627776"),
            ("--listen=here", "--listen: `here` is not host:port with a port of 0 to 65535"),
        ];
        for (flag, message) in cases {
            assert_eq!(config(&[flag]).unwrap_err().to_string(), message);
        }
    }
}
