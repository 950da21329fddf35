//! What must be durable of a node's Raft groups, and the interface to where it is kept.
//!
//! One [`LogBatch`] carries the entries and hard states of all groups touched since the last one;
//! a store writes it atomically and, when `sync` is set, returns only after fsync. Two stores
//! exist: RocksDB (`ringkv-raft-log`) and memory, held to one shared test (`testing`).
//! Invariants: I-1 (fsync before acknowledgement), I-3 (term and vote never fall).

use bytes::Bytes;
use ringkv_topology::{GroupId, ReplicaId};

use crate::codec::DecodeError;
use crate::machine::Genesis;
use crate::position::{LogIndex, LogPosition, Term};

/// One log entry as it rests on disk and travels between nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its identity in the log.
    pub position: LogPosition,
    /// What it is for.
    pub kind: EntryKind,
    /// A [`crate::command_batch::CommandBatch`] for `Commands`, an encoded change for `Members`, nothing for `Empty`.
    pub data: Bytes,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A new leader's first entry.
    Empty,
    /// Commands for the state machine.
    Commands,
    /// A membership change.
    Members,
}

impl EntryKind {
    /// Its number in frames and on disk.
    pub fn number(self) -> u8 {
        match self {
            Self::Empty => 0,
            Self::Commands => 1,
            Self::Members => 2,
        }
    }

    /// The reverse of [`Self::number`].
    ///
    /// # Errors
    /// `DecodeError` for a number that no kind has.
    pub fn from_number(number: u8) -> Result<Self, DecodeError> {
        match number {
            0 => Ok(Self::Empty),
            1 => Ok(Self::Commands),
            2 => Ok(Self::Members),
            _ => Err(DecodeError::Implausible("entry kind")),
        }
    }
}

/// The state a replica must never lose, however the process ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term the replica knows.
    pub term: Term,
    /// The replica voted for in `term`; 0 for none.
    pub vote: u64,
    /// The last index it knows to be committed.
    pub commit: LogIndex,
}

/// A snapshot whose install has begun: until the marker is cleared, a restart begins it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallMarker {
    /// Names the received files.
    pub snapshot_id: String,
    /// Describes the files.
    pub manifest: Bytes,
}

/// Changes to one group. Fields are applied in this order, all or nothing with the whole batch.
#[derive(Clone, Debug, Default)]
pub struct GroupWrite {
    /// Remove everything of the group and leave a tombstone that names the replica. Before all
    /// else, so that the same batch may create the next replica.
    pub destroy: Option<ReplicaId>,
    /// The group is new here. Takes the place of a tombstone.
    pub create: Option<Genesis>,
    /// Remove every entry and start at this position (a snapshot replaces the log).
    pub reset: Option<LogPosition>,
    /// Remove every entry with an index of at least this (a conflict).
    pub truncate_from: Option<LogIndex>,
    /// Append; consecutive.
    pub append: Vec<Entry>,
    /// Replaces the hard state.
    pub hard_state: Option<HardState>,
    /// Cut the front: remove entries up to and including this position.
    pub compact_to: Option<LogPosition>,
    /// `Some(None)` clears the marker.
    pub install: Option<Option<InstallMarker>>,
}

/// One atomic write over many groups.
#[derive(Clone, Debug, Default)]
pub struct LogBatch {
    /// Rising from 1 in one run of the process.
    pub number: u64,
    /// The changes, at most one per group.
    pub groups: Vec<(GroupId, GroupWrite)>,
    /// Return only after fsync.
    pub sync: bool,
}

/// A group as found in the store at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredGroup {
    /// What the group was created with.
    pub genesis: Genesis,
    /// What the replica must never forget.
    pub hard_state: HardState,
    /// Where the log begins: the last position that was cut off, up to which everything is in the
    /// state machine. The first entry is the next one.
    pub start: LogPosition,
    /// 0 entries: equal to `start.index`.
    pub last_index: LogIndex,
    /// The first position of each run of entries of one term, ascending, covering `start.index` to
    /// `last_index`.
    pub runs: Vec<LogPosition>,
    /// The install that has begun, if any.
    pub install: Option<InstallMarker>,
}

/// A failure of the log. It always ends the process.
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct LogError {
    /// What was tried, as "verb object".
    pub context: String,
    /// The cause; none when the store found the failure itself.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Writes the log. One writer at a time.
pub trait LogWriter: Send + 'static {
    /// Writes the batch atomically; with `sync`, returns only after fsync.
    fn write(&mut self, batch: &LogBatch) -> Result<(), LogError>;
}

/// Reads what has been written. May be called while the writer runs.
pub trait LogReader: Send + Sync + 'static {
    /// Every group in the store.
    fn load(&self) -> Result<Vec<StoredGroup>, LogError>;

    /// For each group of which a replica was destroyed here and no later one created: that replica.
    fn tombstones(&self) -> Result<Vec<(GroupId, ReplicaId)>, LogError>;

    /// Entries `[from, to)` of a group, at least one, then as many as stay under `bytes_max`.
    /// Fails if the first is not there or any checksum is wrong.
    fn entries(
        &self,
        group: GroupId,
        from: LogIndex,
        to: LogIndex,
        bytes_max: u64,
    ) -> Result<Vec<Entry>, LogError>;
}
