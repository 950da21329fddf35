//! Start, serve and stop of a storage node, each step in its order.
//!
//! Start: lock the data directory, check it and count the start, load or obtain the identity, open
//! the stores, start the engine, then serve. Stop: become unready, transfer leadership and flush, end the streams, close the
//! sockets, release the directory. If a step of the start fails, the node ends with the reason and
//! leaves nothing running.

mod changes;
mod identify;
mod open;
mod reconcile;
mod server;
mod socket;

use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use parking_lot::Mutex;
use ringkv_data_dir::{DataDir, OpenError};
use ringkv_telemetry::health::Health;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::{self, KeyValue, Tracer};
use ringkv_telemetry::{bind, build_info, http};
use tokio_util::sync::CancellationToken;

use crate::admin_service::{AdminService, Listener};
use crate::cluster_view::ClusterView;
use crate::config::Config;
use crate::directory;
use crate::disk_watch::DiskWatch;
use crate::identity::Identity;
use crate::kv_service::{self, Spans};
use crate::metrics::{
    CounterSeries, DiskSeries, GroupSeries, Metrics, RocksSeries, TransferSeries,
};
use crate::placement_link::{ForeignPlacement, PlacementClient, Registration};
use identify::{Identified, Identify};
use open::Opened;
use reconcile::Reconciler;
use server::{GrpcServer, Services};

/// Time to transfer leadership and to finish open requests.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Where admin calls are served unless set otherwise: above the ports of the nodes of `ringkv dev`,
/// which people use for nodes on one machine too.
const ADMIN_LISTEN: &str = "127.0.0.1:50060";

/// How long a data directory may still be in use by a node that is stopping.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(1);

/// Sockets that are bound already.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: TcpListener,
    pub metrics: TcpListener,
    /// For operators.
    pub admin: TcpListener,
}

/// Binds the addresses of the config and serves until `shutdown`.
///
/// # Errors
/// An address cannot be bound; else as [`serve`].
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let grpc = bind::tcp("--listen", &config.listen)?;
    let metrics = bind::tcp("--metrics-listen", &config.metrics_listen)?;
    let admin = admin_listener(&config)?;
    serve(config, Listeners { grpc, metrics, admin }, shutdown).await
}

/// Several nodes on one machine share the default address: the first one has it.
fn admin_listener(config: &Config) -> anyhow::Result<TcpListener> {
    let flag = "--admin-listen";
    match &config.admin_listen {
        Some(address) => bind::tcp(flag, address),
        None => bind::tcp(flag, ADMIN_LISTEN).or_else(|_| bind::tcp(flag, "127.0.0.1:0")),
    }
}

/// Serves until `shutdown` or `Admin.Stop`, then stops cleanly. To drop it earlier is equivalent to
/// a crash: leadership is not transferred, nothing is flushed, connections are cut.
///
/// # Errors
/// The node cannot start, or the placement of its cluster says that this process is not the node.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tracing::info!(?config, version = build_info::VERSION, "starting storage node");
    let pages = OperatorPages::new("storage-node", Health::starting(["identity", "groups"]))?;
    let dir = Arc::new(take_directory(&config.data_dir).await?);
    let metrics_end = CancellationToken::new();
    let metrics_guard = metrics_end.clone().drop_guard();
    let metrics_server = tokio::spawn(http::serve(listeners.metrics, pages.clone(), metrics_end));

    let start = Start { config, pages, dir, grpc: listeners.grpc, admin: listeners.admin };
    let ended = start.run(shutdown).await;

    drop(metrics_guard);
    metrics_server.await.context("join the metrics server")?.context("serve metrics")?;
    ended
}

/// Locks the data directory; waits a moment for a predecessor that is stopping.
async fn take_directory(path: &Path) -> Result<DataDir, OpenError> {
    let gives_up = tokio::time::Instant::now() + PREDECESSOR_PATIENCE;
    loop {
        match DataDir::open(path) {
            Err(OpenError::InUse { .. }) if tokio::time::Instant::now() < gives_up => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            opened => return opened,
        }
    }
}

/// A node that has its directory and sockets only.
struct Start {
    config: Config,
    pages: OperatorPages,
    dir: Arc<DataDir>,
    grpc: TcpListener,
    admin: TcpListener,
}

