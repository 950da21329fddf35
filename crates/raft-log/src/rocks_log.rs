//! The log of all groups of a node in a RocksDB of its own.
//!
//! Owns the database and how it is set up; `layout` owns every byte in it, `load` what is checked
//! at start. One [`LogBatch`] is one atomic write to RocksDB's write-ahead log, synced when asked
//! for; nothing here is ever retried.
//! Invariants: I-1 (fsync before acknowledgement), I-3 (term and vote never fall: they live in a
//! record that truncation and compaction do not touch).

use std::path::Path;
use std::sync::Arc;

use ringkv_consensus::{
    Entry, GroupWrite, LogBatch, LogError, LogIndex, LogReader, LogWriter, StoredGroup,
};
use ringkv_topology::{GroupId, ReplicaId};
use rocksdb::{DB, Options, WriteBatch, WriteOptions};

use crate::failure::failure;
use crate::figures::rocks_figure;
use crate::layout::{Kind, entry_key, key};
use crate::{layout, load, options};

/// A handle on the log; clones share the database, which closes with the last of them.
#[derive(Clone)]
pub struct RocksLog {
    db: Arc<DB>,
    options: Options,
}

impl RocksLog {
    /// Opens the log in `dir`, creating it if it is not there.
    ///
    /// # Errors
    /// `LogError` when another process has it open, when it is damaged, or when it was written in
    /// a format this build does not know.
    pub fn open(dir: &Path) -> Result<Self, LogError> {
        let options = options::database();
        let db = DB::open(&options, dir)
            .map_err(|e| failure(format!("open the log in {}", dir.display()), e))?;
        let log = Self { db: Arc::new(db), options };
        log.check_format()?;
        Ok(log)
    }

    /// What RocksDB reports of itself (see [`rocks_figure`]), 0 for what it does not know. Does not
    /// keep the log open.
    pub fn figures(&self) -> impl Fn(&str) -> u64 + Send + Sync + use<> {
        let (db, options) = (Arc::downgrade(&self.db), self.options.clone());
        move |name| db.upgrade().and_then(|db| rocks_figure(&db, &options, name)).unwrap_or(0)
    }

    /// Refuses a log of another format; marks a new one.
    fn check_format(&self) -> Result<(), LogError> {
        let key = layout::format_key();
        let read = |e| failure("read the log's format", e);
        match self.db.get_pinned(key).map_err(read)? {
            Some(value) => {
                layout::decode_format(&key, &value).map_err(|e| failure("read the log's format", e))
            }
            None => {
                let mut options = WriteOptions::default();
                options.set_sync(true);
                self.db
                    .put_opt(key, layout::encode_format(&key), &options)
                    .map_err(|e| failure("write the log's format", e))
            }
        }
    }
}

impl LogWriter for RocksLog {
    fn write(&mut self, batch: &LogBatch) -> Result<(), LogError> {
        let mut out = WriteBatch::default();
        for (group, write) in &batch.groups {
            put_group(&mut out, *group, write);
        }
        let mut options = WriteOptions::default();
        options.set_sync(batch.sync);
        self.db
            .write_opt(out, &options)
            .map_err(|e| failure(format!("write log batch {}", batch.number), e))
    }
}

impl LogReader for RocksLog {
    fn load(&self) -> Result<Vec<StoredGroup>, LogError> {
        load::groups(&self.db)
    }

    fn tombstones(&self) -> Result<Vec<(GroupId, ReplicaId)>, LogError> {
        load::tombstones(&self.db)
    }

    fn entries(
        &self,
        group: GroupId,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, LogError> {
        load::entries(&self.db, group, from, to, bytes_max)
    }
}

/// Adds one group's changes in their declared order; RocksDB applies a batch in the order of its
/// records, so an append after a range deletion in the same batch stays.
fn put_group(out: &mut WriteBatch, group: GroupId, write: &GroupWrite) {
    if let Some(replica) = write.destroy {
        out.delete_range(key(group, Kind::Format), key(group, Kind::Tombstone));
        let key = key(group, Kind::Tombstone);
        out.put(key, layout::encode_tombstone(&key, replica));
    }
    if let Some(genesis) = &write.create {
        out.delete(key(group, Kind::Tombstone));
        let key = key(group, Kind::Genesis);
        out.put(key, layout::encode_genesis(&key, genesis));
    }
    if let Some(start) = write.reset {
        out.delete_range(entry_key(group, LogIndex::ZERO), entry_key(group, LogIndex::MAX));
        let key = key(group, Kind::Start);
        out.put(key, layout::encode_start(&key, start));
    }
    if let Some(from) = write.truncate_from {
        out.delete_range(entry_key(group, from), entry_key(group, LogIndex::MAX));
    }
    let mut value = Vec::new();
    for entry in &write.append {
        let key = entry_key(group, entry.position.index);
        layout::encode_entry(&key, entry, &mut value);
        out.put(key, &value);
    }
    if let Some(hard_state) = write.hard_state {
        let key = key(group, Kind::HardState);
        out.put(key, layout::encode_hard_state(&key, hard_state));
    }
    if let Some(start) = write.compact_to {
        out.delete_range(entry_key(group, LogIndex::ZERO), entry_key(group, start.index.next()));
        let key = key(group, Kind::Start);
        out.put(key, layout::encode_start(&key, start));
    }
    match &write.install {
        Some(Some(marker)) => {
            let key = key(group, Kind::Install);
            out.put(key, layout::encode_install(&key, marker));
        }
        Some(None) => out.delete(key(group, Kind::Install)),
        None => {}
    }
}
