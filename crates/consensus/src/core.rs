//! The pure core: all Raft groups of a node, driven by inputs, answering with effects.
//!
//! Never touches a clock, random source, thread, file or socket; the simulator and the shell drive
//! the very same [`crate::Poller`].

pub(crate) mod config;
pub(crate) mod counters;
pub(crate) mod effects;
pub(crate) mod frame;
pub(crate) mod poller;
pub(crate) mod start_error;

mod activity;
mod apply_cursor;
mod compaction;
mod destroyed;
mod elections;
mod group;
mod held_messages;
mod lease;
mod log_tail;
mod out;
mod proposals;
mod quorum;
mod reads;
mod reported_members;
mod snapshots;
mod unknown_peers;
mod wire;
