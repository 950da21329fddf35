use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::health::Health;

async fn page(address: SocketAddr, request: &str) -> String {
    raw(address, &format!("{request} HTTP/1.1")).await
}

/// Sends a request's first lines, without the end of the last.
async fn raw(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request}\r\nhost: test\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn started(health: &Health) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
    let pages = OperatorPages::new("test", health.clone()).unwrap();
    let listener = crate::bind::tcp("--metrics-listen", "127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let token = shutdown.clone();
    let task = tokio::spawn(async move { serve(listener, pages, token).await.unwrap() });
    (address, shutdown, task)
}

#[tokio::test]
async fn readiness_follows_the_health_and_names_the_reason() {
    let health = Health::starting(["placement"]);
    let (address, ..) = started(&health);
    let unready = page(address, "GET /readyz").await;
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert!(unready.ends_with("placement: starting\n"), "{unready}");
    assert!(page(address, "GET /livez").await.starts_with("HTTP/1.1 200 "));
    health.ready("placement");
    assert!(page(address, "GET /readyz").await.starts_with("HTTP/1.1 200 "));
    health.dead("disk lost");
    assert!(page(address, "GET /healthz").await.starts_with("HTTP/1.1 503 "));
}

#[tokio::test]
async fn a_scraper_gets_the_format_it_asks_for() {
    let (address, ..) = started(&Health::default());
    let asked =
        "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0,*/*;q=0.1";
    let page = raw(address, asked).await;
    assert!(page.contains("content-type: application/openmetrics-text; version=1.0.0;"), "{page}");
    assert!(page.ends_with("\n# EOF\n"), "{page}");
    let plain = self::page(address, "GET /metrics").await;
    assert!(plain.contains("content-type: text/plain; version=0.0.4"), "{plain}");
}

#[tokio::test]
async fn metrics_carry_help_and_process_series() {
    let (address, ..) = started(&Health::default());
    let text = page(address, "GET /metrics").await;
    for line in [
        "# HELP ringkv_build_info ",
        "# TYPE process_cpu_seconds_total counter",
        "process_resident_memory_bytes ",
        "ringkv_ready 1",
    ] {
        assert!(text.contains(line), "no {line:?} in {text}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let (address, ..) = started(&Health::default());
    assert!(page(address, "GET /").await.starts_with("HTTP/1.1 404 "));
    assert!(page(address, "POST /metrics").await.starts_with("HTTP/1.1 405 "));
}

#[tokio::test]
async fn garbage_leaves_the_port_serving_and_shutdown_ends_it() {
    let (address, shutdown, task) = started(&Health::default());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&[0xff; 4096]).await.unwrap();
    let mut answer = Vec::new();
    // An error status or a reset, as the server likes; only that it ends matters.
    let _ended = stream.read_to_end(&mut answer).await;
    assert!(page(address, "GET /livez").await.starts_with("HTTP/1.1 200 "));
    shutdown.cancel();
    task.await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}
