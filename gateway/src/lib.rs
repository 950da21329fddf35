//! The gateway: REST in front, leader-routed gRPC behind. Stateless, any number of them.
//!
//! Owns HTTP: routes, headers, conditions, problem bodies, limits of what one request and all
//! together may take. The client decides where a request goes and when to retry; nothing here
//! knows storage. A request walks `server` (connections) → `service` (which route, metrics) →
//! `kv` (one key, from the raw path) or `pages` (axum: everything else).

mod config;

mod server;

mod service;

mod kv;

mod trace;

mod server_timing;

mod pages;

mod openapi;

mod problem;

mod limits;

mod metrics;

mod observer;

mod reply;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ringkv_budget::Budget;
use ringkv_client::{Client, ClientConfig};
use ringkv_telemetry::health::Health;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::{self as traces, Tracer};
use tokio_util::sync::CancellationToken;

pub use config::{Args, Config, InvalidConfig};

use kv::Keys;
use metrics::Metrics;
use observer::ClientObserver;
use service::Service;

/// The part of [`Health`] that waits for a topology of a bootstrapped cluster.
const TOPOLOGY: &str = "topology";
/// The part that says a shutdown has begun.
const SHUTDOWN: &str = "shutdown";

/// The bound sockets of a gateway.
pub struct Listeners {
    pub http: std::net::TcpListener,
}

/// Binds what `config` names and serves until `shutdown`.
///
/// # Errors
/// The address cannot be bound; else as [`serve`].
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let http = ringkv_telemetry::bind::tcp("--listen", &config.listen)?;
    serve(config, Listeners { http }, shutdown).await
}

/// Serves until `shutdown`, then goes unready, drains and returns. Serves `/livez` at once; keys
/// as soon as a placement replica has sent the topology.
///
/// # Errors
/// The socket cannot be handed to the runtime, or the trace exporter refuses its settings.
pub async fn serve(
    config: Config,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tracing::info!(?config, "gateway starts");
    let health = Health::starting([TOPOLOGY]);
    let pages = OperatorPages::new("gateway", health.clone()).context("register the metrics")?;
    let metrics = Arc::new(Metrics::register(&pages).context("register the metrics")?);
    let instance = traces::instance(&listeners.http);
    let service = traces::Service { name: "ringkv-gateway", instance, attributes: Vec::new() };
    let tracer = Tracer::start(&config.trace, service)?;
    tracer.register(&pages.registry)?;
    let client = Client::connect(ClientConfig {
        timeout: config.limits.timeout_default,
        in_flight_max: config.limits.requests_max,
        in_flight_bytes_max: config.limits.body_bytes_in_all_max,
        observer: Arc::new(ClientObserver {
            metrics: Arc::clone(&metrics),
            tracer: tracer.clone(),
        }),
        ..ClientConfig::new(config.placement.clone())
    });
    let watching = tokio::spawn(ready_once_formed(client.clone(), health.clone()));
    let bodies = Arc::new(Budget::new(config.limits.body_bytes_in_all_max));
    metrics::register_scraped(&pages.registry, &config.limits, &bodies, &client)?;
    let keys = Keys { client, limits: config.limits.clone(), metrics, bodies };
    let service = Arc::new(Service::new(keys, tracer.clone(), pages));
    let served = server::serve(listeners.http, service, &config, &shutdown, || {
        health.unready(SHUTDOWN, "stopping");
    })
    .await;
    watching.abort();
    tracer.stop().await;
    served.context("serve HTTP")?;
    tracing::info!("gateway stopped");
    Ok(())
}

/// Reports ready at the first topology with groups; what was formed once stays formed.
async fn ready_once_formed(client: Client, health: Health) {
    const LOOK_AGAIN: Duration = Duration::from_secs(60);
    loop {
        match client.ready(LOOK_AGAIN).await {
            Ok(view) => {
                tracing::info!(epoch = view.topology.epoch.0, "gateway is ready");
                return health.ready(TOPOLOGY);
            }
            Err(_) => tracing::warn!("no topology of a bootstrapped cluster yet"),
        }
    }
}
