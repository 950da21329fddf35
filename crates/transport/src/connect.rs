//! Opens a connection to another node, with the same settings for frames and for snapshots.

use std::time::Duration;

use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::raft_client::RaftClient;
use tonic::transport::{Channel, Endpoint};

/// A peer on the same network answers in milliseconds; an unreachable one must not block a link
/// for longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection without traffic is closed after the sum of these two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Room for several frames and snapshot chunks in flight without a round trip.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Opens a new connection to `address` (`host:port`).
pub(crate) async fn connect(address: &str) -> Result<RaftClient<Channel>, tonic::transport::Error> {
    let channel = Endpoint::from_shared(format!("http://{address}"))?
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .connect()
        .await?;
    Ok(RaftClient::new(channel)
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
}
