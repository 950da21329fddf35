//! topology, node list, node stop and node start against a running cluster.

use std::time::Duration;

use anyhow::{Context, ensure};
use ringkv_cluster_tests::{Load, Shape, ringkv, run};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_stopped_and_started_again() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let url = format!("--gateway=http://{}", cluster.gateways[0].address);
        let address = cluster.nodes[1].address.clone();

        let list = ringkv(&["node", "list", &url], b"").await?;
        let text = String::from_utf8_lossy(&list.stdout);
        ensure!(list.code == 0, "{list:?}");
        for node in &cluster.nodes {
            ensure!(text.contains(&node.address), "{} is not in: {text}", node.address);
        }
        let topology = ringkv(&["topology", &url], b"").await?;
        ensure!(topology.code == 0, "{topology:?}");
        let json = ringkv(&["topology", &url, "--json"], b"").await?;
        serde_json::from_slice::<serde_json::Value>(&json.stdout).context("topology --json")?;

        let load = Load::start("node-stop", &gateways);
        load.progress(200, Duration::from_secs(20)).await?;
        let stopped = ringkv(&["node", "stop", &address], b"").await?;
        ensure!(stopped.code == 0, "{stopped:?}");
        let status = cluster.nodes[1].exit(Duration::from_secs(15)).await?;
        ensure!(status.code() == Some(0), "a clean stop ended with {status}");
        load.progress(200, Duration::from_secs(20)).await?;

        // The command runs a node itself, on the directory of the stopped one.
        cluster.nodes[1].start_by("ringkv", &["node", "start"])?;
        cluster.nodes[1].ready().await?;
        load.progress(200, Duration::from_secs(20)).await?;
        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);

        let stopped = ringkv(&["node", "stop", &address, "--now"], b"").await?;
        ensure!(stopped.code == 0, "{stopped:?}");
        let status = cluster.nodes[1].exit(Duration::from_secs(5)).await?;
        ensure!(status.code() != Some(0), "an immediate stop ended with {status}");
        let gone = ringkv(&["node", "stop", &address], b"").await?;
        ensure!(gone.code == 3, "{gone:?}");
        report.check(&gateways).await
    })
    .await
}
