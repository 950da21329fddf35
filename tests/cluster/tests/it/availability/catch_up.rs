//! A follower that was down for longer than the others keep their log.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use ringkv_cluster_tests::{
    Cluster, Gateway, Shape, group_of, group_status, leader_of, run, until_ok,
};
use tokio::task::JoinSet;

const WRITES: usize = 30_000;
/// Few writers, so that few writes share a log entry and the log reaches its limit early.
const WRITERS: usize = 24;
/// Far below the default, for the same reason.
const LOG_ENTRIES_MAX: u64 = 1_000;
const VALUE_BYTES: usize = 100;

/// One tag: all keys of this test are in one slot, so in one group's log.
fn key(number: usize) -> String {
    format!("{{away}}/{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn follower_away_for_30_000_writes_catches_up_by_snapshot() -> anyhow::Result<()> {
    let node_flags = vec![format!("--log-entries-max={LOG_ENTRIES_MAX}")];
    run(Shape { node_flags, ..Shape::default() }, async |cluster| {
        let gateways = cluster.clients()?;
        let group = group_of(cluster, key(0).as_bytes()).await?;
        write(&gateways, 0..100).await?;
        let leader = leader_of(cluster, group).await?.node;
        let away = (leader + 1) % cluster.nodes.len();
        let last_seen = group_status(&cluster.nodes[away].address, group).await?.last_index;
        cluster.nodes[away].kill();

        write(&gateways, 100..WRITES).await?;

        let kept_from =
            until_ok("a cut of the leader's log", Duration::from_secs(10), async || {
                let leader = leader_of(cluster, group).await?.node;
                let first = group_status(&cluster.nodes[leader].address, group).await?.first_index;
                ensure!(first > last_seen + 1, "the log still begins at {first}");
                Ok(first)
            })
            .await?;
        cluster.nodes[away].start()?;
        cluster.nodes[away].ready().await?;
        caught_up(cluster, group, away).await?;

        // Entries of the gap are no longer available, so its new log start comes from a snapshot.
        let first = group_status(&cluster.nodes[away].address, group).await?.first_index;
        ensure!(
            first > last_seen + 1,
            "no snapshot: its log begins at {first}, ended at {last_seen}, leader had {kept_from}"
        );
        serves_alone_with(cluster, &gateways, leader).await
    })
    .await
}

async fn caught_up(cluster: &Cluster, group: u64, node: usize) -> anyhow::Result<()> {
    until_ok("the follower catching up", Duration::from_secs(20), async || {
        let leader = leader_of(cluster, group).await?.node;
        let goal = group_status(&cluster.nodes[leader].address, group).await?.applied_index;
        let applied = group_status(&cluster.nodes[node].address, group).await?.applied_index;
        ensure!(applied >= goal, "applied {applied} of {goal}");
        Ok(())
    })
    .await
}

/// The recovered follower has the data: without the old leader a quorum needs it, and it may
/// itself become the leader.
async fn serves_alone_with(
    cluster: &mut Cluster,
    gateways: &[Gateway],
    killed: usize,
) -> anyhow::Result<()> {
    cluster.nodes[killed].kill();
    for number in (0..WRITES).step_by(97).chain([WRITES - 1]) {
        let answer = gateways[number % gateways.len()].get(key(number).as_bytes()).await?;
        let body = answer.expect(200).with_context(|| key(number))?.body;
        ensure!(body == value(number), "{} holds {body:?}", key(number));
    }
    Ok(())
}

fn value(number: usize) -> Bytes {
    format!("{number:0VALUE_BYTES$}").into()
}

async fn write(gateways: &[Gateway], numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let gateway = gateways[writer % gateways.len()].clone();
        let mine = numbers.clone().skip(writer).step_by(WRITERS);
        writers.spawn(async move {
            for number in mine {
                gateway.put(key(number).as_bytes(), value(number)).await?.expect(201)?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(writer) = writers.join_next().await {
        writer.context("join a writer")??;
    }
    Ok(())
}
