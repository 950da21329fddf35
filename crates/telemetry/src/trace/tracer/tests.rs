use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Instant, SystemTime};

use opentelemetry::trace::{SpanKind, TraceState};
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::SpanData;
use parking_lot::Mutex;

use super::*;
use crate::trace::tls::Tls;
use crate::trace::{new_span_id, new_trace_id, sampled};

const QUEUE_MAX: usize = 8;

fn on() -> On {
    On {
        endpoint: String::new(),
        tls: Tls::default(),
        sampler: Sampler::new(1.0, true),
        queue_max: QUEUE_MAX,
        limits: Limits::default(),
        service_name: None,
    }
}

fn span() -> Span {
    let context = sampled(new_trace_id(), new_span_id(), TraceState::NONE);
    let now = SystemTime::now();
    Span::new("test", SpanKind::Internal, context, (now, now))
}

/// Passes on each batch, then waits for its result.
#[derive(Debug)]
struct Told {
    batches: SyncSender<Vec<SpanData>>,
    results: Mutex<Receiver<OTelSdkResult>>,
}

impl Exporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.batches.send(batch).expect("the test listens");
        self.results.lock().recv().unwrap_or(Ok(()))
    }
}

fn told() -> (Tracer, Receiver<Vec<SpanData>>, SyncSender<OTelSdkResult>) {
    let (batches, arrived) = sync_channel(16);
    let (tell, results) = sync_channel(16);
    let tracer = Tracer::with(&on(), Told { batches, results: Mutex::new(results) }).unwrap();
    (tracer, arrived, tell)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_stuck_costs_spans_and_no_time() {
    let (tracer, arrived, tell) = told();
    for _ in 0..QUEUE_MAX {
        tracer.record(span());
    }
    // Begun to be sent, and never done: the queue has room again, for as many.
    let first = arrived.recv().unwrap();
    assert_eq!((first.len(), tracer.0.dropped.get()), (QUEUE_MAX, 0));
    let began = Instant::now();
    for _ in 0..QUEUE_MAX + 5 {
        tracer.record(span());
    }
    assert_eq!(tracer.0.dropped.get(), 5);
    tracer.stop().await;
    assert!(began.elapsed() < LAST_SPANS + Duration::from_secs(2), "stopping waited");
    tracer.record(span());
    assert_eq!(tracer.0.dropped.get(), 6);
    drop(tell);
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_the_collector_refuses_are_counted_as_lost() {
    let (tracer, arrived, tell) = told();
    tracer.record(span());
    tell.send(Err(OTelSdkError::InternalFailure("away".into()))).unwrap();
    tracer.stop().await;
    assert_eq!((arrived.recv().unwrap().len(), tracer.0.dropped.get()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_span_arrives_as_it_was_handed_in() {
    let (tracer, arrived, tell) = told();
    let links_max = Limits::default().links;
    let links = (0..links_max + 3).map(|_| span().context).collect();
    let attributes = vec![KeyValue::new("some", 1)];
    let whole = Span { links, attributes, error: Some("busy"), ..span() };
    let part = whole.child("part", (whole.start, whole.end));
    tell.send(Ok(())).unwrap();
    tracer.record(whole.clone());
    tracer.record(part);
    tracer.stop().await;
    let spans: Vec<SpanData> = arrived.try_iter().flatten().collect();
    let [first, second] = spans.as_slice() else { panic!("{} spans", spans.len()) };
    assert_eq!(first.span_context, whole.context);
    assert_eq!((first.links.links.len(), first.links.dropped_count), (links_max, 3));
    assert_eq!(first.attributes[0], KeyValue::new("error.type", "busy"));
    assert_eq!(second.parent_span_id, whole.context.span_id());
    assert_eq!(second.span_context.trace_id(), whole.context.trace_id());
}

#[tokio::test]
async fn while_off_nothing_is_sampled_or_kept() {
    let service = Service { name: "test", instance: String::new(), attributes: Vec::new() };
    let tracer = Tracer::start(&Settings::default(), service).unwrap();
    assert!(!tracer.is_on() && !tracer.samples(new_trace_id(), Some(&span().context)));
    tracer.record(span());
    tracer.stop().await;
    assert_eq!(tracer.0.dropped.get(), 0);
}

#[test]
fn a_service_is_named_by_itself_unless_the_environment_does() {
    let service = |name| {
        let service = Service { name: "ringkv-test", instance: "a:1".into(), attributes: vec![] };
        let resource = resource(service, name);
        let get = |key: &'static str| resource.get(&key.into()).map(|value| value.to_string());
        (get("service.name"), get("service.instance.id"))
    };
    assert_eq!(service(None), (Some("ringkv-test".into()), Some("a:1".into())));
    assert_eq!(service(Some("mine".into())).0, Some("mine".into()));
}
