//! Raft between nodes over gRPC: one frame stream per ordered pair of nodes; snapshots use
//! connections of their own.
//!
//! Owns connections to the other nodes and the service that they connect to. Never decodes a
//! frame. Storage nodes and placement replicas both use it, each with its own address book.
//! Invariants: never blocks the engine, never repeats or reorders a frame, reports each loss.

mod backoff;
mod connect;
mod grpc;
mod link;
mod queue;
mod service;
mod snapshot;
mod throttle;
mod transfers;

use ringkv_topology::NodeId;

pub use grpc::GrpcTransport;
pub use service::raft_service;
pub use transfers::{Transfer, Transfers};

/// The addresses of nodes.
pub trait AddressBook: Send + Sync + 'static {
    /// The current `host:port` of a node; `None` while it is not known. Called for every new
    /// connection. Must not block.
    fn address(&self, node: NodeId) -> Option<String>;
}
