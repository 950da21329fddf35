//! A trace collector that is slow or unreachable: requests are not affected.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Cluster, Shape, free_port, metric, run, until_ok};

const REQUESTS: usize = 500;

/// Everything is sampled by default; the queue has room for few spans.
fn shape(endpoint: String) -> Shape {
    let environment = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "300".to_owned()),
        ("OTEL_BSP_SCHEDULE_DELAY", "50".to_owned()),
        ("OTEL_BSP_MAX_QUEUE_SIZE", "64".to_owned()),
    ];
    Shape { environment, gateways: 1, ..Shape::default() }
}

/// Writes, checks that spans are dropped, and stops everything cleanly.
async fn check(cluster: &mut Cluster) -> anyhow::Result<()> {
    let gateway = &cluster.clients()?[0];
    for number in 0..REQUESTS {
        let answer = gateway.put(format!("key {number}").as_bytes(), "value").await?;
        ensure!(!answer.header("traceparent").is_empty(), "not sampled: {:?}", answer.headers);
        answer.expect(201)?;
    }
    until_ok("lost spans", Duration::from_secs(10), async || {
        let dropped =
            metric(&cluster.gateways[0].metrics, "ringkv_trace_spans_dropped_total").await?;
        ensure!(dropped > 0.0, "none is lost");
        Ok(())
    })
    .await?;
    let complaints =
        cluster.gateways[0].log()?.matches("the trace collector takes no spans").count();
    ensure!(complaints <= 1, "{complaints} complaints within a minute");
    let stopped = cluster.gateways[0].stop(Duration::from_secs(5)).await?;
    ensure!(stopped.code() == Some(0), "the gateway ended with {stopped}");
    let stopped = cluster.nodes[0].stop(Duration::from_secs(15)).await?;
    ensure!(stopped.code() == Some(0), "the node ended with {stopped}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_never_answers_costs_spans_and_no_request() -> anyhow::Result<()> {
    // The kernel completes connections, but no program accepts them.
    let stuck = TcpListener::bind("127.0.0.1:0")?;
    run(shape(format!("http://{}", stuck.local_addr()?)), check).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_costs_spans_and_no_request() -> anyhow::Result<()> {
    run(shape(format!("http://127.0.0.1:{}", free_port()?)), check).await
}
