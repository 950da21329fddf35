//! How a connection to another node is made; the settings are the same for frames and snapshots.

use std::time::Duration;

use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::raft_client::RaftClient;
use tonic::transport::{Channel, Endpoint};

/// A peer on the same network answers in milliseconds; a dead one must not hold a link longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// A connection that has gone silent is given up after the sum of these.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(2);
/// Several frames and snapshot chunks may be under way without a round trip.
const STREAM_WINDOW_BYTES: u32 = 8 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 16 << 20;

/// Opens a connection of its own to `address` (`host:port`).
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
