//! Placement: which nodes are in the cluster, and which group owns which slot.
//!
//! The process around `ringkv-placement-core`: its data directory, its log on the consensus
//! engine, the loop in which the leader reconciles, and the gRPC service. Decides nothing: the core
//! does. Handles no user data: with every placement replica down, a bootstrapped cluster continues
//! to read and write.

mod config;
mod server;

mod feed;
mod hints;
mod identity;
mod machine;
mod metrics;
mod observed;
mod parts;
mod reconcile_loop;
mod replica;
mod service;
mod watches;

pub use config::{Args, Config, InvalidSetting};
pub use server::{Listeners, run, serve};
