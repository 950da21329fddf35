//! A collector that uses TLS and requires a certificate of the service.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Collector, Shape, metric, run, until_ok};

const WITHIN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn spans_reach_a_collector_over_tls_that_both_sides_trust() -> anyhow::Result<()> {
    let collector = Collector::start_secured()?;
    let environment = collector.environment();
    run(Shape { environment, gateways: 1, ..Shape::default() }, async |cluster| {
        cluster.clients()?[0].put(b"key", "value").await?.expect(201)?;
        until_ok("spans of gateway and node", WITHIN, async || {
            let spans = collector.spans();
            for service in ["ringkv-gateway", "ringkv-storage-node"] {
                ensure!(spans.iter().any(|span| span.service == service), "none of {service}");
            }
            Ok(())
        })
        .await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_nobody_vouches_for_gets_no_span() -> anyhow::Result<()> {
    let collector = Collector::start_secured()?;
    let mut environment = collector.environment();
    environment.retain(|(name, _)| *name != "OTEL_EXPORTER_OTLP_CERTIFICATE");
    run(Shape { environment, gateways: 1, ..Shape::default() }, async |cluster| {
        cluster.clients()?[0].put(b"key", "value").await?.expect(201)?;
        until_ok("lost spans", WITHIN, async || {
            let metrics = &cluster.gateways[0].metrics;
            let dropped = metric(metrics, "ringkv_trace_spans_dropped_total").await?;
            ensure!(dropped > 0.0, "none is lost");
            Ok(())
        })
        .await?;
        ensure!(
            collector.spans().is_empty(),
            "sent to an untrusted collector: {:?}",
            collector.spans()
        );
        Ok(())
    })
    .await
}
