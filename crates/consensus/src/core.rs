//! The pure core: all Raft groups of a node, driven by inputs, answering with effects.
//!
//! Never touches a clock, random source, thread, file or socket; the simulator and the shell drive
//! the very same [`Poller`].

mod config;
mod effects;
mod group;
mod lease;
mod log_tail;
mod out;
mod poller;
mod reads;
pub(crate) mod wire;

pub use config::PollerConfig;
pub use effects::{
    ApplyTask, Effects, Fetch, Input, OutgoingSnapshot, ReceivedSnapshot, SnapshotBuilt, SnapshotId,
};
pub use poller::{Counters, Poller, StartError};
