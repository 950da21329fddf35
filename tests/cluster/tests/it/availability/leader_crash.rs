//! kill -9 of a leader, under load.

use std::time::Duration;

use anyhow::ensure;
use ringkv_cluster_tests::{Load, Shape, group_of, leader_of, run, until_ok};

/// The most that clients may notice of a crashed leader: the duration of the longest write, from
/// its first attempt to its acknowledgement.
const BACK_WITHIN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn crashed_leader_costs_no_write_no_error_and_less_than_two_seconds() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let group = group_of(cluster, b"any key").await?;
        let before = leader_of(cluster, group).await?;
        let load = Load::start("leader-crash", &gateways);
        load.progress(500, Duration::from_secs(20)).await?;

        cluster.nodes[before.node].kill();

        // Writes to all groups must continue: every worker writes to all of them in turn.
        load.progress(2_000, Duration::from_secs(20)).await?;
        let after = until_ok("a new leader", Duration::from_secs(5), async || {
            leader_of(cluster, group).await
        })
        .await?;
        ensure!(after.node != before.node && after.term > before.term, "{before:?} → {after:?}");

        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        ensure!(report.slowest < BACK_WITHIN, "a write took {:?}", report.slowest);
        report.check(&gateways).await?;

        cluster.nodes[before.node].start()?;
        cluster.nodes[before.node].ready().await?;
        report.check(&gateways).await
    })
    .await
}
