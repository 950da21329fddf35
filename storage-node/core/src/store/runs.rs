//! Rows on their way into a slower store: found by key here, and moved over in large sorted runs.
//!
//! One thread writes and all others read single rows, so a hash table serves them, where
//! RocksDB's own sorted list costs a walk over cold memory for each row in and each row out (see
//! docs/decisions/2026-11-26-a-write-buffer-before-rocksdb.md). Owns the open run and the run that
//! is being moved; who moves it, and who waits, is decided by the storage node's write buffer.
//! Knows nothing of what rows mean.
//! Invariants: a batch is in one run whole, and runs move whole and in order, so the store behind
//! always holds the state between two batches. A row leaves only after the store has it. There are
//! at most two runs.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::store::Write;

/// Approximate bytes that a row takes here in addition to its key and value.
const ROW_BYTES: usize = 128;

/// Rows of a run in ascending order of keys; `None` drops the row.
pub type SortedRows<'a> = [(&'a Bytes, &'a Option<Bytes>)];

/// The open run, and the closed one that is being moved.
#[derive(Debug, Default)]
pub struct Runs {
    open: Run,
    moving: Option<Arc<Run>>,
    /// Runs closed so far; the run that is being moved has this number.
    closed: u64,
    /// Runs moved so far.
    moved: u64,
}

/// Rows that are moved together.
#[derive(Debug, Default)]
pub struct Run {
    rows: HashMap<Bytes, Option<Bytes>>,
    bytes: usize,
}

impl Runs {
    /// What a row is going to be: `None` if it is not here, `Some(None)` if it is dropped.
    pub fn get(&self, key: &[u8]) -> Option<Option<Bytes>> {
        let moving = || self.moving.as_ref().and_then(|run| run.rows.get(key));
        self.open.rows.get(key).or_else(moving).cloned()
    }

    /// Adds all rows in order to the open run.
    pub fn extend(&mut self, writes: Vec<Write>) {
        self.open.extend(writes);
    }

    /// Bytes of the open run, about.
    pub fn open_bytes(&self) -> usize {
        self.open.bytes
    }

    /// Bytes of both runs, about.
    pub fn bytes(&self) -> usize {
        self.open.bytes + self.moving.as_ref().map_or(0, |run| run.bytes)
    }

    /// Closes the open run, which is the next to move. Returns `false`, and does nothing, while
    /// another run is being moved.
    pub fn close(&mut self) -> bool {
        if self.moving.is_some() {
            return false;
        }
        self.moving = Some(Arc::new(std::mem::take(&mut self.open)));
        self.closed += 1;
        true
    }

    /// The run to move.
    pub fn moving(&self) -> Option<&Arc<Run>> {
        self.moving.as_ref()
    }

    /// The store behind has every row of the run that was being moved.
    pub fn end_move(&mut self) {
        self.moving = None;
        self.moved = self.closed;
    }

    /// The number of the last run with rows: once it has moved, everything written so far has.
    pub fn last(&self) -> u64 {
        self.closed + u64::from(!self.open.rows.is_empty())
    }

    /// The number of the last run that has moved; runs count from 1.
    pub fn moved(&self) -> u64 {
        self.moved
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

    /// The rows in ascending order of keys.
    pub fn sorted(&self) -> Vec<(&Bytes, &Option<Bytes>)> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(Vec<(u8, Option<u8>)>),
        Close,
        EndMove,
    }

    fn step() -> impl Strategy<Value = Step> {
        let rows = prop::collection::vec((0u8..6, prop::option::of(0u8..9)), 0..5);
        prop_oneof![
            4 => rows.prop_map(Step::Write),
            1 => Just(Step::Close),
            1 => Just(Step::EndMove),
        ]
    }

    fn write((key, value): (u8, Option<u8>)) -> Write {
        let byte = |byte: u8| Bytes::copy_from_slice(&[byte]);
        Write { key: byte(key), value: value.map(byte) }
    }

    /// A flush waits until `moved` has reached what `last` was when it began.
    #[test]
    fn rows_count_as_moved_only_once_their_run_is_in_the_store() {
        let mut runs = Runs::default();
        assert_eq!((runs.last(), runs.moved()), (0, 0), "nothing to wait for");
        runs.extend(vec![write((1, Some(1)))]);
        assert_eq!((runs.last(), runs.moved()), (1, 0));
        assert!(runs.close());
        runs.extend(vec![write((2, Some(2)))]);
        assert_eq!((runs.last(), runs.moved()), (2, 0), "one run is being moved, one is open");
        runs.end_move();
        assert_eq!((runs.last(), runs.moved()), (2, 1));
    }

    proptest! {
        /// The rows here over the rows moved are the rows written, at every moment.
        #[test]
        fn no_row_is_missing_at_any_moment(steps in prop::collection::vec(step(), 0..60)) {
            let mut runs = Runs::default();
            let (mut written, mut store) = (BTreeMap::new(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Write(rows) => {
                        let writes: Vec<Write> = rows.into_iter().map(write).collect();
                        written.extend(writes.iter().cloned().map(|w| (w.key, w.value)));
                        runs.extend(writes);
                    }
                    Step::Close => {
                        let was_moving = runs.moving().is_some();
                        prop_assert_eq!(runs.close(), !was_moving);
                    }
                    Step::EndMove => {
                        let Some(run) = runs.moving().cloned() else { continue };
                        let rows = run.sorted();
                        prop_assert!(rows.is_sorted_by(|a, b| a.0 < b.0));
                        let owned = |(key, value): (&Bytes, &Option<Bytes>)| {
                            (key.clone(), value.clone())
                        };
                        store.extend(rows.into_iter().map(owned));
                        runs.end_move();
                    }
                }
                for key in 0u8..6 {
                    let found = runs.get(&[key]).or_else(|| store.get(&[key][..]).cloned());
                    prop_assert_eq!(found, written.get(&[key][..]).cloned());
                }
                if runs.moved() == runs.last() {
                    prop_assert_eq!(&store, &written);
                    prop_assert_eq!(runs.bytes(), 0);
                }
            }
        }
    }
}
