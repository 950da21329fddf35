//! Where a dev cluster keeps its data: a directory of the user's, or a temporary one.
//!
//! Owns the lock that keeps a second `ringkv dev` out, and the remembered layout (`dev.json`). The
//! services own everything below `placement/` and `node-<n>/`. A temporary directory is removed
//! when this is dropped, also after a failure.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use ringkv_data_dir::replace_file;
use tempfile::TempDir;

use crate::dev::layout::{LAYOUT_FORMAT, Layout};
use crate::failure::{Exit, Failure};

const LAYOUT_FILE: &str = "dev.json";
const LOCK_FILE: &str = "dev.lock";

/// The data directory of one running dev cluster.
pub(crate) struct DataDir {
    path: PathBuf,
    temporary: Option<TempDir>,
    /// Held, never read: the lock ends with the file.
    _lock: File,
}

impl DataDir {
    /// Opens (and makes, if need be) the directory, and locks it.
    ///
    /// # Errors
    /// It cannot be made, or another dev cluster runs on it.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Failure> {
        let (path, temporary) = match path {
            Some(path) => (path.to_owned(), None),
            None => {
                let made = tempfile::Builder::new().prefix("ringkv-dev-").tempdir();
                let made = made.map_err(|error| cannot("make a temporary directory", &error))?;
                (made.path().to_owned(), Some(made))
            }
        };
        std::fs::create_dir_all(&path)
            .map_err(|error| cannot(&format!("make {}", path.display()), &error))?;
        let lock = lock(&path)?;
        Ok(Self { path, temporary, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The layout of the cluster that lives here; `None` in a new directory.
    ///
    /// # Errors
    /// The file cannot be read, or is not of this format.
    pub(crate) fn layout(&self) -> Result<Option<Layout>, Failure> {
        let path = self.path.join(LAYOUT_FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot(&format!("read {}", path.display()), &error)),
        };
        match serde_json::from_slice::<Layout>(&text) {
            Ok(layout) if layout.format == LAYOUT_FORMAT => Ok(Some(layout)),
            Ok(layout) => Err(cannot(
                &format!("use {}", path.display()),
                &format!("format {} is not {LAYOUT_FORMAT}", layout.format),
            )),
            Err(error) => Err(cannot(&format!("read {}", path.display()), &error)),
        }
    }

    /// Remembers the layout for the next start, all or nothing.
    ///
    /// # Errors
    /// The directory cannot be written.
    pub(crate) fn remember(&self, layout: &Layout) -> Result<(), Failure> {
        serde_json::to_vec_pretty(layout)
            .map_err(std::io::Error::from)
            .and_then(|text| replace_file(&self.path, LAYOUT_FILE, &text))
            .map_err(|error| cannot(&format!("write to {}", self.path.display()), &error))
    }

    /// Removes the directory if it is a temporary one.
    pub(crate) fn close(self) {
        if let Some(Err(error)) = self.temporary.map(TempDir::close) {
            tracing::warn!(%error, "cannot remove the temporary data directory");
        }
    }
}

fn lock(path: &Path) -> Result<File, Failure> {
    let file = File::create(path.join(LOCK_FILE))
        .map_err(|error| cannot(&format!("write to {}", path.display()), &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Failure::new(
            Exit::Usage,
            format!("{} is in use by another `ringkv dev`", path.display()),
            "stop that one, or use another --data-dir",
        )),
        Err(TryLockError::Error(error)) => Err(cannot(&format!("lock {}", path.display()), &error)),
    }
}

fn cannot(what: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, format!("cannot {what}: {error}"), "check --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layout_is_there_after_a_restart() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let path = parent.path().join("data");
        let layout = Layout::decide(Some(4), None, None).expect("valid");
        let first = DataDir::open(Some(&path)).expect("new directory");
        assert_eq!(first.layout().expect("readable"), None);
        first.remember(&layout).expect("writable");
        first.close();
        let again = DataDir::open(Some(&path)).expect("kept directory");
        assert_eq!(again.layout().expect("readable"), Some(layout));
    }

    #[test]
    fn second_cluster_on_the_same_directory_is_refused() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let _first = DataDir::open(Some(parent.path())).expect("first");
        let refused = DataDir::open(Some(parent.path())).err().expect("refused");
        assert!(refused.happened.contains("in use"), "{}", refused.happened);
    }

    #[test]
    fn layout_of_another_format_is_refused() {
        let parent = tempfile::tempdir().expect("temporary directory");
        let layout = Layout { format: 2, ..Layout::decide(None, None, None).expect("valid") };
        let dir = DataDir::open(Some(parent.path())).expect("open");
        dir.remember(&layout).expect("writable");
        assert!(dir.layout().is_err());
    }

    #[test]
    fn temporary_directory_is_gone_after_close() {
        let dir = DataDir::open(None).expect("temporary");
        let path = dir.path().to_owned();
        assert!(path.exists());
        dir.close();
        assert!(!path.exists());
    }
}
