//! Requests that a gateway rejects, sent byte for byte over a socket.

use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{Shape, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A request and the expected answer.
struct Case {
    what: &'static str,
    request: String,
    status: u16,
    /// Each of these must be in the answer.
    says: &'static [&'static str],
}

fn case(
    what: &'static str,
    request: impl Into<String>,
    status: u16,
    says: &'static [&'static str],
) -> Case {
    Case { what, request: request.into(), status, says }
}

const NOT_APPLIED: &str = r#""outcome":"not_applied""#;

fn put(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "PUT {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
}

fn cases() -> Vec<Case> {
    let key_4097 = "k".repeat(4097);
    let value_too_large = "v".repeat(1024 * 1024 + 1);
    vec![
        case("no key", put("/kv/", "", "v"), 400, &[NOT_APPLIED]),
        case("long key", put(&format!("/kv/{key_4097}"), "", "v"), 400, &[NOT_APPLIED, "4096"]),
        case("large value", put("/kv/big", "", &value_too_large), 413, &[NOT_APPLIED, "1048576"]),
        case(
            "large value announced",
            "PUT /kv/big HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n",
            413,
            &[NOT_APPLIED, "1048576"],
        ),
        case("bad escape", put("/kv/%zz", "", "v"), 400, &[NOT_APPLIED]),
        case("cut escape", put("/kv/a%2", "", "v"), 400, &[NOT_APPLIED]),
        case("bad base64", put("/kv?key_b64=%21", "", "v"), 400, &[NOT_APPLIED, "key_b64"]),
        case("bad If-Match", put("/kv/a", "If-Match: seven\r\n", "v"), 400, &[NOT_APPLIED]),
        case("bad deadline", put("/kv/a", "KV-Timeout-Ms: soon\r\n", "v"), 400, &[NOT_APPLIED]),
        case(
            "bad content type",
            put("/kv/a", "Content-Type: caf\u{e9}\r\n", "v"),
            400,
            &[NOT_APPLIED],
        ),
        case(
            "wrong method",
            "PATCH /kv/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            405,
            &["allow:", "application/problem+json"],
        ),
        case(
            "unknown route",
            "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            404,
            &["application/problem+json"],
        ),
        case("not HTTP", "\0\u{1}\u{2}garbage\r\n\r\n", 400, &[]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_requests_are_refused_with_a_reason() -> anyhow::Result<()> {
    run(Shape { nodes: 1, replication_factor: 1, ..Shape::default() }, async |cluster| {
        for case in cases() {
            let address = &cluster.gateways[0].address;
            let stream = send(address, case.request.as_bytes()).await.context(case.what)?;
            let answer = read_all(stream).await.context(case.what)?;
            let status = format!("HTTP/1.1 {} ", case.status);
            ensure!(answer.starts_with(&status), "{}: {answer}", case.what);
            for word in case.says {
                ensure!(answer.contains(word), "{}: no {word} in {answer}", case.what);
            }
        }
        let gateway = &cluster.clients()?[0];
        for key in ["a", "big", "%zz", "a%2"] {
            gateway.get(key.as_bytes()).await?.expect(404).with_context(|| key.to_owned())?;
        }
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn body_shorter_than_its_length_writes_nothing() -> anyhow::Result<()> {
    run(Shape { nodes: 1, replication_factor: 1, ..Shape::default() }, async |cluster| {
        let address = &cluster.gateways[0].address;
        let request = "PUT /kv/short HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this";
        let mut stream = send(address, request.as_bytes()).await?;
        stream.shutdown().await?;
        let answer = read_all(stream).await?;
        ensure!(!answer.starts_with("HTTP/1.1 2"), "it was acknowledged: {answer}");
        cluster.clients()?[0].get(b"short").await?.expect(404)?;
        Ok(())
    })
    .await
}

async fn send(address: &str, request: &[u8]) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    // A gateway may answer and close before it has read all of a body that it rejects.
    let _ = stream.write_all(request).await;
    Ok(stream)
}

/// All bytes until the gateway closes the connection.
async fn read_all(mut stream: TcpStream) -> anyhow::Result<String> {
    let mut answer = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), async {
        let mut chunk = [0; 4096];
        // A reset after the answer does not affect the bytes that were read.
        while let Ok(length @ 1..) = stream.read(&mut chunk).await {
            answer.extend_from_slice(&chunk[..length]);
        }
    })
    .await
    .context("the gateway answers and closes")?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
