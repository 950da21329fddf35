//! The settings of a storage node: flags and environment in, checked values out.
//!
//! Process settings only. What all nodes must agree on (slot count, replication factor, largest
//! value) lives in replicated state and comes from placement.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use ringkv_telemetry::logging::LogFormat;
use ringkv_telemetry::trace;

/// A storage node of a ringkv cluster: keeps replicas of Raft groups on its disk and serves keys.
///
/// It registers with placement, which assigns its identity (stored in the data directory) and its
/// replicas. After that it serves even while placement is down. On SIGTERM it transfers leadership,
/// drains requests, flushes and exits with 0.
#[derive(Clone, Debug, Parser)]
#[command(name = "ringkv-storage-node", version)]
pub struct Args {
    /// Address and port to serve gRPC on (keys, Raft, health, reflection).
    #[arg(long, env = "RINGKV_LISTEN", default_value = "0.0.0.0:50051", value_name = "HOST:PORT")]
    pub listen: String,

    /// Address at which other nodes and gateways reach this node's gRPC. Optional when --listen is
    /// an address that they can reach.
    #[arg(long, env = "RINGKV_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// Placement replicas, separated by commas. One reachable replica is enough to start.
    #[arg(
        long,
        env = "RINGKV_PLACEMENT",
        value_name = "HOST:PORT,…",
        value_delimiter = ',',
        required = true
    )]
    pub placement: Vec<String>,

    /// Directory of this node's identity, log and data. Only one process can use it; never copy it
    /// to start a second node. An empty directory makes a new node.
    #[arg(long, env = "RINGKV_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Address and port of admin calls, such as `ringkv node stop`. Every process that reaches it can
    /// stop this node. Default: 127.0.0.1:50060, or any free loopback port if that is taken.
    #[arg(long, env = "RINGKV_ADMIN_LISTEN", value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,

    /// Address and port of /metrics, /livez, /readyz and /healthz.
    #[arg(
        long,
        env = "RINGKV_METRICS_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "HOST:PORT"
    )]
    pub metrics_listen: String,

    /// Failure domain: replicas of a group are spread over zones. At most 64 characters.
    #[arg(long, env = "RINGKV_ZONE", default_value = "", value_name = "ZONE")]
    pub zone: String,

    /// Share of the data this node takes, relative to the others: 1 to 1000.
    #[arg(long, env = "RINGKV_CAPACITY", default_value_t = 100)]
    pub capacity: u32,

    /// What the data directory must hold: `existing` refuses an empty directory (a wrong volume),
    /// `new` one that has a node in it. Without it both are used.
    #[arg(long, env = "RINGKV_EXPECT", value_name = "new|existing")]
    pub expect: Option<Expect>,

    /// Empty the data directory and join as a new node, if the node in it cannot go on: it has lost
    /// its stores, is an older copy, or was removed from the cluster.
    #[arg(long, env = "RINGKV_REFILL")]
    pub refill: bool,

    /// Log entries of a group after which its state is flushed and its log is cut: 50 to 10000000.
    #[arg(long, env = "RINGKV_LOG_ENTRIES_MAX", default_value_t = 10_000)]
    pub log_entries_max: u64,

    /// Format of the log lines on stderr: text or json.
    #[arg(long, env = "RINGKV_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace, or directives as in `info,h2=warn`.
    #[arg(long, env = "RINGKV_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// What is expected of a data directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expect {
    /// No node has used it yet.
    New,
    /// There is a node in it.
    Existing,
}

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    pub listen: String,
    /// `None`: the address that the gRPC socket is bound to.
    pub advertise: Option<String>,
    pub metrics_listen: String,
    /// `None`: the default address, or any free loopback port if that is taken.
    pub admin_listen: Option<String>,
    pub placement: Vec<String>,
    pub data_dir: PathBuf,
    pub zone: String,
    pub capacity: u32,
    /// `None`: any directory is used.
    pub expect: Option<Expect>,
    pub refill: bool,
    pub log_entries_max: u64,
    pub stop_now: StopNow,
    /// Off unless set: see [`trace::Settings::from_env`].
    pub trace: trace::Settings,
}

/// What `Admin.Stop{now}` does: the node ends at once, without a flush, as in a crash.
#[derive(Clone, Default)]
pub enum StopNow {
    /// Kills the process (SIGKILL to itself, seen as exit code 137).
    #[default]
    KillProcess,
    /// For a node that shares its process with others: drops the node without a flush.
    Call(Arc<dyn Fn() + Send + Sync>),
}

