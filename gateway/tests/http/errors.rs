//! Every error's status, code and outcome.

use ringkv_client::fake::{FakeCluster, Step};
use ringkv_proto::v1::{self, ErrorCode};

use crate::support::{Gateway, Reply};

fn expect(reply: &Reply, expected: (u16, &str, &str)) {
    let (status, code, outcome) = reply.problem();
    assert_eq!((status, code.as_str(), outcome.as_str()), expected);
}

/// Method, target and headers of a request, the code of its refusal, and what that must name.
type Malformed<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], &'a str, &'a str);

#[tokio::test]
async fn malformed_requests_are_refused_by_name() {
    let gateway = Gateway::start(&[]).await;
    let long = "k".repeat(256);
    let many = "m".repeat(4100);
    let cases: [Malformed<'_>; 21] = [
        ("GET", "/kv/%zz", &[], "bad_key", "at byte 4"),
        ("GET", "/kv/", &[], "bad_key", "1 to 4096"),
        ("GET", "/kv", &[], "bad_key", "key_b64"),
        ("GET", "/kv?key_b64=*", &[], "bad_key", "key_b64"),
        ("GET", "/kv/a?wait=30s", &[], "bad_parameter", "wait"),
        ("GET", "/kv/a?consistency=stale", &[], "bad_parameter", "linearizable"),
        ("GET", "/kv/a?return=previous", &[], "bad_parameter", "return"),
        ("PUT", "/kv/a?return=all", &[], "bad_parameter", "previous"),
        ("PUT", "/kv/a?return=previous&return=previous", &[], "bad_parameter", "twice"),
        ("GET", "/kv/a", &[("KV-Timeout-Ms", "0")], "bad_header", "KV-Timeout-Ms"),
        ("GET", "/kv/a", &[("KV-Timeout-Ms", "30001")], "bad_header", "1 to 30000"),
        ("PUT", "/kv/a", &[("KV-Timeout-Ms", "soon")], "bad_header", "KV-Timeout-Ms"),
        ("GET", "/kv/a", &[("If-None-Match", "812")], "bad_header", "If-None-Match"),
        ("PUT", "/kv/a", &[("If-Match", "\"1")], "bad_header", "If-Match"),
        ("DELETE", "/kv/a", &[("If-Match", "*, \"1\"")], "bad_header", "If-Match"),
        ("PUT", "/kv/a", &[("Idempotency-Key", "a b")], "bad_header", "1 to 255 visible ASCII"),
        ("PUT", "/kv/a", &[("Idempotency-Key", &long)], "bad_header", "Idempotency-Key"),
        ("DELETE", "/kv/a", &[("Idempotency-Key", "")], "bad_header", "Idempotency-Key"),
        ("PUT", "/kv/a", &[("Content-Type", "tëxt")], "bad_header", "Content-Type"),
        ("PUT", "/kv/a", &[("KV-Meta-A", &many)], "bad_header", "4096 bytes"),
        ("PUT", "/kv/a", &[("KV-Meta-A", "1"), ("KV-Meta-A", "2")], "bad_header", "once"),
    ];
    for (method, target, headers, code, named) in cases {
        let reply = gateway.send(method, target, headers, b"").await;
        expect(&reply, (400, code, "not_applied"));
        let body = reply.json();
        assert!(body["detail"].as_str().unwrap().contains(named), "{named} in {body}");
        assert_eq!(body["retryable"], false);
    }
    assert!(gateway.fake.seen().is_empty(), "none of them reached a node");
}

#[tokio::test]
async fn an_unknown_route_and_a_wrong_method_are_problems() {
    let gateway = Gateway::start(&[]).await;
    for target in ["/", "/kvs", "/v2/kv/a", "//kv/a", "/topology/", "/problems/none"] {
        expect(&gateway.get(target).await, (404, "route_not_found", "not_applied"));
    }
    for method in ["POST", "PATCH", "OPTIONS", "PURGE"] {
        let reply = gateway.send(method, "/kv/a", &[], b"").await;
        expect(&reply, (405, "method_not_allowed", "not_applied"));
        assert_eq!(reply.header("allow"), Some("GET, HEAD, PUT, DELETE"));
        let reply = gateway.send(method, "/limits", &[], b"").await;
        expect(&reply, (405, "method_not_allowed", "not_applied"));
        assert_eq!(
            reply.header("allow").map(|allow| allow.replace(", ", ",")),
            Some("GET,HEAD".into())
        );
    }
}

#[tokio::test]
async fn an_absent_key_and_a_reused_id_are_problems() {
    let gateway = Gateway::start(&[]).await;
    expect(&gateway.get("/kv/a").await, (404, "key_not_found", "not_applied"));
    let reply = gateway.send("DELETE", "/kv/a", &[], b"").await;
    expect(&reply, (404, "key_not_found", "not_applied"));
    assert_eq!(reply.json()["instance"], "/kv/a");
    let id = [("Idempotency-Key", "1")];
    gateway.send("PUT", "/kv/a", &id, b"x").await;
    let reply = gateway.send("PUT", "/kv/a", &id, b"y").await;
    expect(&reply, (409, "idempotency_key_reused", "not_applied"));
}

