//! A service's tracer: decides what is traced, takes finished spans, and sends them off.

use std::fmt;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::trace::SpanContext;
use opentelemetry::{InstrumentationScope, KeyValue, TraceId};
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanExporter as Exporter, SpanProcessor as _,
};
use prometheus::{IntCounter, Registry};

use super::limits::Limits;
use super::sampler::Sampler;
use super::settings::{On, Settings};
use super::sink::Sink;
use super::span::Span;
use crate::build_info::VERSION;

/// The longest wait for the last spans when a service stops.
const LAST_SPANS: Duration = Duration::from_secs(1);

/// What traces say of the service they come from; `OTEL_SERVICE_NAME` and
/// `OTEL_RESOURCE_ATTRIBUTES` come before it.
#[derive(Debug)]
pub struct Service {
    /// `service.name`
    pub name: &'static str,
    /// `service.instance.id`: the address others know it by.
    pub instance: String,
    pub attributes: Vec<KeyValue>,
}

/// Tracing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The exporter refuses its settings.
    #[error("OTEL_EXPORTER_OTLP_*: traces cannot be sent")]
    Exporter(#[source] ExporterBuildError),
    /// The counter of lost spans cannot be made.
    #[error("count lost spans")]
    Counter(#[from] prometheus::Error),
}

/// The tracer of one service; clones share it.
#[derive(Clone)]
pub struct Tracer(Arc<Shared>);

struct Shared {
    dropped: IntCounter,
    /// `None` while tracing is off.
    pipeline: Option<Pipeline>,
}

struct Pipeline {
    sampler: Sampler,
    scope: InstrumentationScope,
    limits: Limits,
    processor: BatchSpanProcessor,
    /// Spans handed to the processor that its exporter has not taken yet; the processor counts
    /// its own, but does not publish it.
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
    stopped: AtomicBool,
}

impl Tracer {
    /// Starts sending where `settings` say. Needs a runtime, for the exporter's connection.
    ///
    /// # Errors
    /// The exporter refuses its settings.
    pub fn start(settings: &Settings, service: Service) -> Result<Self, StartError> {
        let Some(on) = &settings.on else { return Ok(Self(Arc::new(Shared::new(None)?))) };
        let mut builder = SpanExporter::builder().with_tonic().with_endpoint(on.endpoint.clone());
        // By the standard, an endpoint without a scheme is https too.
        if on.endpoint.starts_with("https://") || !on.endpoint.contains("://") {
            builder = builder.with_tls_config(on.tls.config());
        }
        let mut exporter = builder.build().map_err(StartError::Exporter)?;
        exporter.set_resource(&resource(service, on.service_name.clone()));
        Self::with(on, exporter)
    }

    fn with(on: &On, exporter: impl Exporter + 'static) -> Result<Self, StartError> {
        let waiting = Arc::new(AtomicUsize::new(0));
        let mut shared = Shared::new(None)?;
        let sink = Sink::new(exporter, Arc::clone(&waiting), shared.dropped.clone());
        let batches = BatchConfigBuilder::default().with_max_queue_size(on.queue_max).build();
        shared.pipeline = Some(Pipeline {
            sampler: on.sampler,
            limits: on.limits,
            scope: InstrumentationScope::builder("ringkv").with_version(VERSION).build(),
            processor: BatchSpanProcessor::new(sink, batches),
            waiting,
            waiting_max: on.queue_max,
            stopped: AtomicBool::new(false),
        });
        Ok(Self(Arc::new(shared)))
    }

    /// Adds `ringkv_trace_spans_dropped_total` to the registry.
    ///
    /// # Errors
    /// The name is taken in this registry.
    pub fn register(&self, registry: &Registry) -> prometheus::Result<()> {
        registry.register(Box::new(self.0.dropped.clone()))
    }

    /// Whether anything is ever traced.
    pub fn is_on(&self) -> bool {
        self.0.pipeline.is_some()
    }

    /// Whether a request in this trace, with this parent if it has one, is traced.
    pub fn samples(&self, trace: TraceId, parent: Option<&SpanContext>) -> bool {
        self.0.pipeline.as_ref().is_some_and(|on| on.sampler.samples(trace, parent))
    }

    /// Takes a finished span; returns at once. One too many is dropped and counted.
    pub fn record(&self, span: Span) {
        let Some(pipeline) = &self.0.pipeline else { return };
        let waiting = pipeline.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting >= pipeline.waiting_max || pipeline.stopped.load(Ordering::Relaxed) {
            pipeline.waiting.fetch_sub(1, Ordering::Relaxed);
            self.0.dropped.inc();
            return;
        }
        pipeline.processor.on_end(span.into_data(pipeline.scope.clone(), &pipeline.limits));
    }

    /// Sends what waits, for a moment at most. Spans that come later are dropped.
    pub async fn stop(&self) {
        let shared = Arc::clone(&self.0);
        let stop = move || {
            let Some(pipeline) = &shared.pipeline else { return };
            pipeline.stopped.store(true, Ordering::Relaxed);
            if let Err(error) = pipeline.processor.shutdown_with_timeout(LAST_SPANS) {
                tracing::debug!(%error, "the last spans may be lost");
            }
        };
        if self.is_on()
            && let Err(error) = tokio::task::spawn_blocking(stop).await
        {
            tracing::debug!(%error, "cannot wait for the last spans");
        }
    }
}

impl Shared {
    fn new(pipeline: Option<Pipeline>) -> prometheus::Result<Self> {
        let dropped = IntCounter::new(
            "ringkv_trace_spans_dropped_total",
            "Spans dropped because the trace collector was too slow or away.",
        )?;
        Ok(Self { dropped, pipeline })
    }
}

impl fmt::Debug for Tracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "Tracer(on)" } else { "Tracer(off)" })
    }
}

/// An address that tells the instances of a service apart: where it listens, or the host's name in
/// place of an address that means all of them.
pub fn instance(listener: &TcpListener) -> String {
    let Ok(address) = listener.local_addr() else { return String::new() };
    if !address.ip().is_unspecified() {
        return address.to_string();
    }
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), address.port())
}

fn resource(service: Service, name: Option<String>) -> Resource {
    let own = [
        KeyValue::new("service.name", service.name),
        KeyValue::new("service.version", VERSION),
        KeyValue::new("service.instance.id", service.instance),
    ];
    let detectors: [Box<dyn opentelemetry_sdk::resource::ResourceDetector>; 2] =
        [Box::new(TelemetryResourceDetector), Box::new(EnvResourceDetector::new())];
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_attributes(service.attributes)
        .with_detectors(&detectors);
    match name {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

#[cfg(test)]
mod tests;
