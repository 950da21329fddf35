//! The end of a gateway: unready, drained, gone.

use std::time::Duration;

use ringkv_client::fake::Step;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{Gateway, PATIENCE, read_reply};

async fn stopped(gateway: &mut Gateway) {
    let served = tokio::time::timeout(PATIENCE, &mut gateway.served).await;
    served.expect("it stops").expect("it does not panic").expect("it stops cleanly");
}

#[tokio::test]
async fn open_requests_are_answered_and_idle_connections_closed() {
    let mut gateway = Gateway::start(&[]).await;
    let mut idle = gateway.connect().await;
    idle.write_all(b"GET /livez HTTP/1.1\r\nHost: t\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    gateway.fake.script(1, [Step::Hang]);
    let mut open = gateway.connect().await;
    let request =
        b"PUT /kv/a HTTP/1.1\r\nHost: t\r\nKV-Timeout-Ms: 300\r\nContent-Length: 0\r\n\r\n";
    open.write_all(request).await.unwrap();
    while gateway.fake.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.shutdown.cancel();
    let reply = read_reply(&mut open).await;
    assert_eq!(reply.problem(), (504, "outcome_unknown".into(), "unknown".into()));
    assert_eq!(reply.header("connection"), Some("close"));
    let mut rest = Vec::new();
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    stopped(&mut gateway).await;
    assert!(TcpStream::connect(gateway.address).await.is_err());
}

#[tokio::test]
async fn a_request_that_outlasts_the_drain_is_cut() {
    let mut gateway = Gateway::start(&["--drain-ms=50"]).await;
    gateway.fake.script(1, [Step::Hang]);
    let mut open = gateway.connect().await;
    let request =
        b"PUT /kv/a HTTP/1.1\r\nHost: t\r\nKV-Timeout-Ms: 30000\r\nContent-Length: 0\r\n\r\n";
    open.write_all(request).await.unwrap();
    while gateway.fake.seen().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.shutdown.cancel();
    stopped(&mut gateway).await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, open.read_to_end(&mut rest)).await;
    let _ = read.expect("the connection is cut");
    assert!(rest.is_empty());
}

#[tokio::test]
async fn it_is_unready_while_it_still_serves() {
    let mut gateway = Gateway::start(&["--unready-ms=1500"]).await;
    gateway.shutdown.cancel();
    let unready = async {
        while gateway.get("/readyz").await.status != 503 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, unready).await.unwrap();
    assert_eq!(gateway.put("/kv/a", b"x").await.status, 201);
    stopped(&mut gateway).await;
}
