//! Where snapshot files rest on a node: `out/` for those cut here, `in/` for those received.
//!
//! Owns the two directories and the names in them, `<group>-<snapshot id>/`. Nothing in them is
//! state: after a restart all of it is removed, but for files that an install marker names.

mod receiver;

use std::io;
use std::path::{Path, PathBuf};

pub(crate) use receiver::{Announced, Receipt};
pub use receiver::{ReceiveError, SnapshotReceiver};
use ringkv_consensus::SnapshotId;
use ringkv_topology::GroupId;

/// The directories.
#[derive(Clone, Debug)]
pub(crate) struct SnapshotDir {
    outgoing: PathBuf,
    incoming: PathBuf,
}

impl SnapshotDir {
    /// Makes the directories, and removes what an earlier run left, except received snapshots
    /// named in `keep`.
    pub(crate) fn open(root: &Path, keep: &[(GroupId, SnapshotId)]) -> io::Result<Self> {
        let dirs = Self { outgoing: root.join("out"), incoming: root.join("in") };
        let kept: Vec<PathBuf> = keep.iter().map(|(group, id)| dirs.received(*group, id)).collect();
        for dir in [&dirs.outgoing, &dirs.incoming] {
            std::fs::create_dir_all(dir)?;
            for entry in std::fs::read_dir(dir)? {
                let path = entry?.path();
                if !kept.contains(&path) {
                    std::fs::remove_dir_all(path)?;
                }
            }
        }
        Ok(dirs)
    }

    /// Where the files of a snapshot cut here are.
    pub(crate) fn cut(&self, group: GroupId, id: &str) -> PathBuf {
        self.outgoing.join(format!("{group}-{id}"))
    }

    /// Where the files of a received snapshot are.
    pub(crate) fn received(&self, group: GroupId, id: &str) -> PathBuf {
        self.incoming.join(format!("{group}-{id}"))
    }

    /// Where received snapshots are.
    pub(crate) fn incoming(&self) -> &Path {
        &self.incoming
    }

    /// Removes the files of a snapshot, whichever way it went; nothing if they are gone already.
    pub(crate) fn discard(&self, group: GroupId, id: &str) -> io::Result<()> {
        for dir in [self.cut(group, id), self.received(group, id)] {
            match std::fs::remove_dir_all(dir) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the names in `in/` durable.
    fn sync_incoming(&self) -> io::Result<()> {
        sync_dir(&self.incoming)
    }
}

/// Makes the names in a directory durable.
fn sync_dir(dir: &Path) -> io::Result<()> {
    std::fs::File::open(dir)?.sync_all()
}
