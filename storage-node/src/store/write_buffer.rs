//! The thread that moves rows into RocksDB, and who waits for it.
//!
//! [`Runs`] decides what is in a run and which run moves; this file owns the lock around it, the
//! thread, and the waiting. A writer that is ahead of the moves waits here, so there are never more
//! than two runs. It is in the storage node and not in its core because it is a thread.

use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use ringkv_storage_core::store::runs::{Run, Runs, SortedRows};
use ringkv_storage_core::store::{StoreError, Write};

/// The buffer. Dropping it moves what is left, then ends the thread.
pub(super) struct WriteBuffer {
    shared: Arc<Shared>,
    run_bytes_max: usize,
    mover: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    runs: Runs,
    /// Why no run will ever move again.
    failure: Option<String>,
    closed: bool,
}

impl WriteBuffer {
    /// A buffer whose runs are closed at `run_bytes_max` and passed to `put`, one after the other.
    ///
    /// # Errors
    /// `StoreError` when the thread cannot be started.
    pub(super) fn start(
        run_bytes_max: usize,
        put: impl FnMut(&SortedRows<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let of_mover = Mover { shared: Arc::clone(&shared) };
        let mover = std::thread::Builder::new()
            .name("data-move".to_owned())
            .spawn(move || of_mover.run(put))
            .map_err(|e| StoreError::failed("start the thread that moves rows", e))?;
        Ok(Self { shared, run_bytes_max, mover: Some(mover) })
    }

    /// What a row is going to be: `None` if it is not here, `Some(None)` if it is dropped.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        self.shared.state.lock().runs.get(key)
    }

    /// Takes all rows in order. Waits while two runs are full.
    ///
    /// # Errors
    /// `StoreError` once a run could not be moved.
    pub(super) fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut state = self.shared.state.lock();
        state.runs.extend(writes);
        while state.runs.open_bytes() > self.run_bytes_max {
            state.check()?;
            if state.runs.close() {
                self.shared.changed.notify_all();
            } else {
                self.shared.changed.wait(&mut state);
            }
        }
        state.check()
    }

    /// Moves everything written so far; later writes may or may not go along.
    ///
    /// # Errors
    /// `StoreError` once a run could not be moved.
    pub(super) fn drain(&self) -> Result<(), StoreError> {
        let mut state = self.shared.state.lock();
        let last = state.runs.last();
        while state.runs.moved() < last {
            state.check()?;
            if state.runs.close() {
                self.shared.changed.notify_all();
            }
            self.shared.changed.wait(&mut state);
        }
        state.check()
    }

    /// Bytes of rows that are here, about.
    pub(super) fn bytes(&self) -> usize {
        self.shared.state.lock().runs.bytes()
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        // The writer has seen the failure; the log still has every row.
        let _ = self.drain();
        self.shared.state.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(mover) = self.mover.take() {
            let _ = mover.join();
        }
    }
}

impl State {
    fn check(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(failure) => {
                Err(StoreError::failed("move rows into the data store", failure.clone()))
            }
            None => Ok(()),
        }
    }
}

/// The thread's side. However it ends, no caller waits for it afterwards.
struct Mover {
    shared: Arc<Shared>,
}

impl Mover {
    /// Moves runs until the buffer is closed or one cannot be moved.
    fn run(self, mut put: impl FnMut(&SortedRows<'_>) -> Result<(), StoreError>) {
        while let Some(run) = self.next() {
            let result = put(&run.sorted());
            let mut state = self.shared.state.lock();
            if let Err(error) = result {
                state.failure = Some(format!("{:#}", anyhow::Error::new(error)));
                return;
            }
            state.runs.end_move();
            self.shared.changed.notify_all();
        }
    }

    /// The next run to move; `None` once the buffer is closed.
    fn next(&self) -> Option<Arc<Run>> {
        let mut state = self.shared.state.lock();
        loop {
            match state.runs.moving() {
                Some(run) => return Some(Arc::clone(run)),
                None if state.closed => return None,
                None => self.shared.changed.wait(&mut state),
            }
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.failure.get_or_insert_with(|| "the thread that moves rows has ended".to_owned());
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
