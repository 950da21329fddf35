//! Connections: accept, serve HTTP/1.1 and HTTP/2, and end them at shutdown.
//!
//! Owns what hyper and tokio leave open: TCP_NODELAY, the number of connections, the time a
//! client may take to begin, to send a head and to read an answer.

mod io;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Config;
use crate::metrics::Shed;
use crate::service::Service;
use io::GuardedIo;

/// Read buffer of a connection: bounds a request's head.
const BUFFER_BYTES_MAX: usize = 64 << 10;
/// Windows of HTTP/2: room for some values of the usual size.
const WINDOW_BYTES: u32 = 4 << 20;
/// An HTTP/2 connection is pinged this often, and closed if it does not answer.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
/// Pause when accepting fails, most likely because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The whole answer to a connection over the limit.
const TOO_MANY: &str = concat!(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n",
    "Retry-After: 1\r\nConnection: close\r\nContent-Length: 207\r\n\r\n",
    r#"{"type":"/problems/overloaded","title":"Too busy: not applied","status":503,"#,
    r#""detail":"too many connections","code":"overloaded","retryable":true,"#,
    r#""outcome":"not_applied","retry_after_ms":1000,"instance":"/"}"#,
    "\n",
);

/// What the tasks of all connections share.
struct Connections {
    service: Arc<Service>,
    builder: auto::Builder<TokioExecutor>,
    /// Connections finish what is open and end.
    drain: CancellationToken,
    /// Connections end.
    end: CancellationToken,
}

/// Serves until `shutdown`, then calls `unready`, serves on for the time set, takes no new
/// connection, and returns once all have ended or the drain time is over.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    service: Arc<Service>,
    config: &Config,
    shutdown: &CancellationToken,
    unready: impl FnOnce(),
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let builder = builder(config);
    let (drain, end) = (CancellationToken::new(), CancellationToken::new());
    let connections = Arc::new(Connections { service, builder, drain, end });
    let tasks = TaskTracker::new();
    let stop_accepting = async {
        shutdown.cancelled().await;
        unready();
        tokio::time::sleep(config.unready).await;
    };
    tokio::select! {
        never = accept(&listener, &connections, &tasks, config) => match never {},
        () = stop_accepting => {}
    }
    drop(listener);
    connections.drain.cancel();
    tasks.close();
    if tokio::time::timeout(config.drain, tasks.wait()).await.is_err() {
        tracing::warn!(
            open = tasks.len(),
            "the drain time is over: closing the connections that are still open"
        );
        connections.end.cancel();
        tasks.wait().await;
    }
    Ok(())
}

fn builder(config: &Config) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(config.limits.head_timeout)
        .max_buf_size(BUFFER_BYTES_MAX);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(config.limits.streams_max)
        .max_header_list_size(u32::try_from(2 * config.limits.header_bytes_max).unwrap_or(u32::MAX))
        .initial_connection_window_size(WINDOW_BYTES)
        .initial_stream_window_size(WINDOW_BYTES / 2)
        .keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_INTERVAL);
    builder
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Connections>,
    tasks: &TaskTracker,
    config: &Config,
) -> Infallible {
    let places = Arc::new(Semaphore::new(config.limits.connections_max));
    let (head, write) = (config.limits.head_timeout, config.limits.write_timeout);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            connections.service.metrics.shed(Shed::Connections);
            refuse(&stream);
            continue;
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY on a connection");
            continue;
        }
        let io = GuardedIo::new(stream, head, write);
        tasks.spawn(connection(Arc::clone(connections), io, place));
    }
}

/// Answers a client that is over the limit, as far as its socket takes it without waiting.
fn refuse(stream: &TcpStream) {
    if let Err(error) = stream.try_write(TOO_MANY.as_bytes()) {
        tracing::debug!(%error, "cannot send the refusal to a connection over the limit");
    }
}

async fn connection(connections: Arc<Connections>, io: GuardedIo, place: OwnedSemaphorePermit) {
    let gauge = &connections.service.metrics.connections;
    gauge.inc();
    let service = service_fn(|request| {
        let service = Arc::clone(&connections.service);
        async move { Ok::<_, Infallible>(service.handle(request).await) }
    });
    let served = connections.builder.serve_connection(TokioIo::new(io), service);
    let mut served = std::pin::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        () = connections.drain.cancelled() => {
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served => ended,
                () = connections.end.cancelled() => Ok(()),
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    gauge.dec();
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::TOO_MANY;

    #[test]
    fn the_refusal_of_a_connection_is_whole_and_its_body_json() {
        let (head, body) = TOO_MANY.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("\r\nContent-Length: {}", body.len())));
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["outcome"], "not_applied");
    }
}
