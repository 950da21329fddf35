//! Starts, runs and stops a placement replica.
//!
//! Owns the order. At start: the parts behind the server, then gRPC. At stop: leadership is handed
//! over first, while peers are still served; then the server closes, because watches and peers'
//! streams never end by themselves.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ringkv_data_dir::DataDir;
use ringkv_placement_core::member_steps::node_of;
use ringkv_placement_core::reconciler::Wanted;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::placement_peers_server::PlacementPeersServer;
use ringkv_services::v1::placement_server::PlacementServer;
use ringkv_telemetry::health::Health;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::{self, KeyValue, Tracer};
use ringkv_telemetry::{bind, http};
use ringkv_topology::ClusterId;
use ringkv_transport::raft_service;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;

use crate::config::{ADMIN_LISTEN, Config};
use crate::grpc::{self, CLOSE_TIMEOUT};
use crate::identity::Identity;
use crate::member::Member;
use crate::members_loop::{self, MembersLoop};
use crate::metrics::{Metrics, Sources};
use crate::parts::{Parts, random_id};
use crate::peers_service::PeersService;
use crate::reconcile_loop::{HEALTH_PART, ReconcileLoop};
use crate::waiting;

/// Timeout for handing leadership over and for open requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets that are already bound.
#[derive(Debug)]
pub struct Listeners {
    pub grpc: TcpListener,
    pub metrics: TcpListener,
    /// For operators; without it this replica takes no admin calls.
    pub admin: Option<TcpListener>,
}

/// Binds the sockets of the configuration and serves until `shutdown`.
///
/// # Errors
/// As [`serve`], and when an address cannot be bound.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let listeners = Listeners {
        grpc: bind::tcp("--listen", &config.listen)?,
        metrics: bind::tcp("--metrics-listen", &config.metrics_listen)?,
        admin: admin_listener(&config)?,
    };
    serve(config, listeners, shutdown).await
}

/// Several replicas on one machine share the default address: the first one has it.
fn admin_listener(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let flag = "--admin-listen";
    match &config.admin_listen {
        Some(address) => bind::tcp(flag, address).map(Some),
        None => match bind::tcp(flag, ADMIN_LISTEN) {
            Ok(listener) => Ok(Some(listener)),
            Err(error) => {
                tracing::warn!(%error, "no admin calls here: set --admin-listen");
                Ok(None)
            }
        },
    }
}

/// Serves until `shutdown`, then hands leadership over, flushes and returns. With an empty data
/// directory it first founds or joins a placement, or waits until it can.
///
/// # Errors
/// The data directory is damaged or belongs to another replica, or the settings differ from those
/// of the cluster. A disk failure ends the process.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tracing::info!(?config, "starting placement");
    let health = Health::starting([HEALTH_PART, members_loop::HEALTH_PART]);
    let closing = CancellationToken::new();
    // Kept until the end of this function: no other process may use it while the engine runs.
    let dir = DataDir::open(&config.data_dir)?;
    let tracer = tracer(&config)?;
    let pages = OperatorPages::new("placement", health.clone()).context("register metrics")?;
    tracer.register(&pages.registry).context("register metrics")?;
    let metrics = http::serve(listeners.metrics, pages.clone(), closing.clone());
    let metrics = tokio::spawn(metrics);
    let identity = match Identity::read(&dir)? {
        Some(identity) => Some(identity),
        None => tokio::select! {
            identity = waiting::identity(&config, &dir, &listeners.grpc, &health) => Some(identity?),
            () = shutdown.cancelled() => None,
        },
    };
    let ended = match identity {
        Some(identity) => {
            let parts = Parts::start(&config, identity, &dir, &tracer)?;
            register(&parts, &pages).context("register metrics")?;
            let Listeners { grpc, admin, .. } = listeners;
            replica(&config, parts, (grpc, admin), &health, shutdown, &closing).await?
        }
        None => Ok(()),
    };
    closing.cancel();
    metrics.await.context("serve metrics")?.context("serve metrics")?;
    tracer.stop().await;
    tracing::info!("placement stopped");
    ended
}

/// Runs the replica of this directory until `shutdown`. Returns how its work ended.
async fn replica(
    config: &Config,
    parts: Parts,
    (listener, admin): (TcpListener, Option<TcpListener>),
    health: &Health,
    shutdown: CancellationToken,
    closing: &CancellationToken,
) -> anyhow::Result<anyhow::Result<()>> {
    let mut grpc =
        tokio::spawn(grpc::serve(listener, routes(config, &parts, closing), closing.clone()));
    if let Some(admin) = admin {
        let routes = crate::admin::routes(parts.member.clone(), parts.overview.clone());
        tokio::spawn(grpc::serve(admin, routes, closing.clone()));
    }
    let Parts { engine, member, observed, overview, .. } = parts;
    let Member { replica, state, .. } = member.clone();
    let reconcile = ReconcileLoop {
        replica,
        state,
        observed,
        overview,
        wanted: Wanted {
            cluster: ClusterId(random_id()),
            settings: config.settings,
            bootstrap_when: config.bootstrap_when.clone(),
        },
        health: health.clone(),
    };
    let members = MembersLoop {
        member,
        peers: config.peers.clone(),
        data_dir: config.data_dir.clone(),
        health: health.clone(),
    };
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = reconcile.run() => ended,
        ended = members.run() => ended,
        ended = &mut grpc => match ended {
            Ok(Ok(())) => Err(anyhow::anyhow!("the gRPC server stopped unexpectedly")),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
    };
    health.unready(HEALTH_PART, "stopping");
    tokio::task::spawn_blocking(move || engine.stop(STOP_TIMEOUT))
        .await
        .context("stop the engine")?;
    closing.cancel();
    if !grpc.is_finished() && tokio::time::timeout(CLOSE_TIMEOUT, &mut grpc).await.is_err() {
        grpc.abort();
    }
    Ok(ended)
}

fn tracer(config: &Config) -> Result<Tracer, trace::StartError> {
    let service = trace::Service {
        name: "ringkv-placement",
        instance: config.peers.get(&config.place).cloned().unwrap_or_default(),
        attributes: vec![KeyValue::new("ringkv.replica", config.place.to_string())],
    };
    Tracer::start(&config.trace, service)
}

fn register(parts: &Parts, pages: &OperatorPages) -> prometheus::Result<()> {
    let sources = Sources {
        replica: Arc::clone(&parts.member.replica),
        state: parts.member.state.clone(),
        observed: Arc::clone(&parts.observed),
        watches: parts.watches.clone(),
        live: Arc::clone(&parts.member.live),
        refusals: parts.refusals.clone(),
    };
    Metrics::register(&pages.registry, sources)
}

/// The services on the address that other processes use.
fn routes(config: &Config, parts: &Parts, closing: &CancellationToken) -> Routes {
    let Member { identity, .. } = parts.member;
    let raft =
        raft_service(identity.raft_cluster, node_of(identity.replica), parts.engine.handle());
    let placement = PlacementServer::new(parts.service(closing))
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let peers = PeersService {
        me: config.place,
        peers: Arc::new(config.peers.clone()),
        member: Some(parts.member.clone()),
        overview: Some(parts.overview.clone()),
    };
    Routes::new(raft).add_service(placement).add_service(PlacementPeersServer::new(peers))
}
