//! The settings of a placement replica: flags and environment in, checked values out.
//!
//! The slot count, the replication factor, the largest value and the read mode are settings of the
//! cluster: the flags set them when it is created and must repeat them afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use ringkv_placement_core::place::Place;
use ringkv_placement_core::start::Peers;
use ringkv_placement_core::state::NODES_MAX;
use ringkv_telemetry::logging::LogFormat;
use ringkv_telemetry::trace;
use ringkv_topology::{BootstrapWhen, ReadMode, Settings, SlotCount};

/// A placement replica of a ringkv cluster: keeps its nodes, its groups and the owner of each slot.
///
/// One replica is enough to try ringkv; three or five keep placement available. User data does not
/// pass through placement: the cluster continues to read and write while placement is down. On
/// SIGTERM it hands leadership over and exits with 0.
#[derive(Clone, Debug, Parser)]
#[command(name = "ringkv-placement", version)]
pub struct Args {
    /// Number of this replica in --peers
    #[arg(long, env = "RINGKV_ID", default_value_t = 1)]
    pub id: u64,

    /// Address and port to serve gRPC on (placement, Raft, health, reflection)
    #[arg(long, env = "RINGKV_LISTEN", default_value = "0.0.0.0:7000", value_name = "HOST:PORT")]
    pub listen: String,

    /// Address at which others reach this replica's gRPC [default: its entry in --peers, else the
    /// address of --listen]
    #[arg(long, env = "RINGKV_ADVERTISE", value_name = "HOST:PORT")]
    pub advertise: Option<String>,

    /// All placement replicas, including this one [default: this replica only]. A new placement has
    /// 1, 3 or 5, and is founded when all of them answer that their directories are empty. A number
    /// is a place: a replica that lost its directory comes back at its number as a new replica. To
    /// add a number, run `ringkv placement add` first; to change an address, restart that replica
    /// with the new list
    #[arg(long, env = "RINGKV_PEERS", value_name = "ID=HOST:PORT,…", value_delimiter = ',')]
    pub peers: Vec<String>,

    /// Directory for this replica's log and state; used by one process at a time
    #[arg(long, env = "RINGKV_DATA_DIR", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Address and port for operators (`ringkv placement`) [default: 127.0.0.1:7001, if it is free]
    #[arg(long, env = "RINGKV_ADMIN_LISTEN", value_name = "HOST:PORT")]
    pub admin_listen: Option<String>,

    /// Address and port of /metrics, /livez, /readyz and /healthz
    #[arg(
        long,
        env = "RINGKV_METRICS_LISTEN",
        default_value = "0.0.0.0:9090",
        value_name = "HOST:PORT"
    )]
    pub metrics_listen: String,

    /// Number of hash slots, a power of two from 1 to 32768; fixed when the cluster is created
    #[arg(long, env = "RINGKV_SLOT_COUNT", default_value_t = 4096)]
    pub slot_count: u32,

    /// Replicas of each group: 1, 3 or 5; fixed when the cluster is created
    #[arg(long, env = "RINGKV_REPLICATION_FACTOR", default_value_t = 3)]
    pub replication_factor: u8,

    /// Number of storage nodes that must be alive before the cluster is bootstrapped, at least the
    /// replication factor [default: the replication factor]
    #[arg(long, env = "RINGKV_INITIAL_NODES", value_name = "N")]
    pub initial_nodes: Option<usize>,

    /// File with the advertised addresses of storage nodes that must be alive before the cluster is
    /// bootstrapped, one host:port per line; empty lines and lines that start with # are skipped
    #[arg(long, env = "RINGKV_SERVERS_FILE", value_name = "FILE")]
    pub servers_file: Option<PathBuf>,

    /// Largest value in bytes, 1 to 8388608; fixed when the cluster is created
    #[arg(long, env = "RINGKV_VALUE_BYTES_MAX", default_value_t = 1 << 20, value_name = "BYTES")]
    pub value_bytes_max: u32,

    /// How leaders serve linearizable reads: read-index asks a majority each time (waiting reads
    /// share one round); lease asks periodically and requires that clocks drift apart by at most
    /// 12 % in between; fixed when the cluster is created
    #[arg(long, env = "RINGKV_READ_MODE", default_value_t = ReadMode::ReadIndex, value_name = "MODE")]
    pub read_mode: ReadMode,

    /// Format of the log lines on stderr: text or json
    #[arg(long, env = "RINGKV_LOG_FORMAT", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Log level: error, warn, info, debug, trace, or directives such as `info,h2=warn`
    #[arg(long, env = "RINGKV_LOG_LEVEL", default_value = "info", value_name = "LEVEL")]
    pub log_level: String,
}

/// Checked settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// The number of this process in `peers`.
    pub place: Place,
    pub listen: String,
    pub metrics_listen: String,
    /// `None`: [`ADMIN_LISTEN`], if it is free.
    pub admin_listen: Option<String>,
    /// Every place and its address, this one included.
    pub peers: Peers,
    pub data_dir: PathBuf,
    pub settings: Settings,
    pub bootstrap_when: BootstrapWhen,
    /// Off unless set: see [`trace::Settings::from_env`].
    pub trace: trace::Settings,
}

/// An invalid setting: the flag and the problem.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{flag}: {problem}")]
pub struct InvalidSetting {
    pub flag: &'static str,
    pub problem: String,
}

/// The default of `--admin-listen`.
pub const ADMIN_LISTEN: &str = "127.0.0.1:7001";

