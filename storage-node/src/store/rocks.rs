//! Rows in a RocksDB of their own (`data/`), without a write-ahead log, behind a write buffer.
//!
//! A crash takes the store back to its last flush, never to something in between: the buffer moves
//! whole batches, in order, one RocksDB write for each run of them; there is one column family, and
//! memtables are cut between writes. The engine replays the rest from its log.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use ringkv_raft_log::rocks_figure;
use ringkv_storage_core::keys::KeyRange;
use ringkv_storage_core::store::runs::SortedRows;
use ringkv_storage_core::store::{SnapshotStore, Store, StoreError, Visit, Write};
use rocksdb::{
    DB, DBPinnableSlice, DBRawIterator, IngestExternalFileOptions, Options, Range, ReadOptions,
    WriteBatch,
};

use crate::store::rocks_options::{self, RocksSettings};
use crate::store::snapshot_files;
use crate::store::write_buffer::WriteBuffer;

/// Bytes that a row takes in a batch in addition to its key and value, at most.
const BATCH_ROW_BYTES: usize = 16;
const MEMTABLES_PROPERTY: &str = "rocksdb.cur-size-all-mem-tables";

/// Rows on disk. Clones share them.
#[derive(Clone)]
pub struct RocksStore {
    inner: Arc<Inner>,
}

struct Inner {
    /// Before the database: it moves what is left, and RocksDB flushes that when it is closed.
    buffer: WriteBuffer,
    db: Arc<DB>,
    options: Options,
}

impl RocksStore {
    /// Opens the store in `dir`, made if it is missing.
    ///
    /// # Errors
    /// `StoreError` when another process has it open, or it cannot be read.
    pub fn open(dir: &Path, settings: &RocksSettings) -> Result<Self, StoreError> {
        let options = rocks_options::database(settings);
        let db = DB::open(&options, dir)
            .map_err(|e| StoreError::failed(format!("open the data store {}", dir.display()), e))?;
        let db = Arc::new(db);
        let target = Arc::clone(&db);
        let buffer =
            WriteBuffer::start(settings.write_buffer_bytes, move |rows| put(&target, rows))?;
        Ok(Self { inner: Arc::new(Inner { buffer, db, options }) })
    }

    /// Figures of RocksDB by name (see [`rocks_figure`]), 0 for an unknown name. Does not keep the
    /// store open.
    pub(crate) fn figures(&self) -> impl Fn(&str) -> u64 + Send + Sync + use<> {
        let inner = Arc::downgrade(&self.inner);
        move |name| {
            let inner = inner.upgrade();
            inner.and_then(|inner| Self { inner }.figure(name)).unwrap_or(0)
        }
    }

    /// A figure of RocksDB, if it knows it. What is in the write buffer counts as in a memtable.
    pub(crate) fn figure(&self, name: &str) -> Option<u64> {
        let figure = rocks_figure(&self.inner.db, &self.inner.options, name)?;
        let buffered = if name == MEMTABLES_PROPERTY { self.inner.buffer.bytes() } else { 0 };
        Some(figure + buffered as u64)
    }
}

/// Puts a run of rows into the database: all of them, or none.
fn put(db: &DB, rows: &SortedRows<'_>) -> Result<(), StoreError> {
    let bytes = |(key, value): &(&Bytes, &Option<Bytes>)| {
        key.len() + value.as_ref().map_or(0, Bytes::len) + BATCH_ROW_BYTES
    };
    let mut batch = WriteBatch::with_capacity_bytes(rows.iter().map(bytes).sum());
    for (key, value) in rows {
        match value {
            Some(value) => batch.put(key, value),
            None => batch.delete(key),
        }
    }
    db.write_without_wal(batch).map_err(|e| StoreError::failed("write rows", e))
}

/// A value in the write buffer or in RocksDB.
pub enum Value<'a> {
    Buffered(Bytes),
    Stored(DBPinnableSlice<'a>),
}

impl Deref for Value<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Buffered(bytes) => bytes,
            Self::Stored(slice) => slice,
        }
    }
}

