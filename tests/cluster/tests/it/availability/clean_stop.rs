//! SIGTERM: the node transfers its leadership, and the process exits with code 0.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, all_groups_led, run, until_ok};

/// Shorter than any election timeout (at least 500 ms): without a transfer of its leadership a
/// group could not have a leader yet.
const HANDED_OVER_WITHIN: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn terminated_node_hands_leadership_over_and_exits_0() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        until_ok("leaders", Duration::from_secs(10), async || all_groups_led(cluster).await)
            .await?;
        let load = Load::start("clean-stop", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;

        for stopping in 0..3 {
            let status = cluster.nodes[stopping].stop(Duration::from_secs(15)).await?;
            until_ok("leaders", HANDED_OVER_WITHIN, async || all_groups_led(cluster).await).await?;
            ensure!(status.code() == Some(0), "node ended with {status}");
            load.progress(200, Duration::from_secs(20)).await?;
            cluster.nodes[stopping].start()?;
            cluster.nodes[stopping].ready().await?;
        }

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn terminated_gateway_and_placement_exit_0() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        for service in [&mut cluster.gateways[0], &mut cluster.placement[0]] {
            let status = service.stop(Duration::from_secs(15)).await?;
            ensure!(status.code() == Some(0), "{} ended with {status}", service.name);
        }
        cluster.clients()?[1].put(b"key", "still served").await?.expect(201)?;
        Ok(())
    })
    .await
}
