//! The storage node: a replicated KV state machine on RocksDB, and the gRPC service around it.
//!
//! Pure core (no tokio, clock, socket): `machine` over `store`, with the byte formats in `keys`,
//! `record`, `command`, `outcome`, `remembered`, `owned_slots`. `convert` is where wire requests
//! are checked and become commands.

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
