//! Where the time of a call went: the node's own account of it, and the attempts of a traced call.
//!
//! Knows no OpenTelemetry: a traced call carries the ids of its trace to the node, and tells each
//! attempt to the [`Observer`], who may make a span of it.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ringkv_proto::v1;
use ringkv_topology::{GroupId, NodeId};

use crate::config::{Observer, RetryReason};
use crate::routing::Route;

/// The span a traced call belongs to, by the W3C Trace Context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTrace {
    pub trace_id: u128,
    pub span_id: u64,
    /// The `tracestate` header; mostly empty.
    pub state: String,
}

/// Microseconds of each stage of a request inside the node; 0 for one that was not passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From arrival until the command was proposed.
    pub queue_us: u32,
    /// A write: until a majority had it. A read: until it was certain what it must show.
    pub raft_us: u32,
    /// From its proposal until the leader's own disk had it.
    pub fsync_us: u32,
    /// From there being a majority until the state machine had it.
    pub apply_us: u32,
    /// Reading the record.
    pub read_us: u32,
}

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

/// An attempt under way; its end is told when it is dropped, whatever ends it.
pub(crate) struct Watched<'a> {
    observer: &'a dyn Observer,
    began: Instant,
    attempt: Attempt,
}

impl<'a> Watched<'a> {
    pub(crate) fn begin(
        observer: &'a dyn Observer,
        call: &CallTrace,
        operation: &'static str,
        route: &Route,
        retry: Option<RetryReason>,
    ) -> Self {
        let attempt = Attempt {
            call: call.clone(),
            span_id: rand::random::<u64>().max(1),
            operation,
            node: route.node,
            address: Arc::clone(&route.address),
            group: route.group,
            retry,
            began: SystemTime::now(),
            took: Duration::ZERO,
            error: Some("abandoned"),
        };
        Self { observer, began: Instant::now(), attempt }
    }

    /// What the node is told of it.
    pub(crate) fn to_proto(&self) -> v1::TraceContext {
        let CallTrace { trace_id, state, .. } = &self.attempt.call;
        v1::TraceContext {
            trace_high: (trace_id >> 64) as u64,
            trace_low: *trace_id as u64,
            span: self.attempt.span_id,
            state: state.clone(),
        }
    }

    /// It was not abandoned: it ended with a result or with this error.
    pub(crate) fn end(mut self, error: Option<&'static str>) {
        self.attempt.error = error;
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        self.attempt.took = self.began.elapsed();
        self.observer.attempt(&self.attempt);
    }
}

impl From<Option<v1::Timing>> for Timing {
    fn from(wire: Option<v1::Timing>) -> Self {
        let v1::Timing { queue_us, raft_us, fsync_us, apply_us, read_us } =
            wire.unwrap_or_default();
        Self { queue_us, raft_us, fsync_us, apply_us, read_us }
    }
}