#[tokio::test]
async fn what_nodes_answer_becomes_a_status_and_an_outcome() {
    use ErrorCode::*;
    let cases = [
        (PreconditionFailed, "PUT", (412, "precondition_failed", "not_applied")),
        (ValueTooLarge, "PUT", (413, "value_too_large", "not_applied")),
        (KeyInvalid, "PUT", (400, "bad_key", "not_applied")),
        (Invalid, "PUT", (400, "invalid", "not_applied")),
        (NoSpace, "PUT", (507, "no_space", "not_applied")),
        (Internal, "PUT", (500, "internal", "unknown")),
        (Internal, "GET", (500, "internal", "not_applied")),
        (NotLeader, "PUT", (503, "no_leader", "not_applied")),
        (NotLeader, "GET", (503, "no_leader", "not_applied")),
        (Moved, "PUT", (503, "no_leader", "not_applied")),
        (NoGroup, "PUT", (503, "no_leader", "not_applied")),
        (ShuttingDown, "PUT", (503, "no_leader", "not_applied")),
        (Busy, "PUT", (503, "overloaded", "not_applied")),
        (LeadershipLost, "PUT", (504, "outcome_unknown", "unknown")),
        (LeadershipLost, "DELETE", (504, "outcome_unknown", "unknown")),
        (LeadershipLost, "GET", (503, "no_leader", "not_applied")),
        (Deadline, "PUT", (504, "outcome_unknown", "unknown")),
    ];
    for (code, method, expected) in cases {
        let gateway = Gateway::start(&[]).await;
        let error = v1::Error { limit: 9, ..v1::Error::new(code, "said by a node") };
        gateway.fake.script(1, vec![Step::Fail(error); 100]);
        let reply = gateway.send(method, "/kv/a", &[("KV-Timeout-Ms", "60")], b"").await;
        expect(&reply, expected);
        let body = reply.json();
        assert_eq!(body["group"], 1, "{code:?}");
        let waits = matches!(reply.status, 503);
        assert_eq!(reply.header("retry-after").is_some(), waits, "{code:?}: {body}");
    }
}

#[tokio::test]
async fn an_unknown_outcome_may_be_sent_again_only_under_the_users_own_id() {
    let gateway = Gateway::start(&[]).await;
    gateway.fake.script(1, vec![Step::Hang; 4]);
    let timeout = ("KV-Timeout-Ms", "50");
    let blind = gateway.send("PUT", "/kv/a", &[timeout], b"x").await;
    expect(&blind, (504, "outcome_unknown", "unknown"));
    assert_eq!(blind.json()["retryable"], false);
    let id = ("Idempotency-Key", "1");
    let named = gateway.send("PUT", "/kv/a", &[timeout, id], b"x").await;
    expect(&named, (504, "outcome_unknown", "unknown"));
    assert_eq!(
        (&named.json()["retryable"], named.header("retry-after")),
        (&true.into(), Some("1"))
    );
    let unknown = gateway.metric("ringkv_gateway_outcomes_total{outcome=\"unknown\"}").await;
    assert_eq!(unknown, "2");
}

#[tokio::test]
async fn without_a_cluster_keys_are_unavailable_and_the_gateway_is_alive_but_not_ready() {
    let fake = FakeCluster::start(1).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let placement = nobody.local_addr().unwrap().to_string();
    let gateway = Gateway::with_placement(&placement, fake, &[]);
    let age = "ringkv_gateway_topology_age_seconds";
    assert_ne!(gateway.metric(age).await, "0");
    assert_eq!(gateway.metric("ringkv_ready").await, "0");
    let reply = gateway.send("PUT", "/kv/a", &[("KV-Timeout-Ms", "30")], b"x").await;
    expect(&reply, (503, "not_ready", "not_applied"));
    expect(&gateway.get("/readyz").await, (503, "not_ready", "not_applied"));
    expect(&gateway.get("/topology").await, (503, "not_ready", "not_applied"));
    assert_eq!(gateway.get("/livez").await.status, 200);
    assert_eq!(gateway.get("/limits").await.status, 200);
}

#[tokio::test]
async fn requests_beyond_the_limit_are_shed_and_pages_are_still_served() {
    let gateway = Gateway::start(&["--requests-max=1"]).await;
    gateway.fake.script(1, [Step::Hang]);
    let mut open = gateway.connect().await;
    tokio::io::AsyncWriteExt::write_all(&mut open, b"GET /kv/a HTTP/1.1\r\nHost: t\r\n\r\n")
        .await
        .unwrap();
    while gateway.fake.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    let reply = gateway.put("/kv/b", b"x").await;
    expect(&reply, (503, "overloaded", "not_applied"));
    assert_eq!(reply.header("retry-after"), Some("1"));
    assert_eq!(gateway.get("/readyz").await.status, 200);
    assert_eq!(gateway.metric("ringkv_gateway_shed_total{reason=\"requests\"}").await, "1");
}
