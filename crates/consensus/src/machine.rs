//! What the engine asks of a replicated state machine, and the values that pass between them.
//!
//! The engine decides order and durability; the machine decides what a command does. The machine
//! is deterministic: the same entries give the same bytes on every replica. One machine serves all
//! groups of a node, so that one write carries many groups.
//! Invariant (I-5): data, applied state and results of a batch are one atomic write.

use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes};
use ringkv_topology::{GroupId, ReplicaId};

use crate::codec::DecodeError;
use crate::command_batch::CommandBatch;
use crate::members::Members;
use crate::position::{LogIndex, LogPosition};
use crate::times::EntryTimes;
use crate::types::Ticket;

/// How far a group's state machine is, and the membership as of there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppliedState {
    /// The last entry that is applied.
    pub position: LogPosition,
    /// The members as of there.
    pub members: Members,
}

/// A new group on this node: every replica of it starts from the same members and context.
///
/// It counts as the entry at index 1 of term 1. A genesis without members is a replica that is to
/// join a group that runs: it stands at 0, before that entry, so it is always brought up by a
/// snapshot and never misses the context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// The group.
    pub group: GroupId,
    /// The replica on this node.
    pub replica: ReplicaId,
    /// The first members; none for a replica that joins.
    pub members: Members,
    /// The machine's own start value (for the KV machine: the slots the group owns).
    pub context: Bytes,
}

impl Genesis {
    /// The place of genesis in the log.
    pub const POSITION: LogPosition = LogPosition::new(1, 1);

    /// Whether the replica waits to be brought up by a snapshot.
    pub fn is_joining(&self) -> bool {
        self.members.voters.is_empty()
    }

    /// The applied state of a replica that has applied nothing but genesis.
    pub fn applied(&self) -> AppliedState {
        if self.is_joining() {
            return AppliedState::default();
        }
        AppliedState { position: Self::POSITION, members: self.members.clone() }
    }
}

/// Consecutive committed entries of one group, to apply in order.
#[derive(Clone, Debug)]
pub struct GroupBatch {
    /// The group.
    pub group: GroupId,
    /// The entries, ascending by index.
    pub entries: Vec<Committed>,
    /// The applied state once all of `entries` are applied; stored in the same write.
    pub after: AppliedState,
}

/// One committed entry.
#[derive(Clone, Debug)]
pub struct Committed {
    /// Its place in the log.
    pub index: LogIndex,
    /// The commands; `None` for entries that only concern the engine.
    pub commands: Option<CommandBatch>,
    /// Who waits for each command here: empty, or one per command.
    pub tickets: Vec<Ticket>,
    /// As far as it has come; all zero on a node that did not propose it.
    pub times: EntryTimes,
}

/// A failure of the store under the machine. It always ends the process: a state machine that
/// has lost a write must not go on (fsync is never retried).
#[derive(Debug, thiserror::Error)]
#[error("{context}")]
pub struct MachineError {
    /// What was tried, as "verb object".
    pub context: String,
    /// The cause; none when the machine found the failure itself.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl MachineError {
    /// A failure with its cause; `context` says what was tried, as "verb object".
    pub fn new(
        context: impl Into<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { context: context.into(), source: Some(source.into()) }
    }

    /// A failure found by the machine itself (a checksum, a format).
    pub fn corrupt(context: impl Into<String>) -> Self {
        Self { context: context.into(), source: None }
    }
}

/// The part of a state machine that decides, over all groups of a node: it needs no disk, so a
/// simulation drives it as the engine does.
pub trait Apply {
    /// The groups and how far each is applied; at start, as far as they were durable.
    fn groups(&self) -> Vec<(GroupId, AppliedState)>;

    /// Sets up a group at genesis. Called again after a crash that lost it: must then do the same.
    fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError>;

    /// Removes a group and all its state. Called again after a crash: a group that is not there is
    /// no error.
    fn destroy(&mut self, group: GroupId) -> Result<(), MachineError>;

    /// Applies in order, as one atomic write with each group's `after`. Returns, for every entry of
    /// every batch in order, one result per command.
    fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError>;
}

