//! Every limit of a request, in one place: enforced from here, shown at `/limits`.

use std::time::Duration;

use ringkv_client::KEY_BYTES_MAX;
use serde_json::{Value, json};

/// What one request, one connection and all together may take.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// The largest value while the cluster's own setting is not known, in bytes.
    pub(crate) value_bytes_default: u64,
    /// All header names and values of a request together.
    pub(crate) header_bytes_max: usize,
    pub(crate) metadata_count_max: usize,
    /// All `KV-Meta-*` names (without the prefix) and values of a request together.
    pub(crate) metadata_bytes_max: usize,
    pub(crate) content_type_bytes_max: usize,
    pub(crate) idempotency_key_bytes_max: usize,
    pub(crate) timeout_default: Duration,
    pub(crate) timeout_max: Duration,
    pub(crate) connections_max: usize,
    /// Open streams of one HTTP/2 connection.
    pub(crate) streams_max: u32,
    pub(crate) requests_max: usize,
    pub(crate) body_bytes_in_all_max: usize,
    pub(crate) head_timeout: Duration,
    pub(crate) body_timeout: Duration,
    pub(crate) write_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            value_bytes_default: 1 << 20,
            header_bytes_max: 16 << 10,
            metadata_count_max: 32,
            metadata_bytes_max: 4 << 10,
            content_type_bytes_max: 255,
            idempotency_key_bytes_max: 255,
            timeout_default: Duration::from_secs(5),
            timeout_max: Duration::from_secs(30),
            connections_max: 10_000,
            streams_max: 256,
            requests_max: 8192,
            body_bytes_in_all_max: 256 << 20,
            head_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
        }
    }
}

impl Limits {
    /// The body of `/limits`; units are in the names.
    pub(crate) fn to_json(&self, value_bytes_max: u64) -> Value {
        json!({
            "key_bytes_min": 1,
            "key_bytes_max": KEY_BYTES_MAX,
            "value_bytes_max": value_bytes_max,
            "header_bytes_max": self.header_bytes_max,
            "metadata_count_max": self.metadata_count_max,
            "metadata_bytes_max": self.metadata_bytes_max,
            "content_type_bytes_max": self.content_type_bytes_max,
            "idempotency_key_bytes_max": self.idempotency_key_bytes_max,
            "timeout_ms_min": 1,
            "timeout_ms_default": ms(self.timeout_default),
            "timeout_ms_max": ms(self.timeout_max),
            "connections_max": self.connections_max,
            "streams_per_connection_max": self.streams_max,
            "requests_max": self.requests_max,
            "body_bytes_in_all_max": self.body_bytes_in_all_max,
            "head_timeout_ms": ms(self.head_timeout),
            "body_timeout_ms": ms(self.body_timeout),
            "write_timeout_ms": ms(self.write_timeout),
        })
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
