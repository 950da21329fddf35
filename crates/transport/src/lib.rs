//! Raft between nodes over gRPC: one frame stream per ordered pair of nodes, snapshots apart.
//!
//! Owns connections to the other nodes and the service they connect to. Knows nothing of what is
//! in a frame. Used by storage nodes and placement replicas alike, over their own address books.
//! Never blocks the engine, never repeats or reorders a frame; what it loses it reports.

mod connect;
mod grpc;
mod link;
mod queue;
mod service;
mod snapshot;

use ringkv_topology::NodeId;

pub use grpc::GrpcTransport;
pub use service::raft_service;

/// Where nodes are.
pub trait AddressBook: Send + Sync + 'static {
    /// The `host:port` of a node at the moment, asked anew for every connection; `None` while it
    /// is not known. Must not block.
    fn address(&self, node: NodeId) -> Option<String>;
}
