//! Values and what goes with them: types, revisions, conditions, envelopes.

use ringkv_client::fake::VALUE_BYTES_MAX;

use crate::support::Gateway;

#[tokio::test]
async fn a_value_is_created_replaced_read_and_deleted() {
    let gateway = Gateway::start(&[]).await;
    let created = gateway.put("/kv/a", b"one").await;
    assert_eq!((created.status, created.body.len()), (201, 0));
    let revision = created.header("kv-revision").expect("a write has a revision");
    assert_eq!(created.header("etag"), Some(format!("\"{revision}\"").as_str()));
    let replaced = gateway.put("/kv/a", b"two").await;
    assert_eq!((replaced.status, replaced.body.len()), (204, 0));
    assert_ne!(replaced.header("kv-revision"), Some(revision));
    let read = gateway.get("/kv/a").await;
    assert_eq!((read.status, read.body.as_slice()), (200, &b"two"[..]));
    assert_eq!(read.header("etag"), replaced.header("etag"));
    assert_eq!(read.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(read.header("last-modified"), Some("Thu, 01 Jan 2026 00:00:00 GMT"));
    assert_eq!(gateway.send("DELETE", "/kv/a", &[], b"").await.status, 204);
    assert_eq!(gateway.get("/kv/a").await.status, 404);
}

#[tokio::test]
async fn the_stored_type_is_served_and_a_forms_type_is_not_stored() {
    let gateway = Gateway::start(&[]).await;
    let cases = [
        ("text/plain; charset=utf-8", "text/plain; charset=utf-8"),
        ("application/x-www-form-urlencoded", "application/octet-stream"),
    ];
    for (sent, served) in cases {
        gateway.send("PUT", "/kv/a", &[("Content-Type", sent)], b"x").await;
        assert_eq!(gateway.get("/kv/a").await.header("content-type"), Some(served));
    }
    gateway.put("/kv/a", b"x").await;
    let untyped = gateway.get("/kv/a").await;
    assert_eq!(untyped.header("content-type"), Some("application/octet-stream"));
}

#[tokio::test]
async fn a_head_tells_the_length_and_sends_nothing() {
    let gateway = Gateway::start(&[]).await;
    gateway.send("PUT", "/kv/a", &[("KV-Meta-Owner", "me")], b"12345").await;
    let head = gateway.send("HEAD", "/kv/a", &[], b"").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("5"));
    let read = gateway.get("/kv/a").await;
    assert_eq!(head.header("etag"), read.header("etag"));
    assert_eq!(head.header("kv-meta-owner"), Some("me"));
    assert_eq!(gateway.send("HEAD", "/kv/b", &[], b"").await.status, 404);
}

#[tokio::test]
async fn an_empty_and_a_largest_value_are_values() {
    let gateway = Gateway::start(&[]).await;
    gateway.put("/kv/empty", b"").await;
    let empty = gateway.get("/kv/empty").await;
    assert_eq!(
        (empty.status, empty.body.len(), empty.header("content-length")),
        (200, 0, Some("0"))
    );
    let largest = vec![7; VALUE_BYTES_MAX as usize];
    assert_eq!(gateway.put("/kv/largest", &largest).await.status, 201);
    assert!(gateway.get("/kv/largest").await.body == largest);
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let gateway = Gateway::start(&[]).await;
    let head = "PUT /kv/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\nTransfer-Encoding: chunked";
    let reply = gateway.raw(format!("{head}\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")).await;
    assert_eq!(reply.status, 201);
    assert_eq!(gateway.get("/kv/a").await.body, b"abcde");
}

