//! Sends a snapshot: its files in 1 MiB chunks on a separate connection, so that frames never wait
//! behind them. The receiver's pace limits the sender (flow control), and so does the node's rate
//! ([`Transfers`]); every step has a deadline.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use ringkv_consensus::{DecodeError, Manifest, OutgoingSnapshot};
use ringkv_proto::v1::{SnapshotChunk, SnapshotHeader};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::connect::connect;
use crate::link::Route;
use crate::transfers::{Sending, Transfer, Transfers};

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
    #[error("the transfer broke: {0}")]
    Broken(tonic::Status),
    #[error("no progress within the deadline")]
    Deadline,
}

/// Sends all files; returns when the receiver has all of them on disk, synced. Calls `count` with the
/// size of each chunk that left.
pub(crate) async fn send(
    route: Route,
    address: Option<String>,
    snapshot: &OutgoingSnapshot,
    dir: &Path,
    transfers: &Transfers,
    count: impl Fn(u64) + Send + 'static,
) -> Result<(), SendError> {
    let address = address.ok_or(SendError::NoAddress)?;
    let manifest = Manifest::decode(&snapshot.manifest).map_err(SendError::Manifest)?;
    let transfer = Transfer {
        group: snapshot.group,
        to_node: snapshot.to_node,
        to_replica: snapshot.to_replica,
        bytes_sent: 0,
        bytes_total: manifest.bytes(),
    };
    let turn = timeout(TURN_DEADLINE, transfers.begin(transfer)).await;
    let sending = Arc::new(turn.map_err(|_| SendError::Deadline)?);

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
    let left = Left { sending: Arc::clone(&sending), count: Box::new(count) };
    let mut feed = tokio::spawn(feed(header, files, chunks, left));
    let answer = client.snapshot(ReceiverStream::new(stream));
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => {
            // It may be waiting for the rate.
            feed.abort();
            return taken(answer);
        }
        fed = &mut feed => fed.expect("the feed does not panic")?,
    }
    taken(timeout(ANSWER_DEADLINE, answer).await.map_err(|_| SendError::Deadline)?)
}

/// A status without a cause is the receiver's own.
fn taken<T>(answer: Result<T, tonic::Status>) -> Result<(), SendError> {
    answer.map(|_| ()).map_err(|status| match std::error::Error::source(&status) {
        None => SendError::Refused(status),
        Some(_) => SendError::Broken(status),
    })
}

impl SendError {
    /// Whether the receiver has no use or no room for the snapshot at present, which is ordinary.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(status)
            if matches!(status.code(), Code::FailedPrecondition | Code::Unavailable))
    }
}

/// Where the feed notes what left.
struct Left {
    sending: Arc<Sending>,
    count: Box<dyn Fn(u64) + Send>,
}

/// Sends the header and then every file, chunk by chunk. A receiver that is gone is no error here:
/// its reply has the reason.
async fn feed(
    header: SnapshotHeader,
    files: Vec<PathBuf>,
    chunks: Sender<SnapshotChunk>,
    left: Left,
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
            left.sending.pass(read).await;
            let chunk = SnapshotChunk { header: None, file: number, offset, data: data.freeze() };
            if !put(&chunks, chunk).await? {
                return Ok(());
            }
            offset += read;
            left.sending.sent(read);
            (left.count)(read);
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