/// The most names in `--peers`: more replicas would only slow placement down.
const PEERS_MAX: usize = 7;

/// The upper limit of `--value-bytes-max`: the bounds of messages leave room for it.
const VALUE_BYTES_MAX: u32 = 8 << 20;

impl TryFrom<Args> for Config {
    type Error = InvalidSetting;

    fn try_from(args: Args) -> Result<Self, InvalidSetting> {
        host_port("--listen", &args.listen)?;
        host_port("--metrics-listen", &args.metrics_listen)?;
        if let Some(admin) = &args.admin_listen {
            host_port("--admin-listen", admin)?;
        }
        if args.data_dir.as_os_str().is_empty() {
            return invalid("--data-dir", "is empty: set a directory");
        }
        if args.id == 0 {
            return invalid("--id", "0 is out of range: 1 and up");
        }
        let place = Place(args.id);
        let peers = peers(&args, place)?;
        let settings = settings(&args)?;
        let replicas = usize::from(settings.replication_factor);
        let nodes = args.initial_nodes.unwrap_or(replicas);
        if nodes < replicas || nodes > NODES_MAX as usize {
            let problem = format!(
                "{nodes} is out of range: {replicas} (--replication-factor) to {NODES_MAX}"
            );
            return invalid("--initial-nodes", problem);
        }
        let servers = match &args.servers_file {
            Some(path) => servers(&fs::read_to_string(path).map_err(|error| InvalidSetting {
                flag: "--servers-file",
                problem: format!("cannot read {}: {error}", path.display()),
            })?)?,
            None => BTreeSet::new(),
        };
        Ok(Self {
            place,
            listen: args.listen,
            metrics_listen: args.metrics_listen,
            admin_listen: args.admin_listen,
            peers,
            data_dir: args.data_dir,
            settings,
            bootstrap_when: BootstrapWhen { nodes, servers },
            trace: trace::Settings::default(),
        })
    }
}

fn settings(args: &Args) -> Result<Settings, InvalidSetting> {
    let Some(slot_count) = SlotCount::new(args.slot_count) else {
        let problem = format!("{} is not a power of two from 1 to 32768", args.slot_count);
        return invalid("--slot-count", problem);
    };
    let replication_factor = args.replication_factor;
    if !matches!(replication_factor, 1 | 3 | 5) {
        return invalid("--replication-factor", format!("{replication_factor} is not 1, 3 or 5"));
    }
    let value_bytes_max = args.value_bytes_max;
    if value_bytes_max == 0 || value_bytes_max > VALUE_BYTES_MAX {
        let problem = format!("{value_bytes_max} is out of range: 1 to {VALUE_BYTES_MAX}");
        return invalid("--value-bytes-max", problem);
    }
    let read_mode = args.read_mode;
    Ok(Settings { slot_count, replication_factor, value_bytes_max, read_mode })
}

/// The address of every place that a list names.
pub(crate) fn listed(list: &[String]) -> Result<Peers, InvalidSetting> {
    let mut peers = Peers::new();
    for peer in list.iter().map(|peer| peer.trim()).filter(|peer| !peer.is_empty()) {
        let split = peer.split_once('=');
        let parsed = split.and_then(|(place, address)| {
            let place = place.parse().ok().filter(|place| *place != 0)?;
            Some((Place(place), address.to_owned()))
        });
        let Some((place, address)) = parsed else {
            return invalid(
                "--peers",
                format!("`{peer}` is not ID=HOST:PORT with an ID from 1 up"),
            );
        };
        host_port("--peers", &address)?;
        if peers.values().any(|other| *other == address) {
            return invalid("--peers", format!("names {address} twice"));
        }
        if peers.insert(place, address).is_some() {
            return invalid("--peers", format!("names replica {place} twice"));
        }
    }
    if peers.len() > PEERS_MAX {
        let count = peers.len();
        return invalid("--peers", format!("names {count} replicas: 1 to {PEERS_MAX}"));
    }
    Ok(peers)
}

/// The address of every place, this one's as it is advertised.
fn peers(args: &Args, me: Place) -> Result<Peers, InvalidSetting> {
    let mut peers = listed(&args.peers)?;
    if let Some(advertise) = &args.advertise {
        host_port("--advertise", advertise)?;
    }
    if peers.is_empty() {
        peers.insert(me, args.advertise.clone().unwrap_or_else(|| args.listen.clone()));
    } else if let Some(own) = peers.get_mut(&me) {
        if let Some(advertise) = &args.advertise {
            own.clone_from(advertise);
        }
    } else {
        return invalid("--peers", format!("does not name this replica, --id {me}"));
    }
    Ok(peers)
}

fn servers(text: &str) -> Result<BTreeSet<String>, InvalidSetting> {
    let lines = text.lines().map(str::trim);
    let servers = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    servers.map(|server| host_port("--servers-file", server).map(|()| server.to_owned())).collect()
}

fn host_port(flag: &'static str, address: &str) -> Result<(), InvalidSetting> {
    let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port);
    match port.and_then(|port| port.parse::<u16>().ok()) {
        Some(_) => Ok(()),
        None => invalid(flag, format!("`{address}` is not host:port with a port from 0 to 65535")),
    }
}

fn invalid<T>(flag: &'static str, problem: impl Into<String>) -> Result<T, InvalidSetting> {
    Err(InvalidSetting { flag, problem: problem.into() })
}

#[cfg(test)]
mod tests;
