//! The engine with its real threads and files, on logs in memory: whole clusters in one process,
//! and what happens when a node, a start or a limit goes wrong.

mod cluster;
mod destroys;
mod ledger;
mod memory_logs;
mod scenarios;
mod switchboard;

mod destroy;
mod failures;
mod installs;
mod limits;
mod replication;
mod restart;
