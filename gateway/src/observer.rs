//! What the client reports, as metrics and as spans.

use std::sync::Arc;

use ringkv_client::{Attempt, Observer, RetryReason};
use ringkv_telemetry::trace::{
    KeyValue, Span, SpanId, SpanKind, TraceId, TraceState, Tracer, sampled,
};
use ringkv_topology::Epoch;

use crate::metrics::Metrics;

/// Receives the client's reports, for both.
pub(crate) struct ClientObserver {
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) tracer: Tracer,
}

impl Observer for ClientObserver {
    fn retried(&self, reason: RetryReason) {
        self.metrics.retried(reason);
    }

    fn topology(&self, epoch: Epoch) {
        self.metrics.topology(epoch);
    }

    fn attempt(&self, attempt: &Attempt) {
        let Attempt { call, operation, .. } = attempt;
        let state = call.state.parse().unwrap_or(TraceState::NONE);
        let own = sampled(TraceId::from(call.trace_id), SpanId::from(attempt.span_id), state);
        let times = (attempt.began, attempt.began + attempt.took);
        let mut attributes = vec![
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", "ringkv.v1.Kv"),
            KeyValue::new("rpc.method", *operation),
            KeyValue::new("server.address", Arc::clone(&attempt.address)),
            KeyValue::new("ringkv.node", number(attempt.node.0)),
            KeyValue::new("ringkv.group", number(attempt.group.0)),
        ];
        attributes.extend(attempt.retry.map(|reason| KeyValue::new("ringkv.retry", reason.slug())));
        self.tracer.record(Span {
            parent: SpanId::from(call.span_id),
            attributes,
            error: attempt.error,
            ..Span::new(name(operation), SpanKind::Client, own, times)
        });
    }
}

fn name(operation: &str) -> &'static str {
    match operation {
        "Get" => "ringkv.v1.Kv/Get",
        "Put" => "ringkv.v1.Kv/Put",
        "Delete" => "ringkv.v1.Kv/Delete",
        _ => "ringkv.v1.Kv",
    }
}

fn number(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
