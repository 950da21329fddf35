//! A replica whose state does not match its log, as after a fault of memory or of this software.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use reqwest::Method;
use ringkv_cluster_tests::{
    Cluster, Gateway, PathForm, Shape, group_of, group_status, leader_of, metric, run, send,
    until_ok,
};
use ringkv_storage_core::keys;
use ringkv_storage_core::store::{SnapshotStore as _, Store, Write};
use ringkv_storage_node::store::{RocksSettings, RocksStore};
use ringkv_topology::{GroupId, SlotCount};

/// The number of entries after which replicas have compared their checksums at least once.
const ENTRIES: usize = 2_100;
const FOUND_WITHIN: Duration = Duration::from_secs(20);

/// One tag: all keys of this test are in one slot, so in one group's log.
fn key(number: usize) -> String {
    format!("{{diverged}}/{number}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_differs_from_the_majority_is_found_and_rebuilt() -> anyhow::Result<()> {
    run(Shape::default(), async |cluster| {
        let gateway = cluster.clients()?.swap_remove(0);
        let group = group_of(cluster, key(0).as_bytes()).await?;
        let leader = leader_of(cluster, group).await?.node;
        let wrong = (leader + 1) % cluster.nodes.len();
        let before = until_ok("a group at rest", FOUND_WITHIN, async || {
            let leads = group_status(&cluster.nodes[leader].address, group).await?;
            let follows = group_status(&cluster.nodes[wrong].address, group).await?;
            ensure!(leads.applied_index == leads.last_index, "the leader applies");
            ensure!(follows.applied_index == leads.last_index, "the follower applies");
            Ok(leads.last_index)
        })
        .await?;
        gateway.put(key(0).as_bytes(), "lost on one replica").await?.expect(201)?;
        until_ok("the write on the follower", FOUND_WITHIN, async || {
            let applied = group_status(&cluster.nodes[wrong].address, group).await?.applied_index;
            ensure!(applied > before, "applied {applied}, {before} before");
            Ok(())
        })
        .await?;
        let node = &mut cluster.nodes[wrong];
        node.stop(Duration::from_secs(20)).await?;
        lose(&node.data.join("data"), group, key(0).as_bytes())?;
        node.start()?;
        node.ready().await?;

        // From here on the outcomes differ: the others delete records that are absent on this one.
        let delete = gateway.on_key(Method::DELETE, key(0).as_bytes(), PathForm::Path);
        send(delete).await?.expect(204)?;
        write(&gateway, 1..ENTRIES).await?;
        until_ok("the rebuild", FOUND_WITHIN, async || {
            let first = group_status(&cluster.nodes[wrong].address, group).await?.first_index;
            // Far below the length at which logs are cut: only a snapshot moves the log's start.
            ensure!(first > ENTRIES as u64 / 2, "the log begins at {first}");
            Ok(())
        })
        .await?;
        let times = found(cluster, wrong).await?;
        ensure!(times == 1.0, "found {times} times");

        // It agrees now: no further difference is found, and it can become leader.
        write(&gateway, ENTRIES..2 * ENTRIES).await?;
        let heard = heartbeats(cluster).await?;
        until_ok("three more heartbeats of each node", FOUND_WITHIN, async || {
            let now = heartbeats(cluster).await?;
            ensure!(now >= heard + 3.0 * cluster.nodes.len() as f64, "{heard} then, {now} now");
            Ok(())
        })
        .await?;
        let times = found(cluster, wrong).await?;
        ensure!(times == 1.0, "found {times} times, the last after the rebuild");
        let leader = leader_of(cluster, group).await?.node;
        let victim = if leader == wrong { (wrong + 1) % cluster.nodes.len() } else { leader };
        cluster.nodes[victim].kill();
        for number in (1..2 * ENTRIES).step_by(53) {
            let answer = gateway.get(key(number).as_bytes()).await?;
            answer.expect(200).with_context(|| key(number))?;
        }
        gateway.get(key(0).as_bytes()).await?.expect(404)?;
        Ok(())
    })
    .await
}

/// Removes a record directly from the store, without the state machine.
fn lose(data: &Path, group: u64, key: &[u8]) -> anyhow::Result<()> {
    let store = RocksStore::open(data, &RocksSettings::default())?;
    let slots = SlotCount::new(4096).context("a power of two")?;
    let key = keys::record(GroupId(group), slots.slot_of(key), key);
    ensure!(store.get(&key)?.is_some(), "the record is not where this test looks for it");
    store.write(vec![Write { key, value: None }])?;
    Ok(store.flush()?)
}

/// Writes one key after the other, so that each write is a separate entry.
async fn write(gateway: &Gateway, numbers: std::ops::Range<usize>) -> anyhow::Result<()> {
    for number in numbers {
        gateway.put(key(number).as_bytes(), "v").await?.expect(201)?;
    }
    Ok(())
}

/// How many times a difference of the node was found.
async fn found(cluster: &Cluster, node: usize) -> anyhow::Result<f64> {
    let series = "ringkv_checksum_mismatch_total{what=\"replica\"}";
    metric(&cluster.nodes[node].metrics, series).await
}

/// The number of heartbeats that placement has received.
async fn heartbeats(cluster: &Cluster) -> anyhow::Result<f64> {
    let mut sum = 0.0;
    for replica in &cluster.placement {
        sum += metric(&replica.metrics, "ringkv_placement_heartbeats_total").await?;
    }
    Ok(sum)
}
