//! Engines over real gRPC on loopback. The clusters and scenarios belong to the engine,
//! which runs them over a network in memory.

#[path = "../../../engine/tests/engine/cluster.rs"]
mod cluster;
#[path = "../../../engine/tests/engine/ledger.rs"]
mod ledger;
#[path = "../../../engine/tests/engine/memory_logs.rs"]
mod memory_logs;
#[path = "../../../engine/tests/engine/scenarios.rs"]
mod scenarios;
mod sockets;

mod peers;
mod replication;
