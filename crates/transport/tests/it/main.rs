//! Engines over real gRPC on loopback. The clusters and scenarios belong to the consensus crate,
//! which runs them over a network in memory.

#[path = "../../../consensus/tests/engine/cluster.rs"]
mod cluster;
#[path = "../../../consensus/tests/engine/ledger.rs"]
mod ledger;
#[path = "../../../consensus/tests/engine/scenarios.rs"]
mod scenarios;
mod sockets;

mod peers;
mod replication;
