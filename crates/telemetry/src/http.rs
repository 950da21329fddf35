//! The operator's port: /metrics, /livez, /readyz and /healthz.
//!
//! Owns a small HTTP/1.1 server apart from the service's own port, so that a service that is out
//! of capacity still says so. Connections are few and short: their number, the time to send a
//! request head and the life of a connection are bounded, so that a stuck client costs nothing.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::health::Health;

/// Connections served at once; a scraper and a few health checks need a handful.
const CONNECTIONS_MAX: usize = 64;
/// A head is one packet; a client that needs longer is broken or hostile.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// A connection is closed after this long, between two requests.
const CONNECTION_LIFE: Duration = Duration::from_secs(120);
/// What an answer under way may still take once its connection is to close.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves until `shutdown`, then closes idle connections and returns.
///
/// # Errors
/// The socket cannot be handed to the runtime. A failed accept is logged and tried again.
pub async fn serve(
    listener: std::net::TcpListener,
    registry: Registry,
    health: Health,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let accept = async {
            let permit = Arc::clone(&permits).acquire_owned().await.expect("never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            accepted = accept => accepted,
            () = shutdown.cancelled() => return Ok(()),
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: give the others time to end.
                tracing::warn!(%error, "cannot accept a connection on the metrics port");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (registry, health, shutdown) = (registry.clone(), health.clone(), shutdown.clone());
        tokio::spawn(async move {
            connection(stream, &registry, &health, shutdown).await;
            drop(permit);
        });
    }
}

async fn connection(
    stream: TcpStream,
    registry: &Registry,
    health: &Health,
    shutdown: CancellationToken,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request.method(), request.uri().path(), registry, health);
        std::future::ready(Ok::<_, Infallible>(response.map(Full::new)))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => Some(ended),
        () = tokio::time::sleep(CONNECTION_LIFE) => None,
        () = shutdown.cancelled() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(DRAIN_TIMEOUT, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection on the metrics port ended early");
    }
}

fn respond(method: &Method, path: &str, registry: &Registry, health: &Health) -> Response<Bytes> {
    match answer(path, registry, health) {
        None => plain(StatusCode::NOT_FOUND, "not found\n"),
        Some(_) if method != Method::GET && method != Method::HEAD => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        Some(response) => response,
    }
}

/// The answer to a GET of `path`, for a service that shows these pages on a port of its own;
/// `None` when the path is none of them.
pub fn answer(path: &str, registry: &Registry, health: &Health) -> Option<Response<Bytes>> {
    match path {
        "/metrics" => Some(metrics(registry)),
        "/livez" | "/healthz" => Some(match health.live() {
            Ok(()) => plain(StatusCode::OK, "ok\n"),
            Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
        }),
        "/readyz" => Some(match health.readiness() {
            Ok(()) => plain(StatusCode::OK, "ok\n"),
            Err(reasons) => plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
        }),
        _ => None,
    }
}

fn metrics(registry: &Registry) -> Response<Bytes> {
    match TextEncoder::new().encode_to_string(&registry.gather()) {
        Ok(text) => with_type(StatusCode::OK, TEXT_FORMAT, text),
        Err(error) => {
            tracing::error!(%error, "cannot encode the metrics");
            plain(StatusCode::INTERNAL_SERVER_ERROR, "metrics cannot be encoded\n")
        }
    }
}

fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
