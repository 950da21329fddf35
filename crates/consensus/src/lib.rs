//! The multi-Raft engine: many groups, one event loop, one fsync.
//!
//! Owns consensus: elections, replication, membership, log, snapshots, read points. Generic over
//! the state machine and the network. The only crate that knows raft-rs; none of its types is
//! public here. Read in this order: [`types`](crate::Request), `machine`, `log_store`,
//! `core/effects` (the contract between core and shell), `core/poller`, `core/group`, `shell`.

mod codec;
mod members;
mod pack;
mod times;
mod types;

mod log_store;
mod machine;
mod transport;

mod core;

mod manifest;
mod memory_log;
mod rocks_figures;
mod rocks_log;
mod shell;
mod snapshot_dir;

pub use codec::DecodeError;
pub use core::{
    ApplyTask, Counters, Effects, Fetch, Input, OutgoingSnapshot, Poller, PollerConfig,
    ReceivedSnapshot, SnapshotBuilt, SnapshotId, StartError,
};
pub use log_store::{
    Entry, EntryKind, GroupWrite, HardState, InstallMarker, LogBatch, LogError, LogReader,
    LogStart, LogWriter, StoredGroup,
};
pub use machine::{
    AppliedState, Committed, Flusher, Genesis, GroupBatch, MachineError, SnapshotBuilder,
    StateMachine,
};
pub use manifest::{Manifest, ManifestFile};
pub use members::{Members, MembersChange};
pub use memory_log::MemoryLog;
pub use pack::Pack;
pub use rocks_figures::{count_tickers, rocks_figure};
pub use rocks_log::RocksLog;
pub use shell::{
    Engine, EngineConfig, EngineError, Handle, NoObserver, Observer, Registration, Sink, boot_us,
};
pub use snapshot_dir::{ReceiveError, SnapshotReceiver};
pub use times::{EntryTimes, Now, Stage};
pub use transport::Transport;
pub use types::{
    Completion, Done, GroupStatus, LogIndex, PeerStatus, Refusal, Request, Role, SinkId, Term,
    Ticket,
};
