//! Data directories of placement are lost: one of three, and the only one.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use ringkv_cluster_tests::{Cluster, Load, Shape, ringkv, run, status};

/// A replica that starts empty is a full one within this.
const BACK: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_placement_replica_is_back_and_clients_see_nothing() -> anyhow::Result<()> {
    run(Shape { placement: 3, ..Shape::default() }, async |cluster| {
        let gateways = cluster.clients()?;
        let load = Load::start("placement-wiped", &gateways);
        load.progress(200, Duration::from_secs(20)).await?;
        for at in 0..3 {
            cluster.placement[at].ready().await?;
            let epoch = status(&cluster.nodes[0].address).await?.epoch;
            cluster.placement[at].kill();
            std::fs::remove_dir_all(&cluster.placement[at].data)?;
            cluster.placement[at].start()?;
            let began = Instant::now();
            cluster.placement[at].ready().await?;
            let took = began.elapsed();
            ensure!(took < BACK, "placement {} is back after {took:?}", at + 1);
            ensure!(status(&cluster.nodes[0].address).await?.epoch >= epoch);
        }
        load.progress(500, Duration::from_secs(20)).await?;
        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_placement_is_recovered_by_the_commands_of_its_runbook() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateways = cluster.clients()?;
        let load = Load::start("placement-lost", &gateways);
        load.progress(200, Duration::from_secs(20)).await?;
        let before = status(&cluster.nodes[0].address).await?;
        cluster.placement[0].kill();
        let data_dir = cluster.placement[0].data.clone();
        std::fs::remove_dir_all(&data_dir)?;

        let one = ["recover", "placement", "plan", "--nodes", &cluster.nodes[0].address];
        let refused = ringkv(&one, b"").await?;
        ensure!(refused.code == 1, "one of three nodes is no majority: {refused:?}");
        for command in runbook(cluster, &data_dir)? {
            let done = ringkv(&command, b"").await?;
            ensure!(done.code == 0, "{command:?}: {done:?}");
        }
        cluster.placement[0].start()?;
        cluster.placement[0].ready().await?;

        let added = cluster.add_node()?;
        cluster.nodes[added].start()?;
        cluster.nodes[added].ready().await?;
        let after = status(&cluster.nodes[added].address).await?;
        ensure!(after.cluster == before.cluster, "another cluster: {after:?}");
        ensure!(
            after.epoch >= before.epoch + 1_000_000,
            "no gap: {} {}",
            before.epoch,
            after.epoch
        );
        ensure!(after.node > 1_000_000, "an id that may be in use: {}", after.node);
        load.progress(500, Duration::from_secs(20)).await?;
        let report = load.stop().await?;
        ensure!(report.shortfalls.is_empty(), "clients saw errors: {:?}", report.shortfalls);
        report.check(&gateways).await
    })
    .await
}

/// The commands of the runbook as written, with the variables that it names.
fn runbook(cluster: &Cluster, data_dir: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/runbooks/placement-lost.md");
    let page = std::fs::read_to_string(&page).context("read the runbook")?;
    let nodes: Vec<&str> = cluster.nodes.iter().map(|node| node.address.as_str()).collect();
    let peers = format!("1={}", cluster.placement[0].address);
    let data_dir = data_dir.display().to_string();
    let variables =
        [("\"$NODES\"", nodes.join(",")), ("\"$PEERS\"", peers), ("\"$DATA_DIR\"", data_dir)];
    let lines = page.lines().filter_map(|line| line.trim().strip_prefix("ringkv "));
    let commands: Vec<Vec<String>> = lines
        .map(|line| {
            let words = line.split_whitespace().map(|word| {
                let variable = variables.iter().find(|(name, _)| *name == word);
                variable.map_or(word, |(_, value)| value).to_owned()
            });
            words.collect()
        })
        .collect();
    ensure!(commands.len() == 2, "the runbook has {} commands", commands.len());
    Ok(commands)
}
