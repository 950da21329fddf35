//! The trace of one request: its id, its server span if it is traced, and the times in its answer.
//!
//! Every request has an id, from its `traceparent` or a new one, so that its answer, its problem
//! and the log can be brought together; only a sampled one has a span. The key is in neither.

use std::time::{Duration, Instant, SystemTime};

use http::{HeaderName, HeaderValue, Request, Version};
use ringkv_client::{CallTrace, Timing};
use ringkv_telemetry::trace::{
    KeyValue, Span, SpanContext, SpanId, SpanKind, TraceId, TraceState, Tracer, hex, new_span_id,
    new_trace_id, parent, sampled, traceparent,
};

use crate::metrics::Method;
use crate::reply::Reply;
use crate::server_timing;

const KV_TRACE_ID: HeaderName = HeaderName::from_static("kv-trace-id");
const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The trace id of a request that is not traced itself: one for a page.
pub(crate) fn id_of<B>(request: &Request<B>) -> TraceId {
    parent(request.headers()).map_or_else(new_trace_id, |parent| parent.trace_id())
}

/// Names the trace in an answer.
pub(crate) fn name_trace(reply: &mut Reply, id: TraceId) {
    let digits = HeaderValue::from_bytes(&hex(id)).expect("digits are a header's");
    reply.headers_mut().insert(KV_TRACE_ID, digits);
}

/// What is known of a key request while it is answered.
pub(crate) struct RequestTrace<'a> {
    id: TraceId,
    began: Instant,
    timing: Timing,
    /// Of a traced request only.
    span: Option<Box<ServerSpan<'a>>>,
}

struct ServerSpan<'a> {
    tracer: &'a Tracer,
    context: SpanContext,
    parent: SpanId,
    method: Method,
    version: Version,
    began: SystemTime,
}

impl<'a> RequestTrace<'a> {
    /// Takes up the trace that the request comes with, or begins one.
    pub(crate) fn begin<B>(tracer: &'a Tracer, method: Method, request: &Request<B>) -> Self {
        let parent = parent(request.headers());
        let id = parent.as_ref().map_or_else(new_trace_id, SpanContext::trace_id);
        let span = tracer.samples(id, parent.as_ref()).then(|| {
            let (parent, state) = parent.as_ref().map_or_else(
                || (SpanId::INVALID, TraceState::NONE),
                |parent| (parent.span_id(), parent.trace_state().clone()),
            );
            Box::new(ServerSpan {
                tracer,
                context: sampled(id, new_span_id(), state),
                parent,
                method,
                version: request.version(),
                began: SystemTime::now(),
            })
        });
        Self { id, began: Instant::now(), timing: Timing::default(), span }
    }

    pub(crate) fn id(&self) -> TraceId {
        self.id
    }

    /// The id, of a request whose spans are recorded.
    pub(crate) fn sampled_id(&self) -> Option<TraceId> {
        self.span.as_ref().map(|_| self.id)
    }

    /// The trace context for the client, of a traced request.
    pub(crate) fn call(&self) -> Option<CallTrace> {
        let context = &self.span.as_ref()?.context;
        Some(CallTrace {
            trace_id: u128::from_be_bytes(context.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(context.span_id().to_bytes()),
            state: context.trace_state().header(),
        })
    }

    /// Notes where a node's time went.
    pub(crate) fn timed(&mut self, timing: Timing) {
        self.timing = timing;
    }

    /// Ends it: sets the headers of the answer and returns how long it took.
    pub(crate) fn finish(mut self, reply: &mut Reply) -> Duration {
        let took = self.began.elapsed();
        name_trace(reply, self.id);
        let status = reply.status().as_u16();
        let headers = reply.headers_mut();
        headers.insert(SERVER_TIMING, server_timing::header(&self.timing, took));
        if let Some(span) = self.span.take() {
            headers.insert(TRACEPARENT, traceparent(&span.context));
            span.end(took, Some(status));
        }
        took
    }
}

impl Drop for RequestTrace<'_> {
    /// The client has gone away before the answer.
    fn drop(&mut self) {
        if let Some(span) = self.span.take() {
            span.end(self.began.elapsed(), None);
        }
    }
}

impl ServerSpan<'_> {
    /// `status` is `None` when the client went away.
    fn end(self, took: Duration, status: Option<u16>) {
        let mut attributes = vec![
            KeyValue::new("http.request.method", self.method.name()),
            KeyValue::new("http.route", "/kv/{key}"),
            KeyValue::new("network.protocol.version", version(self.version)),
        ];
        attributes.extend(
            status.map(|status| KeyValue::new("http.response.status_code", i64::from(status))),
        );
        let error = match status {
            None => Some("cancelled"),
            Some(500) => Some("500"),
            Some(503) => Some("503"),
            Some(504) => Some("504"),
            Some(507) => Some("507"),
            Some(_) => None,
        };
        let times = (self.began, self.began + took);
        self.tracer.record(Span {
            parent: self.parent,
            parent_is_remote: true,
            attributes,
            error,
            ..Span::new(self.method.span_name(), SpanKind::Server, self.context, times)
        });
    }
}

fn version(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
