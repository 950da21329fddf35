//! A full disk: the node reports it, loses no data, and recovers when there is space again.
//!
//! A file of another program takes the space, as on real machines: the file is on the small tmpfs
//! that the node uses.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use reqwest::Method;
use ringkv_cluster_tests::{Answer, Cluster, Gateway, PathForm, Shape, Tmpfs, run, send, until_ok};
use tokio::task::JoinSet;

const DISK_MEBIBYTES: u32 = 256;
const VALUE_BYTES: usize = 32 * 1024;
const VALUES: usize = 100;
/// Deletes with keys of 4 KiB: several times the space that a log reserves ahead.
const DELETES_MAX: usize = 50_000;
const DELETE_CLIENTS: usize = 32;
/// Longer than the node's interval between two checks of its disk.
const NOTICED_WITHIN: Duration = Duration::from_secs(5);

/// A file that occupies space until it is dropped.
struct Filler(PathBuf);

impl Filler {
    /// Leaves about `free_bytes`.
    fn leaving(disk: &Tmpfs, free_bytes: u64) -> anyhow::Result<Self> {
        let filler = Self(disk.path().join("filler"));
        let stat = rustix::fs::statvfs(disk.path())?;
        let available = stat.f_bavail * stat.f_frsize;
        let taken = available.checked_sub(free_bytes).context("the disk has that much")?;
        let mut file = File::create(&filler.0)?;
        let chunk = vec![1; 64 * 1024];
        for _ in 0..taken / 65_536 {
            // The node writes too: the disk may be full slightly earlier than computed.
            if file.write_all(&chunk).is_err() {
                break;
            }
        }
        Ok(filler)
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // The file may not exist.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A mount; prints the reason if this machine cannot run the test.
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

fn one_node(disk: &Tmpfs) -> Shape {
    Shape {
        nodes: 1,
        gateways: 1,
        replication_factor: 1,
        node_data: Some(disk.path().to_owned()),
        ..Shape::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nearly_full_disk_refuses_puts_but_reads_and_deletes_go_on() -> anyhow::Result<()> {
    let Some(disk) = disk() else { return Ok(()) };
    run(one_node(&disk), async |cluster| {
        let gateway = &cluster.clients()?[0];
        write_all(gateway).await?;
        // Above the watermark of 95 %.
        let filler = Filler::leaving(&disk, 8 << 20)?;

        let problem = until_ok("the refusal", NOTICED_WITHIN, async || {
            let answer = gateway.put(b"refused", "value").await?.expect(507)?;
            Ok(serde_json::from_slice::<serde_json::Value>(&answer.body)?)
        })
        .await?;
        ensure!(problem["code"] == "no_space", "{problem}");
        ensure!(problem["outcome"] == "not_applied", "{problem}");
        gateway.put(b"refused since", "value").await?.expect(507)?;
        gateway.get(b"refused since").await?.expect(404)?;
        all_there(gateway, 0).await?;
        delete(gateway, &key(0)).await?.expect(204)?;

        drop(filler);
        until_ok("puts after space was made", NOTICED_WITHIN, async || {
            gateway.put(b"after", "space").await?.expect(201)
        })
        .await?;
        all_there(gateway, 1).await
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn completely_full_disk_loses_no_acknowledged_write() -> anyhow::Result<()> {
    let Some(disk) = disk() else { return Ok(()) };
    run(one_node(&disk), async |cluster| {
        let gateway = cluster.clients()?[0].clone();
        write_all(&gateway).await?;
        let filler = Filler::leaving(&disk, 0)?;

        meet_the_full_disk(&gateway).await?;

        drop(filler);
        let log = cluster.nodes[0].log()?;
        ensure!(log.contains("No space left on device"), "the log does not name the cause");
        restart(cluster).await?;
        all_there(&gateway, 0).await?;
        gateway.put(b"after", "space").await?.expect(201)?;
        Ok(())
    })
    .await
}

/// The watermark does not stop deletes, so they reach the full disk itself when the space that the
/// log had reserved is used up. The keys are absent, so that the data does not change, and long, so
/// that the space is used up soon.
async fn meet_the_full_disk(gateway: &Gateway) -> anyhow::Result<()> {
    let mut clients = JoinSet::new();
    for client in 0..DELETE_CLIENTS {
        let gateway = gateway.clone();
        clients.spawn(async move {
            for number in 0..DELETES_MAX / DELETE_CLIENTS {
                let key = format!("absent/{client}/{number}/{:04000}", 0);
                let answer = delete(&gateway, key.as_bytes()).await?;
                if answer.status != 404 {
                    return Ok(Some(answer));
                }
            }
            Ok::<_, anyhow::Error>(None)
        });
    }
    let mut met = false;
    while let Some(client) = clients.join_next().await {
        let Some(answer) = client.context("join a client")?? else { continue };
        let problem: serde_json::Value = serde_json::from_slice(&answer.body)
            .with_context(|| format!("no reason: {}", answer.shown()))?;
        ensure!(problem["outcome"].is_string(), "no outcome: {problem}");
        met = true;
    }
    ensure!(met, "{DELETES_MAX} deletes fit a full disk");
    Ok(())
}

/// The node may have exited; then its supervisor would restart it, as this function does.
async fn restart(cluster: &mut Cluster) -> anyhow::Result<()> {
    let node = &mut cluster.nodes[0];
    node.kill();
    node.start()?;
    node.ready().await?;
    cluster.ready().await
}

async fn write_all(gateway: &Gateway) -> anyhow::Result<()> {
    for number in 0..VALUES {
        gateway.put(&key(number), value(number)).await?.expect(201)?;
    }
    Ok(())
}

async fn all_there(gateway: &Gateway, from: usize) -> anyhow::Result<()> {
    for number in from..VALUES {
        let answer = gateway.get(&key(number)).await?.expect(200)?;
        ensure!(answer.body == value(number), "write {number} was lost");
    }
    Ok(())
}

async fn delete(gateway: &Gateway, key: &[u8]) -> anyhow::Result<Answer> {
    send(gateway.on_key(Method::DELETE, key, PathForm::Path)).await
}

fn key(number: usize) -> Vec<u8> {
    format!("full/{number}").into_bytes()
}

fn value(number: usize) -> Bytes {
    vec![u8::try_from(number).expect("few values"); VALUE_BYTES].into()
}
