//! What the client reports while it works: retries, topologies, the attempts of traced calls.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use ringkv_routing::RetryReason;
use ringkv_topology::{Epoch, GroupId, NodeId};

use crate::trace::CallTrace;

/// Receives what the client reports while calls are under way; its methods must not block.
pub trait Observer: Send + Sync {
    /// An attempt failed and another one follows.
    fn retried(&self, _reason: RetryReason) {}

    /// A topology of this epoch is in use from now on.
    fn topology(&self, _epoch: Epoch) {}

    /// An attempt of a traced call is over.
    fn attempt(&self, _attempt: &Attempt) {}
}

/// Ignores every report.
pub(crate) struct Unobserved;

impl Observer for Unobserved {}

/// One attempt of a traced call, reported when it is over.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The call's span.
    pub call: CallTrace,
    /// The attempt's own span: the parent of the node's spans.
    pub span_id: u64,
    /// `Get`, `Put` or `Delete`.
    pub operation: &'static str,
    /// The node that was asked.
    pub node: NodeId,
    /// `host:port` of the node.
    pub address: Arc<str>,
    /// The group of the key.
    pub group: GroupId,
    /// Why it was made, if it was not the first.
    pub retry: Option<RetryReason>,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// How it failed, if it did: the node's error code, or what became of the connection.
    pub error: Option<&'static str>,
}
