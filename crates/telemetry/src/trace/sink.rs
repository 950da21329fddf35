//! The exporter as the batch processor drives it: counts lost spans and logs them now and then.
//!
//! Runs on the processor's own thread. It logs when a collector starts to fail, once a minute while
//! it fails, and when it has recovered.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use parking_lot::Mutex;
use prometheus::IntCounter;

const COMPLAINT_INTERVAL: Duration = Duration::from_secs(60);

/// An exporter with its losses counted.
pub(super) struct Sink<E> {
    exporter: E,
    /// Spans in the queue in front of it.
    waiting: Arc<AtomicUsize>,
    dropped: IntCounter,
    complaints: Mutex<Complaints>,
}

impl<E> Sink<E> {
    pub(super) fn new(exporter: E, waiting: Arc<AtomicUsize>, dropped: IntCounter) -> Self {
        Self { exporter, waiting, dropped, complaints: Mutex::default() }
    }
}

impl<E> fmt::Debug for Sink<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sink")
    }
}

impl<E: SpanExporter> SpanExporter for Sink<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.waiting.fetch_sub(spans, Ordering::Relaxed);
        let result = self.exporter.export(batch).await;
        match &result {
            Ok(()) => {
                if self.complaints.lock().recovered() {
                    tracing::info!("the trace collector accepts spans again");
                }
            }
            Err(error) => {
                self.dropped.inc_by(spans as u64);
                if let Some(lost) = self.complaints.lock().failed(Instant::now(), spans) {
                    tracing::warn!(%error, lost, "the trace collector accepts no spans");
                }
            }
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// How often a lasting failure is worth a line.
#[derive(Debug, Default)]
struct Complaints {
    /// When the last line was written, while the failure lasts.
    last: Option<Instant>,
    /// Spans lost since.
    lost: usize,
}

impl Complaints {
    /// Another batch was lost; returns the spans lost since the last line if one is due.
    fn failed(&mut self, now: Instant, spans: usize) -> Option<usize> {
        self.lost += spans;
        if self.last.is_some_and(|last| now.duration_since(last) < COMPLAINT_INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.lost))
    }

    /// A batch arrived; returns whether that ends a failure.
    fn recovered(&mut self) -> bool {
        std::mem::take(self).last.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lasting_failure_is_told_once_a_minute_with_what_it_cost() {
        let (mut complaints, start) = (Complaints::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        assert!(!complaints.recovered());
        assert_eq!(complaints.failed(after(0), 10), Some(10));
        assert_eq!(complaints.failed(after(5), 10), None);
        assert_eq!(complaints.failed(after(59), 10), None);
        assert_eq!(complaints.failed(after(60), 10), Some(30));
        assert!(complaints.recovered());
        assert!(!complaints.recovered());
        assert_eq!(complaints.failed(after(61), 5), Some(5));
    }
}
