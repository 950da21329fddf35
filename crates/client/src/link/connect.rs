//! Keeps a link connected: connect, stream, read replies, end what was open, pause, repeat.

use std::sync::Arc;
use std::time::Duration;

use ringkv_proto::v1;
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::kv_client::KvClient;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use super::queue::Link;
use super::stream::Batches;
use crate::backoff::Backoff;

/// The longest time to connect: a refusal is quick, a host that drops packets is not.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// An idle connection is pinged this often.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// A connection that answers no ping for this long is dead.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Pauses between connection attempts: short enough that a restarted node is found at once.
const RECONNECT_FIRST: Duration = Duration::from_millis(20);
const RECONNECT_LONGEST: Duration = Duration::from_millis(500);

/// The channel settings of every connection this client makes.
///
/// # Errors
/// When `address` is not `host:port`.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .initial_connection_window_size(16 << 20)
        .initial_stream_window_size(8 << 20)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true))
}

/// Keeps `link` connected until `stop`; calls `connected` each time a stream is up.
pub(crate) async fn run(
    link: Arc<Link>,
    endpoint: Endpoint,
    stop: CancellationToken,
    connected: impl Fn() + Send,
) {
    let mut backoff = Backoff::new(RECONNECT_FIRST, RECONNECT_LONGEST);
    let served = stop.run_until_cancelled(async {
        loop {
            let generation = link.begin();
            match tokio::time::timeout(2 * CONNECT_TIMEOUT, open(&link, generation, &endpoint))
                .await
            {
                Ok(Ok(replies)) => {
                    link.connected();
                    connected();
                    backoff.reset();
                    let ended = read(&link, replies).await;
                    tracing::debug!(?ended, "stream to a storage node ended");
                }
                Ok(Err(error)) => tracing::debug!(%error, "no connection to a storage node"),
                Err(_) => tracing::debug!("no stream to a storage node within the connect timeout"),
            }
            link.end();
            tokio::time::sleep(backoff.pause()).await;
        }
    });
    let _: Option<()> = served.await;
    link.end();
}

async fn open(
    link: &Arc<Link>,
    generation: u64,
    endpoint: &Endpoint,
) -> Result<tonic::Streaming<v1::KvReplies>, Box<dyn std::error::Error + Send + Sync>> {
    let channel: Channel = endpoint.connect().await?;
    let mut client = KvClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX);
    let replies = client.stream(Batches::new(Arc::clone(link), generation)).await?;
    Ok(replies.into_inner())
}

/// Delivers replies until the stream ends; returns the error that ended it, if there was one.
async fn read(link: &Link, mut replies: tonic::Streaming<v1::KvReplies>) -> Option<tonic::Status> {
    loop {
        match replies.message().await {
            Ok(Some(batch)) => link.complete(batch.replies),
            Ok(None) => return None,
            Err(status) => return Some(status),
        }
    }
}
