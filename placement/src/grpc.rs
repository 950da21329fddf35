//! One gRPC server of a placement process: its limits, health and reflection.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::Context as _;
use ringkv_services::DESCRIPTORS;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

/// Timeout for open replies once the server closes; peers' streams never end by themselves.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;
/// A peer that disappears silently is detected within the sum of these two.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves the routes until `closing`.
///
/// # Errors
/// The socket cannot be used.
pub(crate) async fn serve(
    listener: TcpListener,
    routes: Routes,
    closing: CancellationToken,
) -> anyhow::Result<()> {
    listener.set_nonblocking(true).context("--listen: configure the socket")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("--listen")?;
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let (_reporter, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()
        .context("build gRPC reflection")?;
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .add_routes(routes)
        .add_service(health)
        .add_service(reflection)
        .serve_with_incoming_shutdown(incoming, closing.cancelled_owned())
        .await
        .context("serve gRPC")
}
