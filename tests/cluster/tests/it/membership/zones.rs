//! Three zones: every group has a replica in each, and losing one zone loses nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, run, topology_of};

#[tokio::test(flavor = "multi_thread")]
async fn one_zone_of_three_is_lost_and_nothing_with_it() -> anyhow::Result<()> {
    let zones = ["a", "a", "b", "b", "c", "c"];
    let shape = Shape { nodes: 6, zones: zones.map(str::to_owned).to_vec(), ..Shape::default() };
    run(shape, async |cluster| {
        let gateways = cluster.clients()?;
        let topology = topology_of(cluster).await?;
        for group in &topology.groups {
            let zone =
                |node: u64| topology.nodes.iter().find(|it| it.id == node).map(|it| &it.zone);
            let zones: BTreeSet<_> = group.replicas.iter().map(|it| zone(it.node)).collect();
            ensure!(zones.len() == 3, "group {} is in {zones:?}", group.id);
        }
        let load = Load::start("zones", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;
        cluster.nodes[0].kill();
        cluster.nodes[1].kill();
        load.progress(1_000, Duration::from_secs(20)).await?;
        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}
