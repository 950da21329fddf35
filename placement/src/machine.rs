//! The placement state machine for the engine: an image in memory and one file.
//!
//! The log is the journal: the file is written only when the engine requests a flush, and the log
//! is cut only up to there. The state is small (a topology), so the whole image is one file, and a
//! snapshot is a copy of it. Publishes the state to the rest of the process after each apply.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use ringkv_consensus::{
    AppliedState, Apply, Flusher, Genesis, GroupBatch, Installer, LogIndex, MachineError,
    SnapshotBuilder, StateMachine,
};
use ringkv_data_dir::replace_file;
use ringkv_placement_core::image::{GROUP, Image};
use ringkv_placement_core::state::State;
use ringkv_topology::GroupId;
use tokio::sync::watch;

const FILE: &str = "state";

/// The state machine of a placement replica.
pub(crate) struct Machine {
    store: Arc<Store>,
    published: watch::Sender<Arc<State>>,
}

struct Store {
    dir: PathBuf,
    image: Mutex<Image>,
    /// Held from reading the image to its rename, so that an older image never replaces a newer.
    file: Mutex<()>,
}

impl Machine {
    /// Reads the image in the data directory. Without one the replica is new.
    ///
    /// # Errors
    /// The file is damaged or has another version: the replica must not start.
    pub(crate) fn open(dir: &Path) -> Result<Self, MachineError> {
        let path = dir.join(FILE);
        let image = match fs::read(&path) {
            Ok(bytes) => Image::decode(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Image::default(),
            Err(error) => return Err(failed("read", &path, error)),
        };
        let (published, _) = watch::channel(Arc::new(image.state().clone()));
        let (image, file) = (Mutex::new(image), Mutex::new(()));
        Ok(Self { store: Arc::new(Store { dir: dir.to_owned(), image, file }), published })
    }

    /// The state as applied on this replica, which may be behind the leader's.
    pub(crate) fn state(&self) -> watch::Receiver<Arc<State>> {
        self.published.subscribe()
    }

    fn publish(&self) {
        let state = Arc::new(self.store.image.lock().state().clone());
        self.published.send_replace(state);
    }
}

impl Apply for Machine {
    fn groups(&self) -> Vec<(GroupId, AppliedState)> {
        let image = self.store.image.lock();
        image.applied().map(|applied| (GROUP, applied.clone())).into_iter().collect()
    }

    fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError> {
        self.store.image.lock().create(genesis)?;
        self.publish();
        Ok(())
    }

    fn destroy(&mut self, group: GroupId) -> Result<(), MachineError> {
        self.store.remove(group)?;
        self.publish();
        Ok(())
    }

    fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError> {
        let results = self.store.image.lock().apply(batches)?;
        if results.iter().any(|entry| !entry.is_empty()) {
            self.publish();
        }
        Ok(results)
    }
}

impl StateMachine for Machine {
    /// The image stays, since the process reads it elsewhere; the engine applies nothing to it.
    fn release(&mut self, _group: GroupId) {}

    fn adopt(&mut self, group: GroupId, applied: &AppliedState) -> Result<(), MachineError> {
        if group != GROUP || self.store.image.lock().applied() != Some(applied) {
            let context = format!("install group {group}: the snapshot has another position");
            return Err(MachineError::corrupt(context));
        }
        self.publish();
        Ok(())
    }

    fn installer(&self) -> Arc<dyn Installer> {
        Arc::clone(&self.store) as Arc<dyn Installer>
    }

    fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder> {
        Arc::clone(&self.store) as Arc<dyn SnapshotBuilder>
    }

    fn flusher(&self) -> Arc<dyn Flusher> {
        Arc::clone(&self.store) as Arc<dyn Flusher>
    }
}

impl Store {
    fn write(&self, bytes: &[u8]) -> Result<(), MachineError> {
        replace_file(&self.dir, FILE, bytes)
            .map_err(|error| failed("write", &self.dir.join(FILE), error))
    }
}

impl Installer for Store {
    fn install(&self, group: GroupId, dir: &Path) -> Result<(), MachineError> {
        let path = dir.join(FILE);
        let bytes = fs::read(&path).map_err(|error| failed("read", &path, error))?;
        let image = Image::decode(&bytes)?;
        if group != GROUP {
            return Err(MachineError::corrupt(format!(
                "install group {group}: no such group here"
            )));
        }
        let _file = self.file.lock();
        *self.image.lock() = image;
        self.write(&bytes)
    }

    fn remove(&self, group: GroupId) -> Result<(), MachineError> {
        if group != GROUP {
            return Ok(());
        }
        let _file = self.file.lock();
        *self.image.lock() = Image::default();
        let path = self.dir.join(FILE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", &path, error));
            }
            _ => {}
        }
        let synced = fs::File::open(&self.dir).and_then(|dir| dir.sync_all());
        synced.map_err(|error| failed("sync", &self.dir, error))
    }
}

impl SnapshotBuilder for Store {
    fn build(&self, group: GroupId, dir: &Path) -> Result<AppliedState, MachineError> {
        let image = self.image.lock().clone();
        let Some(applied) = image.applied().filter(|_| group == GROUP) else {
            return Err(MachineError::corrupt(format!(
                "snapshot group {group}: no such group here"
            )));
        };
        let path = dir.join(FILE);
        fs::write(&path, image.encode()).map_err(|error| failed("write", &path, error))?;
        Ok(applied.clone())
    }
}

impl Flusher for Store {
    fn flush(&self) -> Result<Vec<(GroupId, LogIndex)>, MachineError> {
        let _file = self.file.lock();
        let image = self.image.lock().clone();
        let Some(applied) = image.applied() else { return Ok(Vec::new()) };
        self.write(&image.encode())?;
        Ok(vec![(GROUP, applied.position.index)])
    }
}

fn failed(verb: &str, path: &Path, source: io::Error) -> MachineError {
    MachineError::new(format!("{verb} {}", path.display()), source)
}

#[cfg(test)]
mod tests;
