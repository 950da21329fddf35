//! Traces: which requests are traced, and the way of finished spans to an OpenTelemetry collector.
//!
//! Owns everything that knows OpenTelemetry: the `OTEL_*` settings, the decision to sample, the W3C
//! headers, the bounded queue and its exporter. A service hands in a [`Span`] once it is over, with
//! the times at which things happened, so that no thread of the engine ever holds one; the SDK's
//! batch processor, exporter and resources are used, its tracer, which starts spans and stops them,
//! is not. A tracer belongs to a service, never to the process: `ringkv dev` runs several.
//!
//! Invariants: while tracing is off nothing is made, kept or sent; a collector that is slow or away
//! costs spans (`ringkv_trace_spans_dropped_total`), never a request or its time.

mod headers;
mod ids;
mod limits;
mod sampler;
mod settings;
mod sink;
mod span;
mod tls;
mod tracer;
mod variable;

pub use opentelemetry::trace::{SpanContext, SpanKind, TraceState};
pub use opentelemetry::{KeyValue, SpanId, TraceId};

pub use headers::{parent, traceparent};
pub use ids::{hex, new_span_id, new_trace_id};
pub use settings::Settings;
pub use span::{Span, sampled};
pub use tracer::{Service, StartError, Tracer, instance};
pub use variable::InvalidVariable;