/// A replicated state machine over all groups of a node, with a disk. Driven by the engine's apply
/// thread.
///
/// # Example
///
/// A machine that counts the commands of each group, in memory. The result of a command is its
/// number.
///
/// ```
/// use std::collections::BTreeMap;
/// use std::path::Path;
/// use std::sync::{Arc, Mutex};
///
/// use bytes::Bytes;
/// use ringkv_consensus::{
///     AppliedState, Apply, CommandBatch, Flusher, Genesis, GroupBatch, Installer, LogIndex,
///     MachineError, SnapshotBuilder, StateMachine,
/// };
/// use ringkv_topology::GroupId;
///
/// /// Clones share the counts, as the threads of a machine share its store.
/// #[derive(Clone, Default)]
/// struct Counter(Arc<Mutex<BTreeMap<GroupId, (AppliedState, u64)>>>);
///
/// impl Apply for Counter {
///     fn groups(&self) -> Vec<(GroupId, AppliedState)> {
///         let groups = self.0.lock().expect("not poisoned");
///         groups.iter().map(|(group, (applied, _))| (*group, applied.clone())).collect()
///     }
///
///     fn create(&mut self, genesis: &Genesis) -> Result<(), MachineError> {
///         let mut groups = self.0.lock().expect("not poisoned");
///         groups.insert(genesis.group, (genesis.applied(), 0));
///         Ok(())
///     }
///
///     fn destroy(&mut self, group: GroupId) -> Result<(), MachineError> {
///         self.0.lock().expect("not poisoned").remove(&group);
///         Ok(())
///     }
///
///     fn apply(&mut self, batches: &[GroupBatch]) -> Result<Vec<Vec<Bytes>>, MachineError> {
///         let mut groups = self.0.lock().expect("not poisoned");
///         let mut results = Vec::new();
///         for batch in batches {
///             let Some((applied, count)) = groups.get_mut(&batch.group) else {
///                 return Err(MachineError::corrupt(format!("find group {}", batch.group)));
///             };
///             for entry in &batch.entries {
///                 let mut of_entry = Vec::new();
///                 for _command in entry.commands.iter().flat_map(CommandBatch::commands) {
///                     *count += 1;
///                     of_entry.push(Bytes::from(count.to_string()));
///                 }
///                 results.push(of_entry);
///             }
///             *applied = batch.after.clone();
///         }
///         Ok(results)
///     }
/// }
///
/// impl StateMachine for Counter {
///     fn release(&mut self, group: GroupId) {
///         self.0.lock().expect("not poisoned").remove(&group);
///     }
///
///     fn adopt(&mut self, group: GroupId, applied: &AppliedState) -> Result<(), MachineError> {
///         match self.0.lock().expect("not poisoned").get_mut(&group) {
///             Some(installed) => installed.0 = applied.clone(),
///             None => return Err(MachineError::corrupt(format!("adopt group {group}"))),
///         }
///         Ok(())
///     }
///
///     fn installer(&self) -> Arc<dyn Installer> {
///         Arc::new(self.clone())
///     }
///
///     fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder> {
///         Arc::new(self.clone())
///     }
///
///     fn flusher(&self) -> Arc<dyn Flusher> {
///         Arc::new(self.clone())
///     }
/// }
///
/// impl Installer for Counter {
///     fn install(&self, group: GroupId, dir: &Path) -> Result<(), MachineError> {
///         let read = std::fs::read_to_string(dir.join("count"));
///         let count = read.map_err(|error| MachineError::new("read the snapshot", error))?;
///         let count = count.parse().map_err(|error| MachineError::new("parse the count", error))?;
///         let installed = (AppliedState::default(), count);
///         self.0.lock().expect("not poisoned").insert(group, installed);
///         Ok(())
///     }
///
///     fn remove(&self, group: GroupId) -> Result<(), MachineError> {
///         self.0.lock().expect("not poisoned").remove(&group);
///         Ok(())
///     }
/// }
///
/// impl SnapshotBuilder for Counter {
///     fn build(&self, group: GroupId, dir: &Path) -> Result<AppliedState, MachineError> {
///         let (applied, count) = self.0.lock().expect("not poisoned")[&group].clone();
///         std::fs::write(dir.join("count"), count.to_string())
///             .map_err(|error| MachineError::new("write the snapshot", error))?;
///         Ok(applied)
///     }
/// }
///
/// impl Flusher for Counter {
///     fn flush(&self) -> Result<Vec<(GroupId, LogIndex)>, MachineError> {
///         // Nothing here outlives the process, so nothing is durable: the log keeps everything.
///         Ok(Vec::new())
///     }
/// }
/// ```
pub trait StateMachine: Apply + Send + 'static {
    /// Takes a group out of service, if it is here: it is neither read nor applied to, and not among
    /// [`Apply::groups`], until [`Self::adopt`]. Returns at once.
    fn release(&mut self, group: GroupId);

    /// Puts a released group in service again, with the state that [`Installer::install`] left.
    /// Returns at once. Fails when that state does not stand at `applied`.
    fn adopt(&mut self, group: GroupId, applied: &AppliedState) -> Result<(), MachineError>;

    /// For the install thread: works on released groups during a running apply of the others.
    fn installer(&self) -> Arc<dyn Installer>;

    /// Replaces all of a group by a snapshot, in one go. Blocks: for the start, when nothing is
    /// applied yet.
    fn install(
        &mut self,
        group: GroupId,
        dir: &Path,
        applied: &AppliedState,
    ) -> Result<(), MachineError> {
        self.release(group);
        self.installer().install(group, dir)?;
        self.adopt(group, applied)
    }

    /// For the snapshot threads: reads during a running apply.
    fn snapshot_builder(&self) -> Arc<dyn SnapshotBuilder>;

    /// For the flush thread: makes durable during a running apply.
    fn flusher(&self) -> Arc<dyn Flusher>;
}

