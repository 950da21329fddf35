//! One attempt of a traced call, from its start until it is reported to the [`Observer`].

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use ringkv_proto::v1;
use ringkv_routing::{RetryReason, Route};

use crate::observer::{Attempt, Observer};
use crate::trace::CallTrace;

/// An attempt under way. It is reported when this is dropped, however it ends.
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

    /// The trace context of the request to the node.
    pub(crate) fn to_proto(&self) -> v1::TraceContext {
        let CallTrace { trace_id, state, .. } = &self.attempt.call;
        v1::TraceContext {
            trace_high: (trace_id >> 64) as u64,
            trace_low: *trace_id as u64,
            span: self.attempt.span_id,
            state: state.clone(),
        }
    }

    /// The attempt ended with a result, or with this error. Without this call it is abandoned.
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
