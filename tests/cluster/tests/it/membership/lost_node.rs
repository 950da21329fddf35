//! A node is lost with its disk, or for longer than `replace-after`: its replicas are whole again on
//! another node, and by themselves.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, ringkv, run};

use super::shape_of::spread_over;

/// The shortest that the setting allows.
const REPLACE_AFTER: Duration = Duration::from_secs(10);
/// Replicas are whole again within this of it, with data this small.
const WHOLE: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stays_away_is_replaced_after_the_time_set() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let spare = cluster.add_node()?;
        cluster.nodes[spare].start()?;
        spread_over(cluster, &[0, 1, 2, 3], 3, Duration::from_secs(60)).await?;
        let admin = cluster.placement_admin();
        let set = ["settings", "set", "replace-after", "10s", admin.as_str()];
        let set = ringkv(&set, b"").await?;
        ensure!(set.code == 0, "{set:?}");

        let load = Load::start("lost", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;
        cluster.nodes[1].kill();
        // Five missed heartbeats go by before a node counts as silent.
        spread_over(cluster, &[0, 2, 3], 3, REPLACE_AFTER + WHOLE).await?;
        load.progress(500, Duration::from_secs(20)).await?;

        // Back with its disk: it is used again, and not a byte of what it had is trusted.
        cluster.nodes[1].start()?;
        spread_over(cluster, &[0, 1, 2, 3], 3, Duration::from_secs(60)).await?;

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_lost_its_disk_is_filled_again_under_new_replicas() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let admin = cluster.placement_admin();
        let set = ["settings", "set", "replace-after", "10s", admin.as_str()];
        let set = ringkv(&set, b"").await?;
        ensure!(set.code == 0, "{set:?}");
        let load = Load::start("disk", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;

        cluster.nodes[2].kill();
        std::fs::remove_dir_all(&cluster.nodes[2].data)?;
        cluster.nodes[2].start()?;
        spread_over(cluster, &[0, 1, 2], 3, REPLACE_AFTER + WHOLE + WHOLE).await?;

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}
