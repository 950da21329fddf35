//! The operator's port, for its [`OperatorPages`].
//!
//! Owns a small HTTP/1.1 server on a port of its own, so that a service without capacity can still
//! report it. Connections are few and short: their number, the time to send a
//! request head and the time a connection is open are bounded: a stuck client costs nothing.

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
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::pages::{OperatorPages, plain};

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
    pages: OperatorPages,
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
        let (pages, shutdown) = (pages.clone(), shutdown.clone());
        tokio::spawn(async move {
            connection(stream, &pages, shutdown).await;
            drop(permit);
        });
    }
}

async fn connection(stream: TcpStream, pages: &OperatorPages, shutdown: CancellationToken) {
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(respond(&request, pages).map(Full::new)))
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

fn respond<B>(request: &Request<B>, pages: &OperatorPages) -> Response<Bytes> {
    let method = request.method();
    match pages.answer(request.uri().path(), request.headers()) {
        None => plain(StatusCode::NOT_FOUND, "not found\n"),
        Some(_) if method != Method::GET && method != Method::HEAD => {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "GET or HEAD only\n");
            response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
            response
        }
        Some(response) => response,
    }
}

#[cfg(test)]
mod tests;
