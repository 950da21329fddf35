//! The client's settings and what it tells its owner.

use std::sync::Arc;
use std::time::Duration;

use ringkv_topology::Epoch;

use crate::trace::Attempt;

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

/// Why an attempt was not the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryReason {
    NotLeader,
    Moved,
    Busy,
    LeadershipLost,
    /// No connection to the node.
    Unreachable,
    /// The connection died with the request open.
    ConnectionLost,
    /// No answer within the attempt's time.
    Silent,
    NotReady,
}

impl RetryReason {
    /// Every reason, in the order of their values.
    pub const ALL: [Self; 8] = [
        Self::NotLeader,
        Self::Moved,
        Self::Busy,
        Self::LeadershipLost,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Silent,
        Self::NotReady,
    ];

    /// The name in metrics.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NotLeader => "not_leader",
            Self::Moved => "moved",
            Self::Busy => "busy",
            Self::LeadershipLost => "leadership_lost",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::Silent => "silent",
            Self::NotReady => "not_ready",
        }
    }
}

/// Hears what the client does beside its calls; methods must not block.
pub trait Observer: Send + Sync {
    /// An attempt failed and the call goes on.
    fn retried(&self, _reason: RetryReason) {}

    /// A topology of this epoch is used from now on.
    fn topology(&self, _epoch: Epoch) {}

    /// An attempt of a traced call is over.
    fn attempt(&self, _attempt: &Attempt) {}
}

struct Unobserved;

impl Observer for Unobserved {}