/// Replaces and removes the state of groups that are out of service, during a running apply of the
/// others. Blocks.
pub trait Installer: Send + Sync {
    /// Replaces all of a released group by the snapshot files in `dir` (as built by
    /// [`SnapshotBuilder::build`] elsewhere, already checked against their checksums) and makes
    /// it durable before returning. Runs again after a crash in the middle.
    fn install(&self, group: GroupId, dir: &Path) -> Result<(), MachineError>;

    /// Removes all state of a released group, durably, as [`Apply::destroy`] does at start.
    fn remove(&self, group: GroupId) -> Result<(), MachineError>;
}

/// Builds snapshots of a group from a consistent view, during a running apply.
pub trait SnapshotBuilder: Send + Sync {
    /// Writes the group's state as files into the empty directory `dir` and returns the applied
    /// state they stand at. File names are the machine's own; sizes and checksums are the
    /// engine's affair.
    fn build(&self, group: GroupId, dir: &Path) -> Result<AppliedState, MachineError>;
}

/// Makes applied state durable, so that the log behind it can be cut.
pub trait Flusher: Send + Sync {
    /// Flushes and returns, per group, the applied index that is durable now. Blocks.
    fn flush(&self) -> Result<Vec<(GroupId, LogIndex)>, MachineError>;
}

const APPLIED_STATE_VERSION: u8 = 1;

impl AppliedState {
    /// The bytes a machine stores in addition to its data: version, index, term, members, checksum.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![APPLIED_STATE_VERSION];
        out.put_u64_le(self.position.index.0);
        out.put_u64_le(self.position.term.0);
        self.members.encode(&mut out);
        let sum = crc32fast::hash(&out);
        out.put_u32_le(sum);
        out
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// `DecodeError` for damaged bytes or a version this build does not know.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = crate::codec::checked(bytes)?;
        let input = &mut input;
        crate::codec::take_version(input, APPLIED_STATE_VERSION)?;
        let (index, term) = (input.try_get_u64_le()?, input.try_get_u64_le()?);
        let members = Members::decode(input)?;
        Ok(Self { position: LogPosition::new(term, index), members })
    }
}
