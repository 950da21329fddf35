//! What every answer says of its trace and its time, while nothing is traced.

use std::collections::BTreeSet;

use ringkv_client::fake::Step;
use ringkv_proto::v1::{Error, ErrorCode};

use crate::support::{Gateway, Reply};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn trace_id(reply: &Reply) -> &str {
    reply.header("kv-trace-id").unwrap_or_else(|| panic!("no KV-Trace-Id: {reply:?}"))
}

#[tokio::test]
async fn every_answer_names_a_trace_of_its_own() {
    let gateway = Gateway::start(&[]).await;
    let mut seen = BTreeSet::new();
    let targets =
        ["/kv/a", "/kv/%zz", "/nothing", "/livez", "/metrics", "/limits", "/topology", "/kv/a"];
    for target in targets {
        let id = trace_id(&gateway.get(target).await).to_owned();
        assert!(id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{id}");
        seen.insert(id);
    }
    assert_eq!(seen.len(), targets.len());
    assert_eq!(gateway.put("/kv/a", b"x").await.status, 201);
}

#[tokio::test]
async fn the_trace_of_a_traceparent_is_taken_up_and_a_broken_one_is_not() {
    let gateway = Gateway::start(&[]).await;
    for target in ["/kv/a", "/livez", "/nothing", "/kv/%zz"] {
        let reply = gateway.send("GET", target, &[("traceparent", PARENT)], b"").await;
        assert_eq!(trace_id(&reply), TRACE);
        let broken = [("traceparent", &PARENT[1..])];
        let reply = gateway.send("GET", target, &broken, b"").await;
        assert_ne!(trace_id(&reply), TRACE);
    }
}

#[tokio::test]
async fn every_answer_to_a_key_says_where_its_time_went() {
    let gateway = Gateway::start(&[]).await;
    let told = "queue;dur=0.120, raft;dur=1.400, fsync;dur=0.800, apply;dur=0.050, read;dur=0.007, \
                total;dur=";
    let timing = |reply: &Reply| reply.header("server-timing").unwrap_or_default().to_owned();
    for (method, status) in [("PUT", 201), ("PUT", 204), ("GET", 200), ("HEAD", 200)] {
        let reply = gateway.send(method, "/kv/a", &[], b"").await;
        assert_eq!(reply.status, status);
        assert!(timing(&reply).starts_with(told), "{method}: {}", timing(&reply));
    }
    assert!(timing(&gateway.get("/kv/absent").await).starts_with(told));
    gateway.fake.script(1, [Step::Fail(Error::new(ErrorCode::NoSpace, "scripted"))]);
    assert!(timing(&gateway.put("/kv/a", b"x").await).starts_with(told));
    // No node was asked: there is the gateway's time only.
    assert!(timing(&gateway.get("/kv/%zz").await).starts_with("total;dur="));
    assert_eq!(timing(&gateway.get("/livez").await), "");
}

#[tokio::test]
async fn while_tracing_is_off_no_request_carries_a_trace_on() {
    let gateway = Gateway::start(&[]).await;
    let reply = gateway.send("PUT", "/kv/a", &[("traceparent", PARENT)], b"x").await;
    assert_eq!((reply.status, reply.header("traceparent")), (201, None));
    assert!(gateway.fake.seen()[0].request.trace.is_none());
}