impl Store for RocksStore {
    type Value<'a> = Value<'a>;

    fn get(&self, key: &[u8]) -> Result<Option<Value<'_>>, StoreError> {
        // In this order: a row leaves the buffer only once RocksDB has it.
        if let Some(buffered) = self.inner.buffer.get(key) {
            return Ok(buffered.map(Value::Buffered));
        }
        let stored = self.inner.db.get_pinned(key);
        Ok(stored.map_err(|e| StoreError::failed("read a row", e))?.map(Value::Stored))
    }

    fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        self.inner.buffer.write(writes)
    }

    /// Moves the buffer first: scans are for starts and checks, never for a request.
    fn scan(&self, range: &KeyRange, visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.inner.buffer.drain()?;
        let mut rows: DBRawIterator<'_> = self.inner.db.raw_iterator_opt(read_options(range, true));
        rows.seek(&range.start);
        while let Some((key, value)) = rows.item() {
            if visit(key, value).is_break() {
                return Ok(());
            }
            rows.next();
        }
        rows.status().map_err(|e| StoreError::failed("scan rows", e))
    }

    fn clear(&self, range: &KeyRange) -> Result<(), StoreError> {
        self.inner.buffer.drain()?;
        let mut batch = WriteBatch::default();
        batch.delete_range(&range.start, &range.end);
        self.inner.db.write_without_wal(batch).map_err(|e| StoreError::failed("delete rows", e))
    }
}

impl SnapshotStore for RocksStore {
    fn flush(&self) -> Result<(), StoreError> {
        self.inner.buffer.drain()?;
        self.inner.db.flush().map_err(|e| StoreError::failed("flush the data store", e))
    }

    fn write_files(
        &self,
        range: &KeyRange,
        key: &[u8],
        dir: &Path,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.inner.buffer.drain()?;
        let snapshot = self.inner.db.snapshot();
        // The key comes from the same iterator, which keeps its files: a range that is removed
        // meanwhile loses files, and older versions of a row could come up in a new look.
        let mut rows = snapshot.raw_iterator_opt(read_options(range, false));
        rows.seek(key);
        let value = rows.item().filter(|(found, _)| *found == key).map(|(_, value)| value.to_vec());
        rows.seek(&range.start);
        snapshot_files::write(&mut rows, &self.inner.options, dir)?;
        Ok(value)
    }

    fn replace_by_files(&self, range: &KeyRange, dir: &Path) -> Result<(), StoreError> {
        let files = snapshot_files::list(dir)?;
        // On disk before the files come in, so that the order of the two never hangs on how
        // RocksDB orders a range drop in memory against files beneath it.
        self.remove(range)?;
        let mut options = IngestExternalFileOptions::default();
        options.set_move_files(false);
        options.set_snapshot_consistency(true);
        options.set_allow_global_seqno(true);
        options.set_allow_blocking_flush(true);
        self.inner
            .db
            .ingest_external_file_opts(&options, files)
            .map_err(|e| StoreError::failed("ingest snapshot files", e))?;
        self.flush()
    }

    fn remove(&self, range: &KeyRange) -> Result<(), StoreError> {
        self.inner.buffer.drain()?;
        // Before the rows are dropped, not after: a file that goes may hold the drop of older rows.
        let files = self.inner.db.delete_file_in_range(&range.start, &range.end);
        files.map_err(|e| StoreError::failed("delete the files of a range", e))?;
        self.clear(range)?;
        self.flush()
    }

    fn disk_bytes(&self, range: &KeyRange) -> u64 {
        self.inner.db.get_approximate_sizes(&[Range::new(&range.start, &range.end)]).iter().sum()
    }
}

fn read_options(range: &KeyRange, fill_cache: bool) -> ReadOptions {
    let mut options = ReadOptions::default();
    options.set_iterate_upper_bound(range.end.to_vec());
    // A range may span slots, which the prefix index would not follow.
    options.set_total_order_seek(true);
    options.fill_cache(fill_cache);
    options
}
