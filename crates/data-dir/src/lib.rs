//! A service's data directory: one process at a time, and small files that survive a crash.
//!
//! Owns the lock on the file `LOCK`, the number of the directory, and the replacement and removal of
//! what is in it. Never knows what else the
//! directory contains or what a file means: that is the service's part. Blocks on the disk. Never
//! retries a failed write.
//! Invariants: at most one process holds a directory; after a power failure a small file is the
//! whole old one or the whole new one.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
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

    /// As [`Self::replace`], for a file that only this user may read.
    ///
    /// # Errors
    /// See [`replace_file`].
    pub fn replace_private(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.path.join(format!("{name}.new"));
        // A file that is left from a crash keeps its mode when it is opened again.
        remove_if_there(fs::remove_file(&temporary))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        put_in_place(&self.path, name, file, bytes)
    }

    /// Removes small files and folders, in this order; returns when their removal survives a power
    /// failure. What is not there is passed over.
    ///
    /// # Errors
    /// One of them could not be removed; those before it may be gone.
    pub fn remove(&self, names: &[&str]) -> io::Result<()> {
        for name in names {
            let path = self.path.join(name);
            let removed = match path.is_dir() {
                true => fs::remove_dir_all(&path),
                false => fs::remove_file(&path),
            };
            remove_if_there(removed)?;
            // Each one: what comes later must not be gone while this one is still there.
            File::open(&self.path)?.sync_all()?;
        }
        Ok(())
    }

    /// A number of the directory that no other directory of this machine has while it is held, and
    /// that is another one after a restart of the machine; `None` if the machine does not say.
    pub fn number(&self) -> Option<u64> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let lock = fs::metadata(self.path.join(LOCK)).ok()?;
        let place = format!("{} {} {}", boot.trim(), lock.dev(), lock.ino());
        // FNV-1a: 64 bits are enough to distinguish the directories of one node.
        let number = place.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        Some(number.max(1))
    }
}

fn remove_if_there(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Replaces a small file; returns when the new one survives a power failure. Callers that write
/// one name from several threads must serialize their calls.
///
/// # Errors
/// The new file could not be made durable. The whole old one or the whole new one exists.
pub fn replace_file(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let file = File::create(dir.join(format!("{name}.new")))?;
    put_in_place(dir, name, file, bytes)
}

/// Writes the new file and renames it.
fn put_in_place(dir: &Path, name: &str, mut file: File, bytes: &[u8]) -> io::Result<()> {
    file.write_all(bytes)?;
    // Before the rename: otherwise a power failure could leave an empty file under the new name.
    file.sync_all()?;
    fs::rename(dir.join(format!("{name}.new")), dir.join(name))?;
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
    fn a_private_file_is_the_owners_only() {
        use std::os::unix::fs::PermissionsExt as _;

        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        fs::write(dir.path().join("identity.new"), "left from a crash").unwrap();
        data_dir.replace_private("identity", b"secret").unwrap();
        data_dir.replace_private("identity", b"other").unwrap();
        assert_eq!(data_dir.read("identity").unwrap(), Some(b"other".to_vec()));
        let mode = fs::metadata(dir.path().join("identity")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_copy_of_a_directory_has_another_number() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let number = |dir: &Path| DataDir::open(dir).unwrap().number();
        let first = number(one.path());
        assert!(first.is_some());
        assert_eq!(number(one.path()), first, "opened again");
        assert_ne!(number(other.path()), first);
    }

    #[test]
    fn what_is_removed_is_gone_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = DataDir::open(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("raft/deep")).unwrap();
        data_dir.replace("identity", b"1").unwrap();
        fs::write(dir.path().join("notes"), "of the operator").unwrap();
        data_dir.remove(&["raft", "data", "identity"]).unwrap();
        assert!(!dir.path().join("raft").exists() && !dir.path().join("identity").exists());
        assert!(dir.path().join("notes").exists());
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
