//! The pure core of the multi-Raft engine: many groups, one event loop.
//!
//! Owns the decisions of consensus: elections, replication, membership, log, snapshots, read points.
//! Sync and deterministic: no clock, random source, thread, file or socket; `ringkv-engine` is the
//! shell that has them, and the simulation drives the very same core. The only crate that knows
//! raft-rs; none of its types is public here. Read in this order: [`types`](crate::Request),
//! `machine`, `log_store`, `core/effects` (the contract between core and shell), `core/poller`,
//! `core/group`.

#![warn(missing_docs)]

mod codec;
mod command_batch;
mod members;
mod position;
mod times;
mod types;

mod log_store;
mod machine;

mod core;

mod manifest;
mod memory_log;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use codec::{DecodeError, take_version};
pub use command_batch::CommandBatch;
pub use core::config::PollerConfig;
pub use core::counters::Counters;
pub use core::effects::{
    ApplyTask, Effects, Fetch, Input, OutgoingSnapshot, ReceivedSnapshot, SnapshotBuilt, SnapshotId,
};
pub use core::frame::addressee;
pub use core::poller::Poller;
pub use core::start_error::StartError;
pub use log_store::{
    Entry, EntryKind, GroupWrite, HardState, InstallMarker, LogBatch, LogError, LogReader,
    LogWriter, StoredGroup,
};
pub use machine::{
    AppliedState, Apply, Committed, Flusher, Genesis, GroupBatch, Installer, MachineError,
    SnapshotBuilder, StateMachine,
};
pub use manifest::{Manifest, ManifestFile, is_plain};
pub use members::{Members, MembersChange};
pub use memory_log::MemoryLog;
pub use position::{LogIndex, LogPosition, Term};
pub use times::{EntryTimes, Now, Stage};
pub use types::{
    Completion, Done, GroupStatus, PeerStatus, Request, RequestError, Role, SinkId, Ticket,
};
