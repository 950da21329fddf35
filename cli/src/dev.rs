//! `ringkv dev`: a whole cluster in one process, for trying out and for developing against.
//!
//! Owns the order of start and stop, the one line on standard output, and the remarks to the
//! developer. Runs the same services as the containers do, by their `serve` functions; they have no
//! special mode for it.
//!
//! Start: data directory, ports, placement, nodes, gateway, wait for readiness. Stop: gateway
//! first (so that open requests find a cluster), then nodes, then placement.

mod cluster;
mod data_dir;
mod layout;
mod ports;
mod readiness;

use std::net::SocketAddr;
use std::path::PathBuf;

use ringkv_telemetry::logging::LogFormat;
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::{Exit, Failure};
use crate::output;

use cluster::Cluster;
use data_dir::DataDir;
use layout::Layout;
use ports::Bound;

/// Flags of `ringkv dev`.
#[derive(Debug, clap::Args)]
pub(crate) struct DevArgs {
    /// Storage nodes, 1 to 9. Default 3, or what the data directory holds.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u16).range(1..=9))]
    pub nodes: Option<u16>,

    /// Copies of every group: 1, 3 or 5, at most one per node. Default 3 (1 with fewer than three
    /// nodes), or what the data directory holds.
    #[arg(long, value_name = "COUNT")]
    pub replicas: Option<u16>,

    /// Address of the gateway. If the port is taken, another free port is used and named.
    #[arg(long, default_value = "127.0.0.1:8080", value_name = "HOST:PORT")]
    pub listen: SocketAddr,

    /// Keep the data in this directory for the next start. Default: a temporary directory that is
    /// removed at exit.
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,

    /// What the services write to standard error: error, warn, info, debug, trace, or a filter as
    /// in RUST_LOG.
    #[arg(long, env = "RINGKV_LOG_LEVEL", default_value = "warn", value_name = "LEVEL")]
    pub log_level: String,
}

/// Runs the cluster until SIGINT or SIGTERM.
///
/// # Errors
/// Exit 2 for arguments that contradict each other or the data directory, 3 when a service cannot
/// start or ends by itself.
pub(crate) async fn run(args: DevArgs) -> Result<(), Failure> {
    let _log = ringkv_telemetry::logging::init(LogFormat::Text, &args.log_level)
        .map_err(|error| Failure::new(Exit::Usage, format!("{error:#}"), "try warn or info"))?;
    ringkv_telemetry::panic::abort_on_panic();
    let mut stop = Signals::new().map_err(|error| failed("cannot watch for signals", &error))?;
    let data_dir = DataDir::open(args.data_dir.as_deref())?;
    let remembered = data_dir.layout()?;
    let layout = Layout::decide(args.nodes, args.replicas, remembered)?;
    let bound = Bound::bind(args.listen, &layout)
        .map_err(|error| failed("cannot listen on loopback", &error))?;
    for moved in bound.moved() {
        output::remark(&moved);
    }
    data_dir.remember(&layout.with_ports(bound.placement.grpc.port(), bound.node_ports()))?;

    let mut cluster = Cluster::start(&layout, bound, data_dir.path())?;
    let served = serve(&mut cluster, &mut stop).await;
    let stopped = tokio::select! {
        stopped = cluster.stop() => stopped,
        () = stop.received() => Err(failed("stopped at once", &"second signal")),
    };
    data_dir.close();
    served.and(stopped)
}

/// Prints when the cluster is ready, then waits for a signal or for a service that ends.
async fn serve(cluster: &mut Cluster, stop: &mut Signals) -> Result<(), Failure> {
    let url = cluster.url();
    tokio::select! {
        ready = readiness::wait(&url) => ready?,
        failure = cluster.failed() => return Err(failure),
        () = stop.received() => return Ok(()),
    }
    output::result_line(&format!("ready {url}"))?;
    output::remark(&format!(
        "Try:\n  curl -X PUT --data-binary hello {url}/kv/greeting\n  curl {url}/kv/greeting"
    ));
    tokio::select! {
        failure = cluster.failed() => Err(failure),
        () = stop.received() => Ok(()),
    }
}

/// SIGINT and SIGTERM; watched before anything is created that must be removed.
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn failed(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::NotApplied, format!("{what}: {error}"), "")
}
