//! A service's data directory: one process at a time, and small files that survive a crash.
//!
//! Owns the lock on the file `LOCK` and the replacement of a small file. Never knows what else the
//! directory contains or what a file means: that is the service's part. Blocks on the disk. Never
//! retries a failed write.
//! Invariants: at most one process holds a directory; after a power failure a small file is the
//! whole old one or the whole new one.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

const LOCK: &str = "LOCK";

/// A data directory that this process holds; dropping it releases the lock.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Never read: the lock is released when the file is closed.
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it, possibly one that is about to exit.
    #[error("--data-dir: {} is in use by another process; each needs its own", .dir.display())]
    InUse { dir: PathBuf },
    /// The file system returned an error.
    #[error("--data-dir: cannot {action} {}", .dir.display())]
    Io {
        action: &'static str,
        dir: PathBuf,
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// Creates the directory if it does not exist, and locks it for this process.
    ///
    /// # Errors
    /// Another process holds it, or it cannot be created, written to or locked; [`OpenError`] names
    /// the directory.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |action| {
            let dir = path.to_owned();
            move |source| OpenError::Io { action, dir, source }
        };
        fs::create_dir_all(path).map_err(failed("create"))?;
        let lock = File::create(path.join(LOCK)).map_err(failed("write to"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse { dir: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(failed("lock")(error)),
        }
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The bytes of a small file; `None` if it does not exist.
    ///
    /// # Errors
    /// The file exists and cannot be read.
    pub fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces a small file; see [`replace_file`].
    ///
    /// # Errors
    /// See [`replace_file`].
    pub fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        replace_file(&self.path, name, bytes)
    }
}

/// Replaces a small file; returns when the new one survives a power failure. Callers that write
/// one name from several threads must serialize their calls.
///
/// # Errors
/// The new file could not be made durable. The whole old one or the whole new one exists.
pub fn replace_file(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = dir.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    // Before the rename: otherwise a power failure could leave an empty file under the new name.
    file.sync_all()?;
    fs::rename(&temporary, dir.join(name))?;
    // A sync of the directory makes the rename durable; a sync of the file does not.
    File::open(dir)?.sync_all()
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
    fn a_directory_that_cannot_be_created_is_named_with_its_flag() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = DataDir::open(&file.join("below")).unwrap_err().to_string();
        let wanted = format!("--data-dir: cannot create {}", file.join("below").display());
        assert_eq!(error, wanted);
    }

    #[test]
    fn a_replaced_file_is_the_new_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        assert_eq!(data_dir.read("identity").unwrap(), None);
        data_dir.replace("identity", b"a longer old one").unwrap();
        data_dir.replace("identity", b"new").unwrap();
        assert_eq!(data_dir.read("identity").unwrap(), Some(b"new".to_vec()));
        let mut names: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["LOCK", "identity"]);
    }
}
