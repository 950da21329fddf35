//! What the client reports while it works: retries, topologies, the attempts of traced calls.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ringkv_topology::{Epoch, GroupId, NodeId};

use crate::trace::CallTrace;

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

/// Ignores every report.
pub(crate) struct Unobserved;

impl Observer for Unobserved {}

/// One attempt of a traced call, told once it is over.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The call's span.
    pub call: CallTrace,
    /// The attempt's own, which the node knows as the parent of what it did.
    pub span_id: u64,
    /// `Get`, `Put` or `Delete`.
    pub operation: &'static str,
    pub node: NodeId,
    pub address: Arc<str>,
    pub group: GroupId,
    /// Why it was made, if it was not the first.
    pub retry: Option<RetryReason>,
    pub began: SystemTime,
    pub took: Duration,
    /// What came instead of a result: an error's code or the fault of the connection.
    pub error: Option<&'static str>,
}
