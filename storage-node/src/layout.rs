//! Where things lie in a node's data directory.
//!
//! `LOCK`, `identity`, `topology`, `raft/` (log), `data/` (state machine), `snapshots/`. Owns the
//! names of the folders; each small file is named by the module that reads it. Touches no disk.

use std::path::{Path, PathBuf};

/// Home of the Raft log.
pub(crate) fn raft(dir: &Path) -> PathBuf {
    dir.join("raft")
}

/// Home of the state machine.
pub(crate) fn data(dir: &Path) -> PathBuf {
    dir.join("data")
}

/// Home of snapshots on their way in and out.
pub(crate) fn snapshots(dir: &Path) -> PathBuf {
    dir.join("snapshots")
}
