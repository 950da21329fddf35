//! The client's settings.

use std::sync::Arc;
use std::time::Duration;

use crate::observer::{Observer, Unobserved};

/// How to reach a cluster, and the client's bounds.
///
/// ```
/// use std::time::Duration;
///
/// use ringkv_client::ClientConfig;
///
/// let placement = ["10.0.0.1:7000", "10.0.0.2:7000", "10.0.0.3:7000"];
/// let config = ClientConfig {
///     timeout: Duration::from_secs(2),
///     ..ClientConfig::new(placement.map(String::from).to_vec())
/// };
/// assert_eq!(config.attempt_timeout, Duration::from_millis(2500));
/// ```
#[derive(Clone)]
pub struct ClientConfig {
    /// `host:port` of every placement replica.
    pub placement: Vec<String>,
    /// The timeout of a call that names none, retries included.
    pub timeout: Duration,
    /// How long one attempt waits before the request is sent again elsewhere.
    pub attempt_timeout: Duration,
    /// Calls open at a time; one more is refused as busy.
    pub in_flight_max: usize,
    /// Value bytes of the calls open at a time; what does not fit is refused as busy.
    pub in_flight_bytes_max: usize,
    /// Receives reports of retries, topologies and traced attempts.
    pub observer: Arc<dyn Observer>,
}

impl ClientConfig {
    /// The defaults: 5 s for a call, 2.5 s for an attempt, 8,192 open calls, 256 MiB of values.
    pub fn new(placement: Vec<String>) -> Self {
        Self {
            placement,
            timeout: Duration::from_secs(5),
            attempt_timeout: Duration::from_millis(2500),
            in_flight_max: 8192,
            in_flight_bytes_max: 256 << 20,
            observer: Arc::new(Unobserved),
        }
    }
}
