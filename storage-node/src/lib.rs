//! The storage node: a replicated KV state machine on RocksDB, and the gRPC service around it.
//!
//! Pure core (no tokio, clock, socket): `machine` over `store`, with the byte formats in `keys`,
//! `record`, `command`, `outcome`, `remembered`, `owned_slots`. `convert` is where wire requests
//! are checked and become commands.
//!
//! Shell: `node` starts and stops everything; `kv_service` and `admin_service` answer clients;
//! `placement_link` keeps the tie to placement; `identity` and `topology_file` are what survives a
//! restart beside the stores, `layout` says where each lies. Pure parts that decide for it:
//! `replicas` (what is missing here), `leadership` (when to hand it back), `peer_health`.

pub mod command;
pub mod condition;
pub mod convert;
pub mod disk_space;
mod format;
pub mod keys;
pub mod machine;
pub mod outcome;
pub mod owned_slots;
pub mod record;
mod remembered;
pub mod store;

mod admin_service;
mod cluster_view;
mod config;
mod disk_watch;
mod identity;
mod kv_service;
mod layout;
mod leadership;
mod metrics;
mod node;
mod peer_health;
mod placement_link;
mod replicas;
mod topology_file;

#[cfg(test)]
mod test_topology;

pub use config::{Args, Config, InvalidSetting, StopNow};
pub use node::{Listeners, run, serve};
