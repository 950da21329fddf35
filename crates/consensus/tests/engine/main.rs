//! The engine with its real threads and disk: whole clusters in one process, and what happens
//! when a node, a start or a limit goes wrong.

mod cluster;
mod ledger;
mod scenarios;
mod switchboard;

mod failures;
mod limits;
mod replication;
mod restart;
