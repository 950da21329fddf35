//! The spans of traced requests, made at their end from times taken on their way.
//!
//! A request has a server span with a child for each stage. Writes in one log entry share its
//! times: the entry has a span of its own, in a trace of its own, and it and the requests link to
//! each other. Nothing here runs for a request that is not traced.

use std::time::{Duration, SystemTime};

use ringkv_consensus::{Completion, EntryTimes, LogIndex};
use ringkv_engine::boot_us;
use ringkv_proto::v1::TraceContext;
use ringkv_storage_core::service::accept::Op;
use ringkv_storage_core::service::stages::Stages;
use ringkv_telemetry::trace::{
    KeyValue, Span, SpanContext, SpanId, SpanKind, TraceId, TraceState, Tracer, new_span_id,
    sampled,
};
use ringkv_topology::ClusterId;
use tracing::field::{DisplayValue, display};
use xxhash_rust::xxh3::xxh3_128;

/// Makes the spans of one node.
#[derive(Clone, Debug)]
pub(crate) struct Spans {
    pub(crate) tracer: Tracer,
    pub(crate) cluster: ClusterId,
}

/// A traced request that is open.
#[derive(Debug)]
pub(super) struct Traced {
    pub(super) context: SpanContext,
    parent: SpanId,
    group: u64,
}

/// How a traced request ended.
pub(super) struct End {
    pub(super) op: Op,
    pub(super) stages: Stages,
    /// The span of the entry it was in.
    pub(super) entry: Option<SpanContext>,
    pub(super) error: Option<&'static str>,
}

/// A log entry some of whose commands are traced, while its completions come in.
#[derive(Debug)]
pub(super) struct OpenEntry {
    group: u64,
    index: LogIndex,
    commands: u32,
    times: EntryTimes,
    context: SpanContext,
    requests: Vec<SpanContext>,
}

/// The trace of a request as a field of a log line.
pub(super) fn trace_id(traced: &Option<Box<Traced>>) -> Option<DisplayValue<TraceId>> {
    traced.as_ref().map(|traced| display(traced.context.trace_id()))
}

impl Spans {
    /// Begins the span of a request, if it is traced.
    pub(super) fn begin(&self, wire: Option<&TraceContext>, group: u64) -> Option<Box<Traced>> {
        let wire = wire.filter(|_| self.tracer.is_on())?;
        let trace = u128::from(wire.trace_high) << 64 | u128::from(wire.trace_low);
        let (trace, parent) = (TraceId::from(trace), SpanId::from(wire.span));
        let state = wire.state.parse().unwrap_or(TraceState::NONE);
        let sender = sampled(trace, parent, state.clone());
        if !sender.is_valid() || !self.tracer.samples(trace, Some(&sender)) {
            return None;
        }
        Some(Box::new(Traced { context: sampled(trace, new_span_id(), state), parent, group }))
    }

    /// Records a request and its stages.
    pub(super) fn end(&self, traced: Traced, end: End) {
        let wall = Wall::now();
        let (method, span_name) = method(end.op);
        let attributes = vec![
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", "ringkv.v1.Kv"),
            KeyValue::new("rpc.method", method),
            KeyValue::new("ringkv.group", signed(traced.group)),
        ];
        let times = wall.times(end.stages.arrived_us, end.stages.replied_us);
        let span = Span {
            parent: traced.parent,
            parent_is_remote: true,
            attributes,
            links: end.entry.into_iter().collect(),
            error: end.error,
            ..Span::new(span_name, SpanKind::Server, traced.context, times)
        };
        for (stage, from, to) in end.stages.passed() {
            self.tracer.record(span.child(stage.name(), wall.times(from, to)));
        }
        self.tracer.record(span);
    }

    /// Adds a write to the entry it was in, and opens that entry if it is not `open` yet. Returns
    /// the span of the entry. Completions of one entry come together, so another entry ends the
    /// open one.
    pub(super) fn join(
        &self,
        open: &mut Option<OpenEntry>,
        traced: &Traced,
        completion: &Completion,
    ) -> Option<SpanContext> {
        if completion.index == LogIndex::ZERO {
            return None;
        }
        let (group, index) = (traced.group, completion.index);
        if open.as_ref().is_some_and(|entry| (entry.group, entry.index) != (group, index)) {
            self.end_entry(open);
        }
        let entry = open.get_or_insert_with(|| OpenEntry {
            group,
            index,
            commands: completion.commands,
            times: completion.times,
            context: self.entry_context(group, index),
            requests: Vec::new(),
        });
        entry.requests.push(traced.context.clone());
        Some(entry.context.clone())
    }

    /// Records the open entry, if there is one.
    pub(super) fn end_entry(&self, open: &mut Option<OpenEntry>) {
        let Some(entry) = open.take() else { return };
        let wall = Wall::now();
        let times = wall.times(entry.times.queued_us, entry.times.applied_us);
        let attributes = vec![
            KeyValue::new("ringkv.group", signed(entry.group)),
            KeyValue::new("ringkv.index", signed(entry.index.0)),
            KeyValue::new("ringkv.commands", i64::from(entry.commands)),
        ];
        self.tracer.record(Span {
            attributes,
            links: entry.requests,
            ..Span::new("raft.entry", SpanKind::Internal, entry.context, times)
        });
    }

    /// The same trace for an entry whichever stream its commands came on: a stream knows only its
    /// own requests, and makes a span for them.
    fn entry_context(&self, group: u64, index: LogIndex) -> SpanContext {
        let mut name = [0; 24];
        name[..8].copy_from_slice(&self.cluster.0.to_be_bytes());
        name[8..16].copy_from_slice(&group.to_be_bytes());
        name[16..].copy_from_slice(&index.0.to_be_bytes());
        sampled(TraceId::from(xxh3_128(&name).max(1)), new_span_id(), TraceState::NONE)
    }
}

/// The method of an operation, and its name as the name of a span.
fn method(op: Op) -> (&'static str, &'static str) {
    match op {
        Op::Get => ("Get", "ringkv.v1.Kv/Get"),
        Op::Put => ("Put", "ringkv.v1.Kv/Put"),
        Op::Delete => ("Delete", "ringkv.v1.Kv/Delete"),
    }
}

/// The engine's clock as wall time, by one look at both.
#[derive(Clone, Copy)]
struct Wall {
    now: SystemTime,
    boot_us: u64,
}

impl Wall {
    fn now() -> Self {
        Self { now: SystemTime::now(), boot_us: boot_us() }
    }

    fn times(self, from_us: u64, to_us: u64) -> (SystemTime, SystemTime) {
        let at = |us: u64| self.now - Duration::from_micros(self.boot_us.saturating_sub(us));
        (at(from_us), at(to_us))
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
