//! Rows on their way into RocksDB: found by key here, and moved over in large sorted runs.
//!
//! One thread writes and everybody else reads single rows, so a hash table serves them, where
//! RocksDB's own sorted list costs a walk over cold memory for each row in and each row out (see
//! docs/decisions/2026-11-26-a-write-buffer-before-rocksdb.md). Owns the run that is open, the one
//! that is being moved and the thread that moves it. Knows nothing of what rows mean.
//! Invariants: a batch is in one run whole, and runs move whole and in order, so what RocksDB holds
//! is always the state between two batches. A row is gone from here only once it is there. Two runs
//! at most: a writer that is ahead of the moves waits.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use super::{StoreError, Write};

/// What a row takes here beside its key and value, about.
const ROW_BYTES: usize = 128;

/// Rows of a run in ascending order of keys; `None` drops the row.
pub(super) type SortedRows<'a> = [(&'a Bytes, &'a Option<Bytes>)];

/// The buffer. Dropping it moves what is left, then ends the thread.
pub(super) struct WriteBuffer {
    shared: Arc<Shared>,
    run_bytes_max: usize,
    mover: Option<JoinHandle<()>>,
}

struct Shared {
    runs: Mutex<Runs>,
    changed: Condvar,
}

struct Runs {
    open: Run,
    /// The number of the open run; they count from 1.
    number: u64,
    moving: Option<Arc<Run>>,
    /// The number of the last run that was moved.
    moved: u64,
    /// Why no run will ever move again.
    failure: Option<String>,
    closed: bool,
}

#[derive(Default)]
struct Run {
    rows: HashMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl WriteBuffer {
    /// A buffer whose runs are closed at `run_bytes_max` and given to `put`, one after the other.
    ///
    /// # Errors
    /// `StoreError` when the thread cannot be started.
    pub(super) fn start(
        run_bytes_max: usize,
        put: impl FnMut(&SortedRows<'_>) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<Self, StoreError> {
        let runs = Runs {
            open: Run::default(),
            number: 1,
            moving: None,
            moved: 0,
            failure: None,
            closed: false,
        };
        let shared = Arc::new(Shared { runs: Mutex::new(runs), changed: Condvar::new() });
        let of_mover = Mover { shared: Arc::clone(&shared) };
        let mover = std::thread::Builder::new()
            .name("data-move".to_owned())
            .spawn(move || of_mover.run(put))
            .map_err(|e| StoreError::failed("start the thread that moves rows", e))?;
        Ok(Self { shared, run_bytes_max, mover: Some(mover) })
    }

    /// What a row is going to be: `None` if it is not here, `Some(None)` if it is dropped.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let runs = self.shared.runs.lock();
        let moving = || runs.moving.as_ref().and_then(|run| run.rows.get(key));
        runs.open.rows.get(key).or_else(moving).cloned()
    }

    /// Takes all rows in order. Waits while two runs are full.
    ///
    /// # Errors
    /// `StoreError` once a run could not be moved.
    pub(super) fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        let mut runs = self.shared.runs.lock();
        runs.open.extend(writes);
        while runs.open.bytes > self.run_bytes_max {
            runs.check()?;
            if runs.moving.is_none() {
                self.close_run(&mut runs);
            } else {
                self.shared.changed.wait(&mut runs);
            }
        }
        runs.check()
    }

    /// Moves everything written so far; later writes may or may not go along.
    ///
    /// # Errors
    /// `StoreError` once a run could not be moved.
    pub(super) fn drain(&self) -> Result<(), StoreError> {
        let mut runs = self.shared.runs.lock();
        let upto = if runs.open.rows.is_empty() { runs.number - 1 } else { runs.number };
        while runs.moved < upto {
            runs.check()?;
            if runs.moving.is_none() {
                self.close_run(&mut runs);
            }
            self.shared.changed.wait(&mut runs);
        }
        runs.check()
    }

    /// Bytes of rows that are here, about.
    pub(super) fn bytes(&self) -> usize {
        let runs = self.shared.runs.lock();
        runs.open.bytes + runs.moving.as_ref().map_or(0, |run| run.bytes)
    }

    fn close_run(&self, runs: &mut MutexGuard<'_, Runs>) {
        runs.moving = Some(Arc::new(std::mem::take(&mut runs.open)));
        runs.number += 1;
        self.shared.changed.notify_all();
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        // A failure was told to whoever wrote; the log still has every row.
        let _ = self.drain();
        self.shared.runs.lock().closed = true;
        self.shared.changed.notify_all();
        if let Some(mover) = self.mover.take() {
            let _ = mover.join();
        }
    }
}

impl Run {
    fn extend(&mut self, writes: Vec<Write>) {
        for Write { key, value } in writes {
            let key_bytes = key.len();
            self.bytes += value.as_ref().map_or(0, Bytes::len);
            match self.rows.insert(key, value) {
                Some(before) => self.bytes -= before.map_or(0, |value| value.len()),
                None => self.bytes += key_bytes + ROW_BYTES,
            }
        }
    }

    fn sorted(&self) -> Vec<(&Bytes, &Option<Bytes>)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
}

impl Runs {
    fn check(&self) -> Result<(), StoreError> {
        match &self.failure {
            Some(failure) => {
                Err(StoreError::failed("move rows into the data store", failure.clone()))
            }
            None => Ok(()),
        }
    }
}

/// The thread's side. However it ends, nobody waits for it any longer.
struct Mover {
    shared: Arc<Shared>,
}

impl Mover {
    /// Moves runs until the buffer is closed or one cannot be moved.
    fn run(self, mut put: impl FnMut(&SortedRows<'_>) -> Result<(), StoreError>) {
        while let Some(run) = self.next() {
            let result = put(&run.sorted());
            let mut runs = self.shared.runs.lock();
            if let Err(error) = result {
                runs.failure = Some(format!("{:#}", anyhow::Error::new(error)));
                return;
            }
            runs.moving = None;
            runs.moved += 1;
            self.shared.changed.notify_all();
        }
    }

    /// The next run to move; `None` once the buffer is closed.
    fn next(&self) -> Option<Arc<Run>> {
        let mut runs = self.shared.runs.lock();
        loop {
            match &runs.moving {
                Some(run) => return Some(Arc::clone(run)),
                None if runs.closed => return None,
                None => self.shared.changed.wait(&mut runs),
            }
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        let mut runs = self.shared.runs.lock();
        runs.failure.get_or_insert_with(|| "the thread that moves rows has ended".to_owned());
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
