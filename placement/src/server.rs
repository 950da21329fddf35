//! Brings a placement replica up, keeps it running, and takes it down in order.
//!
//! Owns the order: directory, log, machine, engine, then gRPC. Going down, leadership is handed
//! over first, while peers are still served; then the server closes, since watches and peers'
//! streams would go on for ever.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use prometheus::Registry;
use ringkv_consensus::{
    Engine, EngineConfig, Genesis, Handle, Members, NoObserver, RocksLog, StateMachine as _,
};
use ringkv_proto::v1::placement_server::PlacementServer;
use ringkv_proto::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use ringkv_telemetry::health::Health;
use ringkv_telemetry::{bind, build_info, http, process};
use ringkv_topology::{ClusterId, NodeId, ReplicaId};
use ringkv_transport::{AddressBook, GrpcTransport, raft_service};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::config::Config;
use crate::data_dir::Identity;
use crate::feed;
use crate::image::GROUP;
use crate::machine::Machine;
use crate::metrics::Metrics;
use crate::observed::Observed;
use crate::reconcile_loop::{HEALTH_PART, ReconcileLoop};
use crate::reconciler::Wanted;
use crate::replica::Replica;
use crate::service::Service;

/// For handing leadership over and for requests under way.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// For answers under way once the server closes; peers' streams never end by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A peer that is gone without a word is noticed within these two together.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Cluster ids fit the integers of JSON as every reader has them.
const CLUSTER_ID_BITS: u32 = 53;

/// Sockets that are bound already.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: TcpListener,
    pub metrics: TcpListener,
}

/// Binds the sockets of the configuration and serves until `shutdown`.
///
/// # Errors
/// As [`serve`], and when an address cannot be bound.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listeners = Listeners {
        grpc: bind::tcp("--listen", &config.listen)?,
        metrics: bind::tcp("--metrics-listen", &config.metrics_listen)?,
    };
    serve(config, listeners, shutdown).await
}

/// Serves until `shutdown`, then hands leadership over, flushes and returns.
///
/// # Errors
/// The data directory is another replica's or damaged, or the settings are not those of the
/// cluster. A disk that fails ends the process.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tracing::info!(?config, "starting placement");
    let health = Health::starting([HEALTH_PART]);
    let parts = Parts::start(&config)?;
    let registry = Registry::new();
    build_info::register(&registry, "placement").context("register metrics")?;
    process::register(&registry).context("register metrics")?;
    let Parts { engine, replica, state, observed } = parts;
    let shared = || (Arc::clone(&replica), state.clone(), Arc::clone(&observed));
    let (of_replica, of_state, of_observed) = shared();
    Metrics::register(&registry, of_replica, of_state, of_observed).context("register metrics")?;

    let closing = CancellationToken::new();
    let metrics = http::serve(listeners.metrics, registry, health.clone(), closing.clone());
    let metrics = tokio::spawn(metrics);
    let service = Service {
        replica: Arc::clone(&replica),
        state: state.clone(),
        observed: Arc::clone(&observed),
        updates: feed::start(state.clone(), Arc::clone(&observed)),
        peers: Arc::new(config.peers.clone()),
        watches: Service::watches(),
        stopping: closing.clone(),
    };
    let grpc = serve_grpc(&config, listeners.grpc, engine.handle(), service, closing.clone());
    let mut grpc = tokio::spawn(grpc);
    let reconcile = ReconcileLoop {
        replica,
        state,
        observed,
        wanted: Wanted {
            cluster: ClusterId(random_id()),
            settings: config.settings,
            form_when: config.form_when,
        },
        health: health.clone(),
    };
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = reconcile.run() => ended,
        ended = &mut grpc => match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("the gRPC server ended by itself")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
    };
    health.unready(HEALTH_PART, "stopping");
    tokio::task::spawn_blocking(move || engine.stop(STOP_TIMEOUT))
        .await
        .context("stop the engine")?;
    closing.cancel();
    let streams_closed = tokio::time::timeout(CLOSE_TIMEOUT, &mut grpc).await.is_ok();
    if !streams_closed {
        grpc.abort();
    }
    metrics.await.context("serve metrics")?.context("serve metrics")?;
    tracing::info!("placement has stopped");
    ended
}

/// What runs behind the gRPC server.
struct Parts {
    engine: Engine,
    replica: Arc<Replica>,
    state: tokio::sync::watch::Receiver<Arc<crate::state::State>>,
    observed: Arc<Observed>,
}

impl Parts {
    fn start(config: &Config) -> anyhow::Result<Self> {
        let dir = &config.data_dir;
        std::fs::create_dir_all(dir)
            .with_context(|| format!("--data-dir: create {}", dir.display()))?;
        // Opening the log locks the directory for this process.
        let log = RocksLog::open(&dir.join("raft")).context("--data-dir: open the log")?;
        let members = config.peers.keys().copied().collect();
        Identity { replica: config.id, members }.claim(dir)?;
        let machine = Machine::open(dir).context("--data-dir: open the state")?;
        let state = machine.state();
        let is_new = machine.groups().context("read the state")?.is_empty();
        let addresses = Arc::new(Peers(config.peers.clone()));
        let runtime = tokio::runtime::Handle::current();
        let (cluster, id) = (config.raft_cluster, config.id);
        let engine = Engine::start(
            EngineConfig::new(id, random_id(), dir),
            log,
            machine,
            Arc::new(NoObserver),
            |handle| GrpcTransport::new(cluster, id, addresses, handle, runtime),
        )
        .context("start the consensus engine")?;
        let handle = engine.handle();
        handle.create(genesis(config));
        // One replica need not wait for an election timeout: nobody can lead yet.
        let is_first = is_new && config.peers.keys().next() == Some(&id);
        if is_first || config.peers.len() == 1 {
            handle.campaign(GROUP);
        }
        let replica = Arc::new(Replica::new(handle));
        Ok(Self { engine, replica, state, observed: Arc::new(Observed::new()) })
    }
}

/// The one group of placement; replica ids are those of the peers.
fn genesis(config: &Config) -> Genesis {
    let voters = config.peers.keys().map(|id| (ReplicaId(id.0), *id));
    Genesis {
        group: GROUP,
        replica: ReplicaId(config.id.0),
        members: Members::of_voters(voters),
        context: Bytes::new(),
    }
}

struct Peers(BTreeMap<NodeId, String>);

impl AddressBook for Peers {
    fn address(&self, node: NodeId) -> Option<String> {
        self.0.get(&node).cloned()
    }
}

/// A number that is not 0, fits JSON and will not come twice.
fn random_id() -> u64 {
    (rand::random::<u64>() >> (u64::BITS - CLUSTER_ID_BITS)).max(1)
}

fn serve_grpc(
    config: &Config,
    listener: TcpListener,
    engine: Handle,
    service: Service,
    closing: CancellationToken,
) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
    let raft = raft_service(config.raft_cluster, config.id, engine);
    async move {
        listener.set_nonblocking(true).context("--listen: set the socket up")?;
        let listener = tokio::net::TcpListener::from_std(listener).context("--listen")?;
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<PlacementServer<Service>>().await;
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()
            .context("build gRPC reflection")?;
        Server::builder()
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .add_service(health)
            .add_service(reflection)
            .add_service(raft)
            .add_service(
                PlacementServer::new(service)
                    .max_decoding_message_size(MESSAGE_BYTES_MAX)
                    .max_encoding_message_size(MESSAGE_BYTES_MAX),
            )
            .serve_with_incoming_shutdown(incoming, closing.cancelled_owned())
            .await
            .context("serve gRPC")
    }
}
