//! Engines on the real log. The clusters and scenarios are the engine's own, run there over logs in
//! memory.

#[path = "../../../engine/tests/engine/cluster.rs"]
mod cluster;
#[path = "../../../engine/tests/engine/destroys.rs"]
mod destroys;
#[path = "../../../engine/tests/engine/ledger.rs"]
mod ledger;
#[path = "../../../engine/tests/engine/scenarios.rs"]
mod scenarios;
#[path = "../../../engine/tests/engine/switchboard.rs"]
mod switchboard;

mod durability;
