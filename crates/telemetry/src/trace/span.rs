//! A finished span, as services hand it in.

use std::borrow::Cow;
use std::time::SystemTime;

use opentelemetry::trace::{SpanContext, SpanKind, Status, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, SpanId, TraceFlags, TraceId};
use opentelemetry_sdk::trace::{SpanData, SpanEvents};

use super::limits::Limits;

/// Something that is over, and belongs to a trace.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: Cow<'static, str>,
    pub kind: SpanKind,
    /// Its own; see [`sampled`].
    pub context: SpanContext,
    /// `SpanId::INVALID` for the first of a trace.
    pub parent: SpanId,
    /// Whether the parent is another process's.
    pub parent_is_remote: bool,
    pub start: SystemTime,
    pub end: SystemTime,
    pub attributes: Vec<KeyValue>,
    pub links: Vec<SpanContext>,
    /// Why what it covers failed, if it did: a word from a bounded set.
    pub error: Option<&'static str>,
}

/// The context of a span that is traced.
pub fn sampled(trace: TraceId, span: SpanId, state: TraceState) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, state)
}

impl Span {
    /// A span inside this process, without anything to it but its time.
    pub fn new(
        name: impl Into<Cow<'static, str>>,
        kind: SpanKind,
        context: SpanContext,
        (start, end): (SystemTime, SystemTime),
    ) -> Self {
        Self {
            name: name.into(),
            kind,
            context,
            parent: SpanId::INVALID,
            parent_is_remote: false,
            start,
            end,
            attributes: Vec::new(),
            links: Vec::new(),
            error: None,
        }
    }

    /// A part of this span, done in this process.
    pub fn child(&self, name: &'static str, times: (SystemTime, SystemTime)) -> Self {
        let (trace, state) = (self.context.trace_id(), self.context.trace_state().clone());
        let context = sampled(trace, super::new_span_id(), state);
        let parent = self.context.span_id();
        Self { parent, ..Self::new(name, SpanKind::Internal, context, times) }
    }

    pub(super) fn into_data(self, scope: InstrumentationScope, limits: &Limits) -> SpanData {
        let error = self.error.map(|error| KeyValue::new("error.type", error));
        // First, so that a limit takes something else.
        let attributes = error.into_iter().chain(self.attributes).collect();
        let (attributes, dropped_attributes_count) = limits.attributes(attributes);
        SpanData {
            span_context: self.context,
            parent_span_id: self.parent,
            parent_span_is_remote: self.parent_is_remote,
            span_kind: self.kind,
            name: self.name,
            start_time: self.start,
            end_time: self.end,
            attributes,
            dropped_attributes_count,
            events: SpanEvents::default(),
            links: limits.links(self.links),
            status: self.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope,
        }
    }
}
