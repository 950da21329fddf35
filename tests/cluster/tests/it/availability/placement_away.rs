//! All placement replicas stopped: reads and writes continue.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, run};

#[tokio::test(flavor = "multi_thread")]
async fn reads_and_writes_go_on_without_any_placement_replica() -> anyhow::Result<()> {
    run(Shape { placement: 3, ..Shape::default() }, async |cluster| {
        let gateways = cluster.clients()?;
        let before = Load::start("before", &gateways);
        before.progress(200, Duration::from_secs(20)).await?;
        let before = before.stop().await?;

        for replica in &mut cluster.placement {
            replica.kill();
        }

        let load = Load::start("without-placement", &gateways);
        load.progress(2_000, Duration::from_secs(20)).await?;
        // Also leader changes: they need no placement.
        cluster.nodes[0].kill();
        load.progress(1_000, Duration::from_secs(20)).await?;
        // And a node restarts from its own data directory.
        cluster.nodes[0].start()?;
        cluster.nodes[0].ready().await?;
        cluster.nodes[1].kill();
        load.progress(1_000, Duration::from_secs(20)).await?;

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await?;
        before.check(&gateways).await
    })
    .await
}
