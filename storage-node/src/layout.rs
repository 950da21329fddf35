//! Where things lie in a node's data directory.
//!
//! `LOCK`, `identity`, `topology`, `raft/` (log), `data/` (state machine), `snapshots/`. Owns the
//! names of the folders; each small file is named by the module that reads it. Touches no disk.

use std::path::{Path, PathBuf};

/// The folder of the Raft log.
pub(crate) const RAFT: &str = "raft";
/// The folder of the state machine.
pub(crate) const DATA: &str = "data";
/// The folder of snapshots.
pub(crate) const SNAPSHOTS: &str = "snapshots";
/// The stores, without which a node has lost what it stored and how it voted.
pub(crate) const STORES: [&str; 2] = [RAFT, DATA];

/// Home of the Raft log.
pub(crate) fn raft(dir: &Path) -> PathBuf {
    dir.join(RAFT)
}

/// Home of the state machine.
pub(crate) fn data(dir: &Path) -> PathBuf {
    dir.join(DATA)
}

/// Home of snapshots on their way in and out.
pub(crate) fn snapshots(dir: &Path) -> PathBuf {
    dir.join(SNAPSHOTS)
}
