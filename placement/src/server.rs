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
use ringkv_engine::Handle;
use ringkv_placement_core::reconciler::Wanted;
use ringkv_services::v1::placement_server::PlacementServer;
use ringkv_services::{DESCRIPTORS, MESSAGE_BYTES_MAX};
use ringkv_telemetry::health::Health;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::{self, KeyValue, Tracer};
use ringkv_telemetry::{bind, http};
use ringkv_topology::ClusterId;
use ringkv_transport::raft_service;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use crate::config::Config;
use crate::metrics::{Metrics, Sources};
use crate::parts::{Parts, random_id};
use crate::reconcile_loop::{HEALTH_PART, ReconcileLoop};
use crate::service::Service;

/// Timeout for handing leadership over and for open requests.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for open replies once the server closes; peers' streams never end by themselves.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A peer that disappears silently is detected within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sockets that are already bound.
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
/// The data directory is damaged or belongs to another replica, or the settings differ from those
/// of the cluster. A disk failure ends the process.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tracing::info!(?config, "starting placement");
    let health = Health::starting([HEALTH_PART]);
    let closing = CancellationToken::new();
    // Kept until the end of this function: no other process may use it while the engine runs.
    let dir = DataDir::open(&config.data_dir)?;
    let tracer = tracer(&config)?;
    let parts = Parts::start(&config, &dir, &tracer)?;
    let pages = pages(&parts, &tracer, health.clone()).context("register metrics")?;
    let metrics = http::serve(listeners.metrics, pages, closing.clone());
    let metrics = tokio::spawn(metrics);
    let service = parts.service(&config, &closing);
    let grpc = serve_grpc(&config, listeners.grpc, parts.engine.handle(), service, closing.clone());
    let mut grpc = tokio::spawn(grpc);
    let Parts { engine, replica, state, observed, .. } = parts;
    let reconcile = ReconcileLoop {
        replica,
        state,
        observed,
        wanted: Wanted {
            cluster: ClusterId(random_id()),
            settings: config.settings,
            bootstrap_when: config.bootstrap_when,
        },
        health: health.clone(),
    };
    let ended = tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        ended = reconcile.run() => ended,
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
    metrics.await.context("serve metrics")?.context("serve metrics")?;
    tracer.stop().await;
    tracing::info!("placement stopped");
    ended
}

fn tracer(config: &Config) -> Result<Tracer, trace::StartError> {
    let service = trace::Service {
        name: "ringkv-placement",
        instance: config.peers.get(&config.id).cloned().unwrap_or_default(),
        attributes: vec![KeyValue::new("ringkv.replica", config.id.to_string())],
    };
    Tracer::start(&config.trace, service)
}

fn pages(parts: &Parts, tracer: &Tracer, health: Health) -> prometheus::Result<OperatorPages> {
    let pages = OperatorPages::new("placement", health)?;
    tracer.register(&pages.registry)?;
    let sources = Sources {
        replica: Arc::clone(&parts.replica),
        state: parts.state.clone(),
        observed: Arc::clone(&parts.observed),
        watches: parts.watches.clone(),
    };
    Metrics::register(&pages.registry, sources)?;
    Ok(pages)
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
        listener.set_nonblocking(true).context("--listen: configure the socket")?;
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
