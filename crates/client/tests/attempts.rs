//! A traced call: the trace context its node receives, and the attempts its observer receives.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use ringkv_client::fake::{FakeCluster, Step, TIMING};
use ringkv_client::{
    Attempt, CallOptions, CallTrace, Client, ClientConfig, GetOptions, Observer, PutOptions,
    RetryReason, Timing,
};
use ringkv_proto::v1::{self, ErrorCode};

#[derive(Default)]
struct Heard(Mutex<Vec<Attempt>>);

impl Observer for Heard {
    fn attempt(&self, attempt: &Attempt) {
        self.0.lock().push(attempt.clone());
    }
}

impl Heard {
    fn attempts(&self) -> Vec<Attempt> {
        self.0.lock().clone()
    }
}

/// A cluster of three nodes led by node 1, a client of it, and what its observer receives.
async fn cluster() -> (FakeCluster, Client, Arc<Heard>) {
    let fake = FakeCluster::start(3).await;
    fake.lead_all(1);
    fake.change(|topology| {
        topology.groups.values_mut().for_each(|g| g.preferred_leader = ringkv_topology::NodeId(1));
    });
    let heard = Arc::new(Heard::default());
    let mut config = ClientConfig::new(fake.placement());
    config.observer = Arc::clone(&heard) as _;
    let client = Client::connect(config);
    client.ready(Duration::from_secs(5)).await.expect("the fake cluster is formed");
    (fake, client, heard)
}

fn traced() -> CallTrace {
    CallTrace { trace_id: (7 << 64) | 9, span_id: 5, state: "a=1".into() }
}

fn put(trace: CallTrace) -> PutOptions {
    let call = CallOptions { trace: Some(trace), ..CallOptions::default() };
    PutOptions { call, ..PutOptions::default() }
}

#[tokio::test]
async fn each_attempt_has_a_span_of_its_own_and_says_why_it_was_made() {
    let (fake, client, heard) = cluster().await;
    let busy = v1::Error::new(ErrorCode::Busy, "scripted");
    fake.script(1, [Step::Fail(busy)]);
    client.put("key", "value", put(traced())).await.unwrap();

    let attempts = heard.attempts();
    let [first, second] = attempts.as_slice() else { panic!("{attempts:?}") };
    assert_eq!((first.retry, first.error), (None, Some("busy")));
    assert_eq!((second.retry, second.error), (Some(RetryReason::Busy), None));
    assert_ne!(first.span_id, second.span_id);
    assert!(attempts.iter().all(|a| a.call == traced() && a.node.0 == 1 && a.operation == "Put"));

    let told: Vec<_> = fake.seen().into_iter().map(|seen| seen.request.trace.unwrap()).collect();
    let expected = attempts.iter().map(|attempt| v1::TraceContext {
        trace_high: 7,
        trace_low: 9,
        span: attempt.span_id,
        state: "a=1".into(),
    });
    assert_eq!(told, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn a_call_given_up_tells_its_open_attempt() {
    let (fake, client, heard) = cluster().await;
    fake.script(1, [Step::Hang]);
    let call = client.put("key", "value", put(traced()));
    tokio::select! {
        _ = call => panic!("the node does not answer"),
        () = async { while fake.seen().is_empty() { tokio::task::yield_now().await } } => {}
    }
    let errors: Vec<_> = heard.attempts().iter().map(|attempt| attempt.error).collect();
    assert_eq!(errors, [Some("abandoned")]);
}

#[tokio::test]
async fn a_call_that_is_not_traced_tells_nobody_of_it() {
    let (fake, client, heard) = cluster().await;
    client.put("key", "value", PutOptions::default()).await.unwrap();
    assert!(heard.attempts().is_empty() && fake.seen()[0].request.trace.is_none());
}

#[tokio::test]
async fn every_answer_says_where_the_nodes_time_went() {
    let (fake, client, _) = cluster().await;
    let timing = Timing::from(Some(TIMING));
    assert_eq!(client.get("key", GetOptions::default()).await.unwrap().timing, timing);
    assert_eq!(client.put("key", "1", PutOptions::default()).await.unwrap().timing, timing);
    fake.script(1, [Step::Fail(v1::Error::new(ErrorCode::NoSpace, "scripted"))]);
    let failed = client.put("key", "2", PutOptions::default()).await.unwrap_err();
    assert_eq!(failed.timing, timing);
}
