//! What the engine asks of the network.
//!
//! One ordered stream per node pair; a transport may lose frames but never reorders, changes or
//! repeats them (the gRPC transport is `crates/transport`).

use std::path::PathBuf;

use bytes::Bytes;
use ringkv_consensus::OutgoingSnapshot;
use ringkv_topology::NodeId;

/// The way to the other nodes. Reports back through [`crate::Handle`]: `frame`, `unreachable`,
/// `snapshot_sent`, `snapshot_received`.
pub trait Transport: Send + Sync + 'static {
    /// Queues a frame and returns at once. A frame that finds its queue full or the node not
    /// connected is dropped, and reported by [`crate::Handle::unreachable`].
    fn send(&self, to: NodeId, frame: Bytes);

    /// Streams the files of a snapshot, found in `dir`, in the background with back-pressure; ends
    /// with [`crate::Handle::snapshot_sent`] in every case.
    fn send_snapshot(&self, snapshot: OutgoingSnapshot, dir: PathBuf);
}
