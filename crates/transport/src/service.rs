//! The receiving side: accepts frames and snapshots from peers and passes them to the engine.
//!
//! A peer must name this cluster and this node. A different name means that the address now belongs
//! to another process, so the request is rejected before it reaches Raft.

use std::time::Duration;

use ringkv_engine::{Handle, ReceiveError, SnapshotReceiver};
use ringkv_proto::v1::{RaftFrame, RaftStreamEnd, SnapshotChunk, SnapshotHeader, SnapshotReceived};
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::raft_server::{Raft, RaftServer};
use ringkv_topology::{ClusterId, GroupId, NodeId};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};

/// The most chunks that wait between the network and the disk.
const CHUNKS_AHEAD: usize = 2;
/// The time limit for the next chunk: after it the sender is considered gone.
const CHUNK_DEADLINE: Duration = Duration::from_secs(30);

/// The Raft service of the node `me`, for a gRPC server.
pub fn raft_service(cluster: ClusterId, me: NodeId, handle: Handle) -> RaftServer<impl Raft> {
    RaftServer::new(Service { cluster, me, handle })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

struct Service {
    cluster: ClusterId,
    me: NodeId,
    handle: Handle,
}

impl Service {
    /// The sender, if its request is for this node.
    fn check(&self, cluster: u64, from: u64, to: u64) -> Result<NodeId, Status> {
        let (own_cluster, own_node) = (self.cluster.0, self.me.0);
        if cluster != own_cluster {
            let message = format!("this node is of cluster {own_cluster}, not {cluster}");
            return Err(Status::failed_precondition(message));
        }
        if to != own_node {
            return Err(Status::failed_precondition(format!("this is node {own_node}, not {to}")));
        }
        NodeId::from_wire(from)
            .ok_or_else(|| Status::invalid_argument("the request names no sender"))
    }
}

impl Service {
    /// Decides whether the snapshot is taken in, before any of its data is read.
    async fn begin(
        &self,
        from: NodeId,
        header: SnapshotHeader,
    ) -> Result<SnapshotReceiver, Status> {
        let handle = self.handle.clone();
        let begin = move || {
            let SnapshotHeader { group, snapshot_id, manifest, message, .. } = header;
            handle.receive_snapshot(GroupId(group), from, &snapshot_id, manifest, message)
        };
        let begun = tokio::task::spawn_blocking(begin).await;
        let begun = begun.map_err(|_| Status::internal("the receiver panicked"))?;
        begun.map_err(|error| status(&error))
    }
}

#[tonic::async_trait]
impl Raft for Service {
    async fn stream(
        &self,
        request: Request<Streaming<RaftFrame>>,
    ) -> Result<Response<RaftStreamEnd>, Status> {
        let mut frames = request.into_inner();
        while let Some(RaftFrame { cluster, from_node, to_node, messages }) =
            frames.message().await?
        {
            let from = self.check(cluster, from_node, to_node)?;
            if !self.handle.is_open() {
                return Err(Status::unavailable("the node is stopping"));
            }
            self.handle.frame(from, messages);
        }
        Ok(Response::new(RaftStreamEnd {}))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<SnapshotChunk>>,
    ) -> Result<Response<SnapshotReceived>, Status> {
        let mut chunks = request.into_inner();
        let header = next(&mut chunks).await?.and_then(|first| first.header);
        let header =
            header.ok_or_else(|| Status::invalid_argument("the first message is not a header"))?;
        let from = self.check(header.cluster, header.from_node, header.to_node)?;
        let receiver = self.begin(from, header).await?;
        let (pieces, disk) = write_to_disk(receiver);
        while let Some(chunk) = next(&mut chunks).await? {
            // Closed: the result of the writing thread has the reason.
            if pieces.send(Piece::Chunk(chunk)).await.is_err() {
                break;
            }
        }
        let _ = pieces.send(Piece::End).await;
        let written = disk.await.map_err(|_| Status::internal("the receiver panicked"))?;
        written.map_err(|error| status(&error))?;
        Ok(Response::new(SnapshotReceived {}))
    }
}

async fn next(chunks: &mut Streaming<SnapshotChunk>) -> Result<Option<SnapshotChunk>, Status> {
    timeout(CHUNK_DEADLINE, chunks.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no chunk arrived within 30 s"))?
}

/// A message to the writing thread.
enum Piece {
    Chunk(SnapshotChunk),
    /// The sender has sent everything. Without this message the snapshot is discarded.
    End,
}

type Disk = JoinHandle<Result<(), ReceiveError>>;

/// Writes the snapshot, on a thread that may block.
fn write_to_disk(mut receiver: SnapshotReceiver) -> (mpsc::Sender<Piece>, Disk) {
    let (sender, mut pieces) = mpsc::channel(CHUNKS_AHEAD);
    let disk = tokio::task::spawn_blocking(move || {
        while let Some(piece) = pieces.blocking_recv() {
            match piece {
                Piece::Chunk(chunk) => receiver.write(chunk.file, chunk.offset, &chunk.data)?,
                Piece::End => return receiver.finish(),
            }
        }
        // The connection broke: no caller reads this status.
        Err(ReceiveError::Stopping)
    });
    (sender, disk)
}

fn status(error: &ReceiveError) -> Status {
    let message = error.to_string();
    match error {
        ReceiveError::NoGroup { .. } | ReceiveError::OtherReplica { .. } => {
            Status::failed_precondition(message)
        }
        ReceiveError::Busy { .. } | ReceiveError::NoRoom { .. } | ReceiveError::Stopping => {
            Status::unavailable(message)
        }
        ReceiveError::Io(cause) => Status::internal(format!("{message}: {cause}")),
        ReceiveError::Checksum { .. } | ReceiveError::Incomplete { .. } => {
            Status::data_loss(message)
        }
        ReceiveError::Manifest(_)
        | ReceiveError::Id
        | ReceiveError::Message(_)
        | ReceiveError::Group { .. }
        | ReceiveError::Order { .. }
        | ReceiveError::TooLong { .. } => Status::invalid_argument(message),
    }
}
