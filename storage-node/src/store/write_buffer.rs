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
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    type Rows = BTreeMap<Bytes, Option<Bytes>>;

    fn write(key: &str, value: &str) -> Write {
        let value = (!value.is_empty()).then(|| Bytes::copy_from_slice(value.as_bytes()));
        Write { key: Bytes::copy_from_slice(key.as_bytes()), value }
    }

    fn owned(rows: &SortedRows<'_>) -> Vec<(Bytes, Option<Bytes>)> {
        rows.iter().map(|(key, value)| ((*key).clone(), (*value).clone())).collect()
    }

    /// A buffer that closes a run with every batch, and whose moves wait: each tells that it has
    /// begun, and ends when it is let go.
    fn held_up() -> (WriteBuffer, Receiver<()>, SyncSender<Result<(), StoreError>>) {
        let (begun, begins) = sync_channel(64);
        let (release, released) = sync_channel(64);
        let buffer = WriteBuffer::start(1, move |_| {
            let _ = begun.send(());
            released.recv().unwrap_or(Ok(()))
        });
        (buffer.unwrap(), begins, release)
    }

    #[test]
    fn a_row_is_found_until_its_run_has_been_moved() {
        let (buffer, begins, release) = held_up();
        buffer.write(vec![write("a", "1"), write("b", "")]).unwrap();
        begins.recv().unwrap();
        assert_eq!(buffer.get(b"a"), Some(Some(Bytes::from_static(b"1"))));
        assert_eq!(buffer.get(b"b"), Some(None), "dropped, which is not the same as not here");
        assert_eq!(buffer.get(b"c"), None);
        release.send(Ok(())).unwrap();
        buffer.drain().unwrap();
        assert_eq!((buffer.get(b"a"), buffer.get(b"b")), (None, None));
        assert_eq!(buffer.bytes(), 0);
    }

    #[test]
    fn a_writer_that_is_two_runs_ahead_waits() {
        let (buffer, begins, release) = held_up();
        let (progress, written) = sync_channel(64);
        let writer = std::thread::spawn(move || {
            for number in 0..3 {
                buffer.write(vec![write(&number.to_string(), "v")]).unwrap();
                progress.send(number).unwrap();
            }
        });
        begins.recv().unwrap();
        assert_eq!(written.recv(), Ok(0));
        assert!(written.recv_timeout(Duration::from_millis(200)).is_err(), "it has to wait");
        release.send(Ok(())).unwrap();
        assert_eq!(written.recv(), Ok(1));
        drop(release);
        writer.join().unwrap();
        assert_eq!(written.recv(), Ok(2));
    }

    #[test]
    fn a_run_that_cannot_be_moved_fails_every_later_write() {
        let (buffer, begins, release) = held_up();
        buffer.write(vec![write("a", "1")]).unwrap();
        begins.recv().unwrap();
        release.send(Err(StoreError::failed("write rows", "the disk is gone"))).unwrap();
        let error = buffer.drain().unwrap_err();
        assert!(format!("{:#}", anyhow::Error::new(error)).contains("the disk is gone"));
        assert!(buffer.write(vec![write("b", "1")]).is_err());
    }

    #[test]
    fn nobody_waits_for_a_mover_that_panicked() {
        let buffer = WriteBuffer::start(1, |_| panic!("on purpose")).unwrap();
        buffer.write(vec![write("a", "1")]).unwrap();
        let error = format!("{:#}", anyhow::Error::new(buffer.drain().unwrap_err()));
        assert!(error.contains("has ended"), "{error}");
    }

    #[test]
    fn what_is_left_is_moved_at_the_end() {
        let (moved, runs) = sync_channel(64);
        let put = move |rows: &SortedRows<'_>| {
            moved.send(owned(rows)).unwrap();
            Ok(())
        };
        let buffer = WriteBuffer::start(usize::MAX, put).unwrap();
        buffer.write(vec![write("b", "1"), write("a", "2"), write("b", "")]).unwrap();
        drop(buffer);
        let a = (Bytes::from_static(b"a"), Some(Bytes::from_static(b"2")));
        let b = (Bytes::from_static(b"b"), None);
        assert_eq!(runs.iter().collect::<Vec<_>>(), [vec![a, b]], "sorted, the last write of each");
    }

    proptest! {
        #[test]
        fn every_run_ends_between_two_batches(
            batches in prop::collection::vec(
                prop::collection::vec((0u8..6, prop::option::of(0u8..9)), 0..5), 0..20),
            run_bytes_max in 1usize..2_000,
        ) {
            let (moved, runs) = sync_channel(64);
            let put = move |rows: &SortedRows<'_>| {
                moved.send(owned(rows)).unwrap();
                Ok(())
            };
            let buffer = WriteBuffer::start(run_bytes_max, put).unwrap();
            let mut states: Vec<Rows> = vec![Rows::new()];
            for batch in &batches {
                let row = |(key, value): &(u8, Option<u8>)| Write {
                    key: Bytes::copy_from_slice(&[*key]),
                    value: value.map(|value| Bytes::copy_from_slice(&[value])),
                };
                buffer.write(batch.iter().map(row).collect()).unwrap();
                let mut state = states[states.len() - 1].clone();
                state.extend(batch.iter().map(row).map(|write| (write.key, write.value)));
                states.push(state);
            }
            drop(buffer);
            let (mut state, mut at) = (Rows::new(), 0);
            for run in runs {
                prop_assert!(run.is_sorted_by(|a, b| a.0 < b.0));
                state.extend(run);
                let found = states[at..].iter().position(|between| *between == state);
                at += found.expect("the state between two batches, later than the last");
            }
            prop_assert_eq!(&state, &states[states.len() - 1]);
        }
    }
}
