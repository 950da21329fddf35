//! Three nodes become five and three again, under readers and writers.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, ringkv, run};

use super::shape_of::spread_over;

/// A joining node has its share within a minute.
const SPREAD: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn three_nodes_become_five_and_three_again_without_an_error() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let admin = cluster.placement_admin();
        let load = Load::start("grow", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;

        for _ in 0..2 {
            let node = cluster.add_node()?;
            cluster.nodes[node].start()?;
        }
        spread_over(cluster, &[0, 1, 2, 3, 4], 3, SPREAD).await?;
        load.progress(500, Duration::from_secs(20)).await?;

        // Two of the first three, so that every group changes a majority of its founders.
        for node in [0, 1] {
            let address = cluster.nodes[node].address.clone();
            let drained = ringkv(&["node", "drain", &address, &admin], b"").await?;
            ensure!(drained.code == 0, "{drained:?}");
        }
        spread_over(cluster, &[2, 3, 4], 3, SPREAD * 2).await?;
        for node in [0, 1] {
            let stopped = cluster.nodes[node].stop(Duration::from_secs(15)).await?;
            ensure!(stopped.code() == Some(0), "a drained node ended with {stopped}");
        }
        load.progress(500, Duration::from_secs(20)).await?;

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}
