//! Placement: who is in the cluster and which group owns which slot.
//!
//! A replicated state machine on the consensus engine, a reconciler that the leader runs, and a
//! thin gRPC shell. The pure part (`command`, `state`, `image`, `observations`, `reconciler`) has
//! no clock, file, socket or random number and is what the simulator runs. Data never passes
//! here: with every placement replica down, a formed cluster goes on reading and writing.

pub mod command;
pub mod divergence;
pub mod image;
pub mod observations;
pub mod reconciler;
pub mod state;

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
