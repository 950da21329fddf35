//! kill -9 of every process at once, under load.

use std::time::Duration;

use ringkv_cluster_tests::{Load, Shape, run};

#[tokio::test(flavor = "multi_thread")]
async fn every_acknowledged_write_survives_a_crash_of_every_process() -> anyhow::Result<()> {
    run(Shape { placement: 3, ..Shape::default() }, async |cluster| {
        let gateways = cluster.clients()?;
        let mut reports = Vec::new();
        // Twice: the second crash affects processes that have already recovered once.
        for round in ["first", "second"] {
            let load = Load::start(round, &gateways);
            load.progress(2_000, Duration::from_secs(20)).await?;
            cluster.kill_all();
            reports.push(load.stop().await?);
            cluster.start()?;
            cluster.ready().await?;
            for report in &reports {
                report.check(&gateways).await?;
            }
        }
        Ok(())
    })
    .await
}
