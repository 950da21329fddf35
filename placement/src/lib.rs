//! Placement: which nodes are in the cluster, and which group owns which slot.
//!
//! The process around `ringkv-placement-core`: its data directory, its log on the consensus
//! engine, the loop in which the leader reconciles, and the gRPC service. Decides nothing: the core
//! does. Handles no user data: with every placement replica down, a bootstrapped cluster continues
//! to read and write.

mod config;
mod server;

mod addresses;
mod admin;
mod answers;
mod feed;
mod grpc;
mod hints;
mod identity;
mod live;
mod machine;
mod member;
mod members_loop;
mod metrics;
mod observed;
mod operation_log;
mod overview;
mod parts;
mod peer_calls;
mod peers_service;
mod reconcile_loop;
mod refusals;
mod replica;
mod service;
mod waiting;
mod watches;

pub mod recovery;

pub use config::{ADMIN_LISTEN, Args, Config, InvalidSetting};
pub use server::{Listeners, run, serve};
