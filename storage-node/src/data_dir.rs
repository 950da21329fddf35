//! The data directory: one process at a time, its layout, and small files that survive a crash.
//!
//! Layout: `LOCK`, `identity`, `topology`, `raft/` (log), `data/` (state machine), `snapshots/`.
//! Invariant: a small file is either the old or the new one, whole, whenever the power fails.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// A data directory held by this process; let go when dropped.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Another node has it, or one that is just ending.
    #[error("--data-dir: {} is in use by another process; every node needs its own", .dir.display())]
    InUse { dir: PathBuf },
    #[error("--data-dir: cannot {action} {}", .dir.display())]
    Io {
        action: &'static str,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Creates the directory where needed and takes it for this process.
    ///
    /// # Errors
    /// [`OpenError`] names the directory.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |action| {
            let dir = path.to_owned();
            move |source| OpenError::Io { action, dir, source }
        };
        fs::create_dir_all(path).map_err(failed("create"))?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        let lock = options.open(path.join("LOCK")).map_err(failed("write to"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse { dir: path.to_owned() }),
            Err(error) => Err(failed("lock")(error.into())),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Home of the Raft log.
    pub(crate) fn raft(&self) -> PathBuf {
        self.path.join("raft")
    }

    /// Home of the state machine.
    pub(crate) fn data(&self) -> PathBuf {
        self.path.join("data")
    }

    /// Home of snapshots on their way in and out.
    pub(crate) fn snapshots(&self) -> PathBuf {
        self.path.join("snapshots")
    }

    /// The bytes of a small file; `None` when there is none.
    ///
    /// # Errors
    /// It is there and cannot be read.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a small file; returns once that survives a power failure.
    ///
    /// # Errors
    /// It could not be written whole; the old one is still there.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(format!("{name}.new"));
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, self.path.join(name))?;
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_directory_named() {
        let dir = tempfile::tempdir().unwrap();
        let held = DataDir::open(dir.path()).unwrap();
        let error = DataDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, OpenError::InUse { .. }), "{error}");
        assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
        drop(held);
        DataDir::open(dir.path()).unwrap();
    }

    #[test]
    fn a_replaced_file_reads_back_and_leaves_nothing_behind() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        assert_eq!(data_dir.read("identity").unwrap(), None);
        data_dir.replace("identity", b"one").unwrap();
        data_dir.replace("identity", b"two").unwrap();
        assert_eq!(data_dir.read("identity").unwrap(), Some(b"two".to_vec()));
        assert!(!dir.path().join("identity.new").exists());
    }
}
