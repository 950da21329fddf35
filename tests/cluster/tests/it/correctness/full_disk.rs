//! A disk without space: told so, nothing lost, and all well again once there is space.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use ringkv_cluster_tests::{Answer, Cluster, Gateway, Shape, Tmpfs, run, until_ok};

const DISK_MEBIBYTES: u32 = 192;
const VALUE_BYTES: usize = 512 * 1024;
/// More values than fit the disk.
const WRITES_MAX: usize = 800;

fn one_node(disk: &Tmpfs, free_min: &str) -> Shape {
    Shape {
        nodes: 1,
        replication_factor: 1,
        node_data: Some(disk.path().to_owned()),
        node_flags: vec![format!("--disk-free-min={free_min}")],
        ..Shape::default()
    }
}

/// A mount, or the reason (printed) why this machine cannot run the test.
fn disk() -> Option<Tmpfs> {
    match Tmpfs::mount(DISK_MEBIBYTES) {
        Ok(disk) => Some(disk),
        Err(error) => {
            let reason = format!("SKIPPED: a small tmpfs cannot be mounted here: {error:#}");
            writeln!(std::io::stderr(), "{reason}").expect("standard error is open");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nearly_full_disk_refuses_writes_but_reads_and_deletes_go_on() -> anyhow::Result<()> {
    let Some(disk) = disk() else { return Ok(()) };
    run(one_node(&disk, "33554432"), async |cluster| {
        let gateway = &cluster.clients()?[0];
        let (written, refusal) = fill(gateway).await?;
        ensure!(refusal.status == 507, "expected 507, got {}", refusal.shown());
        let problem: serde_json::Value = serde_json::from_slice(&refusal.body)?;
        ensure!(problem["code"] == "no_space", "{problem}");
        ensure!(problem["outcome"] == "not_applied", "{problem}");

        gateway.get(&key(written)).await?.expect(404).context("the refused write")?;
        all_there(gateway, written).await?;
        delete(gateway, &key(0)).await?.expect(204)?;

        disk.resize(4 * DISK_MEBIBYTES)?;
        until_ok("writes after space was made", Duration::from_secs(15), async || {
            gateway.put(b"after", "space").await?.expect(201)
        })
        .await?;
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn full_disk_loses_no_acknowledged_write() -> anyhow::Result<()> {
    let Some(disk) = disk() else { return Ok(()) };
    // A watermark of one byte does not protect: writes meet the full disk itself.
    run(one_node(&disk, "1"), async |cluster| {
        let gateway = cluster.clients()?[0].clone();
        let (written, refusal) = fill(&gateway).await?;
        let problem: serde_json::Value =
            serde_json::from_slice(&refusal.body).with_context(|| refusal.shown())?;
        ensure!(!problem["outcome"].is_null(), "no outcome: {problem}");

        disk.resize(4 * DISK_MEBIBYTES)?;
        restart(cluster).await?;
        all_there(&gateway, written).await?;
        gateway.put(b"after", "space").await?.expect(201)?;
        Ok(())
    })
    .await
}

/// The node may have ended by itself, which is what supervisors are for; if not, it is made to.
async fn restart(cluster: &mut Cluster) -> anyhow::Result<()> {
    let node = &mut cluster.nodes[0];
    node.kill();
    node.start()?;
    node.ready().await?;
    cluster.ready().await
}

/// Writes until a write is not acknowledged: how many were, and the answer to the first that was
/// not.
async fn fill(gateway: &Gateway) -> anyhow::Result<(usize, Answer)> {
    for number in 0..WRITES_MAX {
        let answer = gateway.put(&key(number), value(number)).await?;
        if !answer.is_success() {
            ensure!(number > 10, "the disk was full at once: {}", answer.shown());
            return Ok((number, answer));
        }
    }
    anyhow::bail!("{WRITES_MAX} writes did not fill the disk")
}

async fn all_there(gateway: &Gateway, written: usize) -> anyhow::Result<()> {
    for number in 0..written {
        let answer = gateway.get(&key(number)).await?.expect(200)?;
        ensure!(answer.body == value(number), "write {number} of {written} was lost");
    }
    Ok(())
}

async fn delete(gateway: &Gateway, key: &[u8]) -> anyhow::Result<Answer> {
    use ringkv_cluster_tests::{PathForm, send};
    send(gateway.on_key(reqwest::Method::DELETE, key, PathForm::Path)).await
}

fn key(number: usize) -> Vec<u8> {
    format!("fill/{number}").into_bytes()
}

/// Incompressible, so that the disk fills as fast as the values say.
fn value(number: usize) -> Bytes {
    use rand::{RngCore, SeedableRng};
    let mut value = vec![0; VALUE_BYTES];
    rand::rngs::StdRng::seed_from_u64(number as u64).fill_bytes(&mut value);
    value.into()
}
