//! The gRPC server of a node: its services, their limits, and the end of all connections.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::admin_server::{self, AdminServer};
use ringkv_services::v1::kv_server::{self, KvServer};
use ringkv_services::v1::raft_server;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Server;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server;
use tonic_health::server::HealthReporter;
use tonic_reflection::pb::v1::server_reflection_server;

use super::socket;
use crate::admin_service::{AdminService, Listener};
use crate::kv_service::{self, KvService};

const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
/// Calls and streams open on one connection; a gateway opens a few, a peer two.
const STREAMS_MAX: u32 = 1_024;
/// A peer that disappears without closing its connection is noticed within the sum of these.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Time for the last replies to leave before connections are cut.
const LAST_REPLIES: Duration = Duration::from_secs(1);

/// What reflection names; the schema has placement's service too.
const SERVED: [&str; 5] = [
    kv_server::SERVICE_NAME,
    raft_server::SERVICE_NAME,
    admin_server::SERVICE_NAME,
    health_server::SERVICE_NAME,
    server_reflection_server::SERVICE_NAME,
];

/// What is served.
pub(super) struct Services {
    pub(super) kv: Arc<kv_service::Context>,
    pub(super) admin: AdminService,
}

/// A running server; all of its connections are cut when it is dropped.
pub(super) struct GrpcServer {
    task: JoinHandle<anyhow::Result<()>>,
    drain: CancellationToken,
    _cut: DropGuard,
}

impl GrpcServer {
    /// Starts serving on the sockets: that for other processes, and that for operators.
    ///
    /// # Errors
    /// A socket cannot be handed to the runtime, or the schema for reflection is not readable.
    pub(super) fn start(
        (listener, admin_listener): (&TcpListener, &TcpListener),
        services: Services,
    ) -> anyhow::Result<(Self, GrpcHealth)> {
        let Services { kv, admin } = services;
        let (cluster, node) = (admin.identity.cluster, admin.identity.node);
        let raft = ringkv_transport::raft_service(cluster, node, admin.engine.clone());
        let kv = KvServer::new(KvService::new(kv))
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (reporter, health) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(ringkv_services::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let reflection = SERVED
            .into_iter()
            .fold(reflection, |reflection, service| reflection.with_service_name(service))
            .build_v1()
            .context("read the schema for reflection")?;
        let (drain, cut) = (CancellationToken::new(), CancellationToken::new());
        let incoming = socket::accept(listener, cut.clone())?;
        serve_admin(admin_listener, admin.clone(), &drain, &cut)?;
        let admin = AdminService { listener: Listener::Shared, ..admin };
        let router = Server::builder()
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .max_concurrent_streams(STREAMS_MAX)
            .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
            .add_service(kv)
            .add_service(raft)
            .add_service(AdminServer::new(admin))
            .add_service(health)
            .add_service(reflection);
        let drained = drain.clone().cancelled_owned();
        let task = tokio::spawn(async move {
            let served = router.serve_with_incoming_shutdown(incoming, drained).await;
            served.context("serve gRPC")
        });
        Ok((Self { task, drain, _cut: cut.drop_guard() }, GrpcHealth { reporter }))
    }

    /// Returns when the server ends by itself, which happens only after an error.
    pub(super) async fn ended(&mut self) -> anyhow::Result<()> {
        (&mut self.task).await.context("join the gRPC server task")?
    }

    /// Takes no more connections, lets replies leave for a moment, then cuts what is left: peers'
    /// streams never end by themselves.
    pub(super) async fn stop(mut self) {
        self.drain.cancel();
        // If it ended with an error, `ended` has returned that error already.
        let _ended = tokio::time::timeout(LAST_REPLIES, &mut self.task).await;
        self.task.abort();
    }
}

/// Serves all admin calls until `drain`.
fn serve_admin(
    listener: &TcpListener,
    admin: AdminService,
    drain: &CancellationToken,
    cut: &CancellationToken,
) -> anyhow::Result<()> {
    let incoming = socket::accept(listener, cut.clone())?;
    let router = Server::builder()
        .max_concurrent_streams(STREAMS_MAX)
        .http2_keepalive_interval(Some(KEEP_ALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_service(AdminServer::new(admin));
    let drained = drain.clone().cancelled_owned();
    tokio::spawn(async move {
        if let Err(error) = router.serve_with_incoming_shutdown(incoming, drained).await {
            tracing::error!(%error, "the admin listener has ended; admin calls are refused");
        }
    });
    Ok(())
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The standard gRPC health service of the node.
#[derive(Clone)]
pub(super) struct GrpcHealth {
    reporter: HealthReporter,
}

impl GrpcHealth {
    /// Whether clients may be sent here.
    pub(super) async fn set(&self, ready: bool) {
        let status = if ready { ServingStatus::Serving } else { ServingStatus::NotServing };
        for service in ["", "ringkv.v1.Kv"] {
            self.reporter.set_service_status(service, status).await;
        }
    }

    /// The node is stopping.
    pub(super) async fn not_serving(&self) {
        self.set(false).await;
    }
}
