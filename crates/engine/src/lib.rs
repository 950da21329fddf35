//! The engine of a node: threads, queues and files around the pure core of consensus.
//!
//! Owns the poller thread, the log writer, the apply worker, the install, flush and snapshot
//! threads, every queue between them with its bound, and the files of snapshots. Decides nothing:
//! it obeys [`ringkv_consensus::Effects`]. Generic over the log, the state machine and the network.
//! Threads of a node: `raft-poller`, `raft-log`, `raft-apply`, `raft-install`, `raft-flush`,
//! `raft-fetch`, `raft-snapshot`, `raft-discard`. A panic or a failed write in any of them ends the
//! process on purpose.
//!
//! Bounds: requests are admitted by number and bytes, frames by bytes, snapshots from other nodes by
//! number and disk space ([`EngineConfig`]); one log batch, one flush and one install are under way
//! at a time; what waits to be applied, fetched, built or installed is bounded by the poller's own
//! limits ([`ringkv_consensus::PollerConfig`]).

mod config;
mod engine;
mod handle;
mod observer;
mod sink;
mod transport;

mod admission;
mod apply;
mod clock;
mod flush;
mod holds;
mod install;
mod log;
mod poller;
mod receive;
mod snapshot;
mod snapshot_dir;

mod inbox;
mod leases;
mod repair;
mod shared;
mod threads;

pub use clock::boot_us;
pub use config::EngineConfig;
pub use engine::Engine;
pub use handle::{Handle, Registration};
pub use observer::{NoObserver, Observer};
pub use repair::EngineError;
pub use sink::Sink;
pub use snapshot_dir::{ReceiveError, SnapshotReceiver};
pub use transport::Transport;
