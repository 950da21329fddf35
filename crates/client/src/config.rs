//! The client's settings.

use std::sync::Arc;
use std::time::Duration;

use crate::observer::{Observer, Unobserved};

/// How to reach a cluster, and the client's bounds.
#[derive(Clone)]
pub struct ClientConfig {
    /// `host:port` of every placement replica.
    pub placement: Vec<String>,
    /// The budget of a call that names none, retries included.
    pub timeout: Duration,
    /// How long one attempt waits before the request is sent again elsewhere.
    pub attempt_timeout: Duration,
    /// Calls open at a time; one more is refused as busy.
    pub in_flight_max: usize,
    /// Key and value bytes of the calls open at a time; likewise.
    pub in_flight_bytes_max: usize,
    /// Told of retries and topologies.
    pub observer: Arc<dyn Observer>,
}

impl ClientConfig {
    /// The defaults: 5 s a call, 2.5 s an attempt, 8,192 open calls of together 256 MiB.
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
