//! The pure half of the storage node: what a write does, what a request may ask, what a node does
//! next.
//!
//! Owns the byte formats (`keys`, `record`, `command`, `condition`, `command_result`, `remembered`,
//! `owned_slots`), the state machine (`machine`) over any `store`, the checks and replies of the
//! Kv service (`service`), the decisions about replicas, members and leaders (`replicas`, `members`,
//! `leadership`, `peer_health`; `report` is what placement receives of them) and about when a node may
//! serve (`confirmation`). The node and the simulation run this same code.
//!
//! Has no clock, random source, thread, file or socket; its `clippy.toml` bans them. Time comes in
//! as the group clock of an entry, as a step, or as a number of milliseconds. It has locks, and
//! depends on parking_lot for them, because it is shared: threads of the node read a group while
//! apply changes it (`machine/view.rs`, `machine/state_hashes.rs`), and clones of the store in
//! memory share its rows.

pub mod command;
pub mod command_result;
mod condition;
mod format;
pub mod keys;
pub mod owned_slots;
pub mod record;
mod remembered;

pub mod machine;
pub mod store;

pub mod service;

pub mod confirmation;
pub mod leadership;
pub mod members;
pub mod peer_health;
pub mod replicas;
pub mod report;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
