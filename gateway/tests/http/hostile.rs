//! Clients that are slow, cut off, too large, too many, or not speaking HTTP.

use std::time::{Duration, Instant};

use ringkv_client::fake::{FakeCluster, VALUE_BYTES_MAX};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Gateway, PATIENCE, read_reply};

/// Waits until the gateway ends the connection; what it said is dropped.
async fn ended(stream: &mut TcpStream) {
    let mut said = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said));
    // A reset is an end as well.
    let _ = read.await.expect("the gateway ends the connection");
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_before_the_body() {
    let gateway = Gateway::start(&[]).await;
    let length = VALUE_BYTES_MAX + 1;
    let head = format!("PUT /kv/a HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let mut stream = gateway.connect().await;
    stream.write_all(head.as_bytes()).await.unwrap();
    // Not a byte of the body is sent before the answer.
    let mut first = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 413");
    assert!(gateway.fake.seen().is_empty());
}

#[tokio::test]
async fn a_client_that_sends_a_too_large_body_to_its_end_still_gets_the_answer() {
    let gateway = Gateway::start(&[]).await;
    let reply = gateway.put("/kv/a", &vec![0; 12 * VALUE_BYTES_MAX as usize]).await;
    assert_eq!(reply.problem(), (413, "value_too_large".into(), "not_applied".into()));
    assert_eq!(reply.json()["limit"], VALUE_BYTES_MAX);
}

#[tokio::test]
async fn an_undeclared_length_over_the_limit_is_cut_while_it_streams() {
    let gateway = Gateway::start(&[]).await;
    let mut request = b"PUT /kv/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n".to_vec();
    request.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
    for _ in 0..17 {
        request.extend_from_slice(b"10000\r\n");
        request.resize(request.len() + 0x10000, b'x');
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let reply = gateway.raw(request).await;
    assert_eq!(reply.problem(), (413, "value_too_large".into(), "not_applied".into()));
    assert!(gateway.fake.seen().is_empty());
}

#[tokio::test]
async fn a_body_shorter_than_its_length_is_not_applied() {
    let gateway = Gateway::start(&[]).await;
    let mut stream = gateway.connect().await;
    stream
        .write_all(b"PUT /kv/a HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nshort")
        .await
        .unwrap();
    stream.shutdown().await.unwrap();
    let reply = read_reply(&mut stream).await;
    assert_eq!(reply.problem(), (400, "body_incomplete".into(), "not_applied".into()));
    assert!(gateway.fake.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_dribbles_is_given_up() {
    let gateway = Gateway::start(&["--body-timeout-ms=50"]).await;
    let mut stream = gateway.connect().await;
    stream
        .write_all(b"PUT /kv/a HTTP/1.1\r\nHost: t\r\nContent-Length: 9\r\n\r\nslow")
        .await
        .unwrap();
    let mut first = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 408");
    ended(&mut stream).await;
    assert!(gateway.fake.seen().is_empty());
}

#[tokio::test]
async fn a_head_that_never_ends_is_given_up_wherever_it_stops() {
    let gateway = Gateway::start(&["--head-timeout-ms=100"]).await;
    let heads: [&[u8]; 5] = [b"", b"P", b"PRI * HTTP/2.0\r\n", b"GET /kv/a HTTP/1.1\r\n", b"GET"];
    for head in heads {
        let began = Instant::now();
        let mut stream = gateway.connect().await;
        stream.write_all(head).await.unwrap();
        ended(&mut stream).await;
        assert!(began.elapsed() >= Duration::from_millis(90), "{head:?} was not waited for");
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_after_the_same_time() {
    let gateway = Gateway::start(&["--head-timeout-ms=100"]).await;
    let mut stream = gateway.connect().await;
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    ended(&mut stream).await;
}

#[tokio::test]
async fn headers_over_their_limit_are_refused() {
    let gateway = Gateway::start(&[]).await;
    let filler = "x".repeat(17 << 10);
    for target in ["/kv/a", "/limits"] {
        let reply = gateway.send("GET", target, &[("Filler", &filler)], b"").await;
        assert_eq!(reply.problem(), (431, "headers_too_large".into(), "not_applied".into()));
        assert_eq!(reply.json()["limit"], 16 << 10);
    }
    // Past the read buffer the connection itself gives up, without a body.
    let filler = "x".repeat(100 << 10);
    let request = format!("GET /kv/a HTTP/1.1\r\nHost: t\r\nFiller: {filler}\r\n\r\n");
    let mut stream = gateway.connect().await;
    // The gateway may close before it has read everything.
    let _ = stream.write_all(request.as_bytes()).await;
    let mut first = [0; 12];
    tokio::time::timeout(PATIENCE, stream.read_exact(&mut first)).await.unwrap().unwrap();
    assert_eq!(&first, b"HTTP/1.1 431");
    let many: Vec<(String, String)> = (0..101).map(|n| (format!("H-{n}"), "x".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    assert_eq!(gateway.send("GET", "/kv/a", &many, b"").await.status, 431);
}

#[tokio::test]
async fn requests_that_could_be_read_two_ways_never_reach_a_node() {
    let gateway = Gateway::start(&[]).await;
    let put = "PUT /kv/a HTTP/1.1\r\nHost: t\r\nConnection: close\r\n";
    let cases = [
        format!("{put}Content-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
        format!("{put}Content-Length: 1, 1\r\n\r\nx"),
        format!("{put}Content-Length: +1\r\n\r\nx"),
        format!("{put}Content-Length: -1\r\n\r\nx"),
        format!("{put}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n"),
        format!("{put}Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n"),
        "PUT /kv/a b HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "\x16\x03\x01\x02\x00\x01\x00\x01 garbage, such as TLS\r\n\r\n".to_owned(),
    ];
    for request in cases {
        let mut stream = gateway.connect().await;
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut said = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut said)).await;
        let _ = read.expect("the gateway ends the connection");
        let said = String::from_utf8_lossy(&said);
        assert!(said.is_empty() || said.starts_with("HTTP/1.1 400"), "{request:?}: {said:?}");
    }
    assert!(gateway.fake.seen().is_empty());
    assert_eq!(gateway.get("/livez").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let gateway = Gateway::in_front_of(FakeCluster::start(1).await, &["--connections-max=1"]);
    let mut first = gateway.connect().await;
    first.write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut said = [0; 12];
    tokio::time::timeout(PATIENCE, first.read_exact(&mut said)).await.unwrap().unwrap();
    assert_eq!(&said, b"HTTP/1.1 200");
    let mut second = gateway.connect().await;
    let reply = read_reply(&mut second).await;
    assert_eq!(reply.status, 503);
    assert_eq!(reply.json()["outcome"], "not_applied");
    let request = b"GET /metrics HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";
    first.write_all(request).await.unwrap();
    let mut rest = String::new();
    first.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("ringkv_gateway_shed_total{reason=\"connections\"} 1\n"), "{rest}");
}

#[tokio::test]
async fn an_answer_nobody_reads_is_given_up() {
    let gateway = Gateway::start(&["--write-timeout-ms=100"]).await;
    gateway.put("/kv/a", &vec![7; VALUE_BYTES_MAX as usize]).await;
    let mut stream = gateway.connect().await;
    // More answers than the sockets' buffers hold, and not one is read.
    for _ in 0..64 {
        if stream.write_all(b"GET /kv/a HTTP/1.1\r\nHost: t\r\n\r\n").await.is_err() {
            break;
        }
    }
    let closed = async {
        // The scraping connection itself is the one that is left.
        let left = b"ringkv_gateway_connections 1\n";
        while !gateway.get("/metrics").await.body.windows(left.len()).any(|line| line == left) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the connection is closed");
    drop(stream);
}

#[tokio::test]
async fn bodies_of_all_requests_together_are_bounded() {
    let gateway = Gateway::start(&["--body-bytes-max=1048576"]).await;
    let mut open = gateway.connect().await;
    let head = "PUT /kv/a HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\nbegun";
    open.write_all(head.as_bytes()).await.unwrap();
    let refused = async {
        loop {
            let reply = gateway.put("/kv/b", &[0; 100_000]).await;
            // The first request may not have been read yet.
            if reply.status == 503 {
                return reply;
            }
        }
    };
    let reply = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(reply.problem(), (503, "overloaded".into(), "not_applied".into()));
    assert_eq!(gateway.metric("ringkv_gateway_shed_total{reason=\"body_bytes\"}").await, "1");
    assert_eq!(gateway.metric("ringkv_gateway_body_bytes").await, "1000000");
    drop(open);
    let served = async { while gateway.put("/kv/b", &[0; 100_000]).await.status == 503 {} };
    tokio::time::timeout(PATIENCE, served).await.expect("the room comes back");
}
