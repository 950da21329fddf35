//! Sends a snapshot: its files in 1 MiB chunks on a separate connection, so that frames never wait
//! behind them. The receiver's pace limits the sender (flow control); every step has a deadline.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use ringkv_consensus::{DecodeError, Manifest, OutgoingSnapshot};
use ringkv_proto::v1::{SnapshotChunk, SnapshotHeader};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;

use crate::connect::connect;
use crate::link::Route;

const CHUNK_BYTES: usize = 1 << 20;
/// The most chunks read ahead of the network.
const CHUNKS_AHEAD: usize = 2;
/// The time limit for the receiver to accept one chunk: after it the receiver is stuck, not slow.
const CHUNK_DEADLINE: Duration = Duration::from_secs(30);
/// The time limit for the receiver to check, sync and take over the whole snapshot.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);
/// The time limit for earlier transfers to end.
const TURN_DEADLINE: Duration = Duration::from_secs(300);

/// Why a snapshot was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SendError {
    #[error("the node's address is not known")]
    NoAddress,
    #[error("the manifest cannot be read")]
    Manifest(#[source] DecodeError),
    #[error("connect")]
    Connect(#[source] tonic::transport::Error),
    #[error("read a file of the snapshot")]
    Read(#[source] std::io::Error),
    #[error("the receiver refused it: {0}")]
    Refused(tonic::Status),
    #[error("no progress within the deadline")]
    Deadline,
}

/// Sends all files; returns when the receiver has all of them on disk, synced.
pub(crate) async fn send(
    route: Route,
    address: Option<String>,
    snapshot: &OutgoingSnapshot,
    dir: &Path,
    sending: &Semaphore,
) -> Result<(), SendError> {
    let address = address.ok_or(SendError::NoAddress)?;
    let manifest = Manifest::decode(&snapshot.manifest).map_err(SendError::Manifest)?;
    let turn = timeout(TURN_DEADLINE, sending.acquire()).await;
    let _turn = turn.map_err(|_| SendError::Deadline)?.expect("the semaphore is never closed");

    let mut client = connect(&address).await.map_err(SendError::Connect)?;
    let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD);
    let header = SnapshotHeader {
        cluster: route.cluster.0,
        from_node: route.me.0,
        to_node: route.peer.0,
        group: snapshot.group.0,
        snapshot_id: snapshot.id.clone(),
        manifest: snapshot.manifest.clone(),
        message: snapshot.message.clone(),
    };
    let files = manifest.files.iter().map(|file| dir.join(&file.name)).collect();
    let feed = tokio::spawn(feed(header, files, chunks));
    let answer = client.snapshot(ReceiverStream::new(stream));
    tokio::pin!(answer);
    // The feed ends without an abort when the reply is dropped: its channel is closed then.
    tokio::select! {
        answer = &mut answer => return taken(answer),
        fed = feed => fed.expect("the feed does not panic")?,
    }
    taken(timeout(ANSWER_DEADLINE, answer).await.map_err(|_| SendError::Deadline)?)
}

fn taken<T>(answer: Result<T, tonic::Status>) -> Result<(), SendError> {
    answer.map(|_| ()).map_err(SendError::Refused)
}

/// Sends the header and then every file, chunk by chunk. A receiver that is gone is no error here:
/// its reply has the reason.
async fn feed(
    header: SnapshotHeader,
    files: Vec<PathBuf>,
    chunks: Sender<SnapshotChunk>,
) -> Result<(), SendError> {
    let first = SnapshotChunk { header: Some(header), ..SnapshotChunk::default() };
    if !put(&chunks, first).await? {
        return Ok(());
    }
    for (number, path) in (0..).zip(files) {
        let mut file = File::open(path).await.map_err(SendError::Read)?;
        let mut offset = 0;
        loop {
            let data = read_chunk(&mut file).await.map_err(SendError::Read)?;
            if data.is_empty() {
                break;
            }
            let read = data.len() as u64;
            let chunk = SnapshotChunk { header: None, file: number, offset, data: data.freeze() };
            if !put(&chunks, chunk).await? {
                return Ok(());
            }
            offset += read;
        }
    }
    Ok(())
}

/// A full chunk, or the rest of the file.
async fn read_chunk(file: &mut File) -> std::io::Result<BytesMut> {
    let mut data = BytesMut::with_capacity(CHUNK_BYTES);
    while data.len() < CHUNK_BYTES && file.read_buf(&mut data).await? > 0 {}
    Ok(data)
}

/// Waits for room; returns whether the receiver still listens.
async fn put(chunks: &Sender<SnapshotChunk>, chunk: SnapshotChunk) -> Result<bool, SendError> {
    let sent = timeout(CHUNK_DEADLINE, chunks.send(chunk)).await;
    Ok(sent.map_err(|_| SendError::Deadline)?.is_ok())
}