impl Start {
    async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let stored = directory::begin_start(&self.dir, &self.config)?;
        let registration = Registration {
            address: advertised(&self.config, &self.grpc)?,
            zone: self.config.zone.clone(),
            capacity: self.config.capacity,
            incarnation: rand::random_range(1..=u64::MAX),
            directory: self.dir.number(),
        };
        let placement = PlacementClient::new(self.config.placement.clone());
        let refill = self.config.refill;
        let identify =
            Identify { dir: &self.dir, placement: &placement, registration: &registration, refill };
        let Identified { mut identity, confirmed } = tokio::select! {
            identified = identify.run(stored) => identified?,
            () = shutdown.cancelled() => return Ok(()),
        };
        self.pages.health.ready("identity");
        let metrics = Arc::new(Metrics::register(&self.pages)?);
        let view = Arc::new(open::stored_view(&self.dir, identity)?);
        let opened = open::open(&self.config, &self.dir, identity, &view, &metrics).await?;
        if !identity.has_stores {
            // Before the first vote: from now on a start without the stores is refused.
            identity.has_stores = true;
            identity.store(&self.dir)?;
        }
        let tracer = self.tracer(&registration.address, identity)?;
        let foreign = ForeignPlacement::new(metrics.foreign_placement());
        let node = Node {
            start: self,
            registration,
            placement,
            foreign,
            identity,
            confirmed,
            metrics,
            view,
            tracer,
        };
        node.serve(opened, shutdown.child_token()).await
    }
}

impl Start {
    fn tracer(&self, address: &str, identity: Identity) -> anyhow::Result<Tracer> {
        let service = trace::Service {
            name: "ringkv-storage-node",
            instance: address.to_owned(),
            attributes: vec![KeyValue::new("ringkv.node", identity.node.to_string())],
        };
        let tracer = Tracer::start(&self.config.trace, service)?;
        tracer.register(&self.pages.registry)?;
        Ok(tracer)
    }
}

/// A node that has its identity.
struct Node {
    start: Start,
    registration: Registration,
    placement: PlacementClient,
    foreign: ForeignPlacement,
    identity: Identity,
    /// Whether placement has confirmed the identity at this start.
    confirmed: bool,
    metrics: Arc<Metrics>,
    view: Arc<ClusterView>,
    tracer: Tracer,
}

impl Node {
    async fn serve(self, opened: Opened, stop: CancellationToken) -> anyhow::Result<()> {
        let Opened { engine, reader, transfers, raft_figures, data_figures } = opened;
        let peers = Arc::new(Mutex::default());
        let (registry, handle) = (&self.start.pages.registry, engine.handle());
        CounterSeries::register(registry, engine.handle(), self.metrics.damaged())?;
        GroupSeries::register(registry, handle, Arc::clone(&self.view), Arc::clone(&peers))?;
        RocksSeries::register(registry, raft_figures, data_figures)?;
        TransferSeries::register(registry, transfers.clone())?;
        let streams_end = CancellationToken::new();
        let disk = DiskWatch::default();
        DiskSeries::register(registry, &self.start.config.data_dir, disk.clone())?;
        let kv = Arc::new(kv_service::Context {
            engine: engine.handle(),
            reader: reader.clone(),
            view: Arc::clone(&self.view),
            metrics: Arc::clone(&self.metrics),
            disk: disk.clone(),
            spans: Spans { tracer: self.tracer.clone(), cluster: self.identity.cluster },
            _dir: Arc::clone(&self.start.dir),
            stopped: streams_end.clone(),
        });
        let services = Services { kv, admin: self.admin(engine.handle(), stop.clone()) };
        let (mut server, health) =
            GrpcServer::start((&self.start.grpc, &self.start.admin), services)?;
        tracing::info!(
            cluster = self.identity.cluster.0,
            node = self.identity.node.0,
            address = self.registration.address,
            "serving"
        );
        let reconciler =
            Reconciler::new(&self, engine.handle(), reader, transfers, peers, health.clone());
        let ended = tokio::select! {
            ended = reconciler.run() => ended,
            () = disk.watch(self.start.config.data_dir.clone()) => Ok(()),
            ended = server.ended() => ended,
            () = stop.cancelled() => Ok(()),
        };
        tracing::info!("transferring leadership and draining requests");
        self.start.pages.health.unready("shutdown", "stopping");
        health.not_serving().await;
        tokio::task::spawn_blocking(move || engine.stop(DRAIN_TIMEOUT))
            .await
            .context("stop the engine")?;
        streams_end.cancel();
        server.stop().await;
        self.tracer.stop().await;
        tracing::info!("stopped");
        ended
    }

    fn admin(&self, engine: ringkv_engine::Handle, stop: CancellationToken) -> AdminService {
        AdminService {
            identity: self.identity,
            address: self.registration.address.clone(),
            admin_address: bound(&self.start.admin),
            listener: Listener::Own,
            engine,
            view: Arc::clone(&self.view),
            started: Instant::now(),
            stop,
            stop_now: self.start.config.stop_now.clone(),
        }
    }
}

/// The address of a socket, for people and for `ringkv node stop`.
fn bound(listener: &TcpListener) -> String {
    listener.local_addr().map(|address| address.to_string()).unwrap_or_default()
}

/// The address at which others reach this node.
fn advertised(config: &Config, grpc: &TcpListener) -> anyhow::Result<String> {
    if let Some(advertise) = &config.advertise {
        return Ok(advertise.clone());
    }
    let bound = grpc.local_addr().context("read the address of the gRPC socket")?;
    anyhow::ensure!(
        !bound.ip().is_unspecified(),
        "--advertise: required, because other nodes cannot reach --listen {bound}"
    );
    Ok(bound.to_string())
}