#[tokio::test]
async fn conditions_on_reads_and_writes_hold() {
    let gateway = Gateway::start(&[]).await;
    let etag = gateway.put("/kv/a", b"one").await.header("etag").unwrap().to_owned();
    let list = format!("\"77\", {etag}");
    let get = |name, value: String| {
        let gateway = &gateway;
        async move { gateway.send("GET", "/kv/a", &[(name, value.as_str())], b"").await }
    };
    let known = get("If-None-Match", list.clone()).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_eq!(known.header("etag"), Some(etag.as_str()));
    assert_eq!(get("If-None-Match", "\"77\"".into()).await.status, 200);
    assert_eq!(get("If-None-Match", "*".into()).await.status, 304);
    assert_eq!(get("If-Match", list.clone()).await.status, 200);
    assert_eq!(get("If-Match", "\"77\"".into()).await.status, 412);
    let put = |name, value: String| {
        let gateway = &gateway;
        async move { gateway.send("PUT", "/kv/a", &[(name, value.as_str())], b"x").await }
    };
    for (name, value) in [("If-None-Match", "*"), ("If-Match", "\"77\""), ("If-None-Match", &list)]
    {
        let refused = put(name, value.into()).await;
        assert_eq!(refused.status, 412, "{name}: {value}");
        assert_eq!(refused.json()["current_etag"], etag.as_str());
        assert_eq!(refused.header("etag"), Some(etag.as_str()));
    }
    assert_eq!(put("If-Match", list).await.status, 204);
    let create = gateway.send("PUT", "/kv/b", &[("If-None-Match", "*")], b"x").await;
    assert_eq!(create.status, 201);
    let delete = gateway.send("DELETE", "/kv/b", &[("If-Match", "\"77\"")], b"").await;
    assert_eq!(delete.status, 412);
    let absent = gateway.send("GET", "/kv/c", &[("If-Match", "*")], b"").await;
    assert_eq!((absent.status, absent.json()["current_etag"].is_null()), (412, true));
}

#[tokio::test]
async fn the_previous_value_is_returned_when_asked_for() {
    let gateway = Gateway::start(&[]).await;
    let created = gateway.put("/kv/a?return=previous", b"one").await;
    assert_eq!((created.status, created.body.len()), (201, 0));
    let typed = [("Content-Type", "text/plain")];
    gateway.send("PUT", "/kv/a", &typed, b"two").await;
    let replaced = gateway.put("/kv/a?return=previous", b"three").await;
    assert_eq!((replaced.status, replaced.body.as_slice()), (200, &b"two"[..]));
    assert_eq!(replaced.header("content-type"), Some("text/plain"));
    let revision = |reply: &crate::support::Reply, name: &str| -> u64 {
        reply.header(name).and_then(|value| value.parse().ok()).expect("a revision")
    };
    let now = revision(&replaced, "kv-revision");
    assert!(revision(&replaced, "kv-previous-revision") < now);
    assert_eq!(revision(&gateway.get("/kv/a").await, "kv-revision"), now);
    let deleted = gateway.send("DELETE", "/kv/a?return=previous", &[], b"").await;
    assert_eq!((deleted.status, deleted.body.as_slice()), (200, &b"three"[..]));
}

#[tokio::test]
async fn an_envelope_carries_text_as_text_and_bytes_as_base64() {
    let gateway = Gateway::start(&[]).await;
    let headers = [("Content-Type", "text/plain"), ("KV-Meta-Owner", "me")];
    gateway.send("PUT", "/kv/a", &headers, "grüße".as_bytes()).await;
    let json = [("Accept", "application/json")];
    let reply = gateway.send("GET", "/kv/a", &json, b"").await;
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let body = reply.json();
    assert_eq!((&body["key"], &body["value"]), (&"a".into(), &"grüße".into()));
    assert_eq!(
        (&body["content_type"], &body["metadata"]["owner"]),
        (&"text/plain".into(), &"me".into())
    );
    assert_eq!(body["revision"].to_string(), reply.header("kv-revision").unwrap());
    gateway.put("/kv/%FF", b"\xff\x00").await;
    let body = gateway.send("GET", "/kv/%FF", &json, b"").await.json();
    assert_eq!((&body["key_b64"], &body["value_b64"]), (&"/w==".into(), &"/wA=".into()));
}

#[tokio::test]
async fn a_repeated_write_gives_its_first_outcome_and_says_so() {
    let gateway = Gateway::start(&[]).await;
    let id = [("Idempotency-Key", "7f3a")];
    let first = gateway.send("PUT", "/kv/a", &id, b"x").await;
    let again = gateway.send("PUT", "/kv/a", &id, b"x").await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.header("kv-revision"), again.header("kv-revision"));
    assert_eq!((first.header("kv-repeated"), again.header("kv-repeated")), (None, Some("true")));
}

#[tokio::test]
async fn http_2_without_an_upgrade_is_served() {
    use http_body_util::{BodyExt as _, Full};
    use hyper_util::rt::{TokioExecutor, TokioIo};
    let gateway = Gateway::start(&[]).await;
    gateway.put("/kv/a//b", b"value").await;
    let io = TokioIo::new(gateway.connect().await);
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let body = Full::new(bytes::Bytes::new());
    let request = http::Request::get("http://test/kv/a//b").body(body).unwrap();
    let reply = sender.send_request(request).await.unwrap();
    assert_eq!((reply.status(), reply.version()), (http::StatusCode::OK, http::Version::HTTP_2));
    assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), "value");
}