impl StopNow {
    /// Does it. Returns only from a `Call`.
    pub(crate) fn run(&self) {
        match self {
            Self::KillProcess => {
                let killed = rustix::process::kill_process(
                    rustix::process::getpid(),
                    rustix::process::Signal::KILL,
                );
                tracing::error!(?killed, "cannot kill this process; aborting");
                std::process::abort();
            }
            Self::Call(call) => call(),
        }
    }
}

impl fmt::Debug for StopNow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KillProcess => "KillProcess",
            Self::Call(_) => "Call",
        })
    }
}

/// An invalid setting: which one, and what is valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {problem}")]
pub struct InvalidSetting {
    pub flag: &'static str,
    pub problem: String,
}

const ZONE_CHARS_MAX: usize = 64;

impl TryFrom<Args> for Config {
    type Error = InvalidSetting;

    fn try_from(args: Args) -> Result<Self, InvalidSetting> {
        host_port("--listen", &args.listen)?;
        host_port("--metrics-listen", &args.metrics_listen)?;
        if let Some(advertise) = &args.advertise {
            host_port("--advertise", advertise)?;
        }
        if let Some(admin_listen) = &args.admin_listen {
            host_port("--admin-listen", admin_listen)?;
        }
        let placement: Vec<String> =
            args.placement.iter().map(|address| address.trim().to_owned()).collect();
        if placement.is_empty() {
            return invalid("--placement", "names no replica: host:port, separated by commas");
        }
        for address in &placement {
            host_port("--placement", address)?;
        }
        if args.data_dir.as_os_str().is_empty() {
            return invalid("--data-dir", "is empty; set a directory");
        }
        if args.zone.chars().count() > ZONE_CHARS_MAX {
            return invalid("--zone", format!("is longer than {ZONE_CHARS_MAX} characters"));
        }
        Ok(Self {
            listen: args.listen,
            advertise: args.advertise,
            metrics_listen: args.metrics_listen,
            admin_listen: args.admin_listen,
            placement,
            data_dir: args.data_dir,
            zone: args.zone,
            capacity: in_range("--capacity", args.capacity, 1, 1000)?,
            expect: args.expect,
            refill: args.refill,
            log_entries_max: in_range("--log-entries-max", args.log_entries_max, 50, 10_000_000)?,
            stop_now: StopNow::default(),
            trace: trace::Settings::default(),
        })
    }
}

fn host_port(flag: &'static str, address: &str) -> Result<(), InvalidSetting> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(_) => Ok(()),
        None => invalid(flag, format!("`{address}` is not host:port with a port from 0 to 65535")),
    }
}

fn in_range<T: PartialOrd + fmt::Display>(
    flag: &'static str,
    value: T,
    least: T,
    most: T,
) -> Result<T, InvalidSetting> {
    if value < least || value > most {
        return invalid(flag, format!("{value} is out of range: {least} to {most}"));
    }
    Ok(value)
}

fn invalid<T>(flag: &'static str, problem: impl Into<String>) -> Result<T, InvalidSetting> {
    Err(InvalidSetting { flag, problem: problem.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(extra: &[&str]) -> Result<Config, InvalidSetting> {
        let needed = ["node", "--placement", "p1:7000,p2:7000", "--data-dir", "/data"];
        let args = Args::try_parse_from(needed.iter().chain(extra)).unwrap();
        Config::try_from(args)
    }

    #[test]
    fn the_defaults_are_those_of_the_manual() {
        let config = config(&[]).unwrap();
        assert_eq!(config.listen, "0.0.0.0:50051");
        assert_eq!(config.metrics_listen, "0.0.0.0:9090");
        assert_eq!(config.placement, ["p1:7000", "p2:7000"]);
        assert_eq!((config.capacity, config.log_entries_max), (100, 10_000));
    }

    #[test]
    fn a_bad_setting_is_refused_with_its_flag_and_range() {
        for (flag, value, expected) in [
            ("--listen", "50051", "--listen: `50051` is not host:port"),
            ("--advertise", "node-1:99999", "--advertise: `node-1:99999` is not host:port"),
            ("--metrics-listen", ":9090", "--metrics-listen: `:9090` is not host:port"),
            ("--capacity", "0", "--capacity: 0 is out of range: 1 to 1000"),
            ("--log-entries-max", "1", "--log-entries-max: 1 is out of range: 50 to 10000000"),
        ] {
            let error = config(&[flag, value]).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
