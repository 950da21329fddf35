//! What goes into the poller and what comes out: closed sets of plain data.
//!
//! The shell obeys the effects of one [`crate::Poller::handle`] call, `leases` first and the rest in
//! any order, under these rules, which are all there is to the contract:
//! 1. `log` is written by one writer, batches in order; [`Input::Persisted`] answers each. The
//!    poller never has more than one batch out.
//! 2. `apply` goes to one apply worker, in order; a batch is answered by [`Input::Applied`], an
//!    install by [`Input::Installed`], a destroy by [`Input::Destroyed`], a create by nothing.
//!    Consecutive batches may share one atomic write.
//! 3. `frames` are sent per node in order or dropped; a drop is reported by [`Input::Unreachable`].
//! 4. `completions` are delivered.
//! 5. `fetch`, `build` and `send` go to threads that may be slow; each is answered by exactly one
//!    input, also on failure.

use bytes::Bytes;
use ringkv_topology::{GroupId, NodeId, ReadMode, ReplicaId};

use crate::log_store::{Entry, LogBatch};
use crate::machine::{AppliedState, Genesis, GroupBatch};
use crate::position::LogIndex;
use crate::types::{Completion, Request, SinkId};

/// Names a snapshot on the node that built it; unique among the group's snapshots there.
pub type SnapshotId = String;

/// One event for the poller.
#[derive(Debug)]
pub enum Input {
    /// One tick interval has passed. Never sent twice to make up for a late one.
    Tick,
    /// A client of the engine asks for something.
    Request(Request),
    /// A frame from a peer node, as encoded by its poller. Damaged frames are dropped and counted.
    Frame {
        /// The node that sent it.
        from: NodeId,
        /// Its bytes.
        frame: Bytes,
    },
    /// Log batch `number` is durable (or written, if it did not ask for sync).
    Persisted {
        /// The number of the batch.
        number: u64,
    },
    /// The apply worker finished a batch of each of these groups, up to the index given.
    Applied(Vec<(GroupId, AppliedState)>),
    /// The apply worker finished an install.
    Installed {
        /// The group of the snapshot.
        group: GroupId,
    },
    /// Everything the group applied up to here is durable in the state machine store.
    Flushed(Vec<(GroupId, LogIndex)>),
    /// Answer to [`Effects::fetch`]; no entries when they could not be read.
    Fetched {
        /// What was asked for.
        fetch: Fetch,
        /// The entries, consecutive from `fetch.from` on.
        entries: Vec<Entry>,
    },
    /// Answer to [`Effects::build`]; `None` when it failed.
    SnapshotBuilt {
        /// The group to build a snapshot of.
        group: GroupId,
        /// The snapshot.
        built: Option<SnapshotBuilt>,
    },
    /// Answer to [`Effects::send`].
    SnapshotSent {
        /// The group of the snapshot.
        group: GroupId,
        /// The replica it was sent to.
        to: ReplicaId,
        /// Whether it arrived there whole.
        ok: bool,
    },
    /// A snapshot has arrived here whole and checked.
    SnapshotReceived(ReceivedSnapshot),
    /// Messages to this node were lost, or it is not connected.
    Unreachable {
        /// The node that is not reached.
        node: NodeId,
    },
    /// Set up a replica here. Nothing happens if the group has one, or if a newer one or this one was
    /// destroyed here. One that follows a destroyed replica is created when nothing of that one is
    /// under way any more.
    Create(Genesis),
    /// The replica is out of its group for good: remove it and all it holds, and never take it back.
    /// Nothing happens if another replica of the group is here, or none.
    Destroy {
        /// The group.
        group: GroupId,
        /// The replica of it here that goes.
        replica: ReplicaId,
    },
    /// The apply worker has destroyed a group's state, which a crash does not bring back.
    Destroyed {
        /// The group.
        group: GroupId,
    },
    /// Hand leadership of the group to its replica on `to`.
    TransferLeader {
        /// The group, led here.
        group: GroupId,
        /// The node that is to lead it.
        to: NodeId,
    },
    /// The state of the replica here is wrong, as a majority shows: it neither leads nor
    /// serves until a snapshot of the leader has replaced it, which it sees to itself.
    Rebuild {
        /// The group.
        group: GroupId,
    },
    /// Make a stand for election now (a fresh group's preferred leader; nothing if it has a leader).
    Campaign {
        /// The group.
        group: GroupId,
    },
    /// How reads are served from now on.
    ReadMode(ReadMode),
    /// Hand over what is led here and refuse new requests; the process is going to end.
    Retire,
}

/// Everything one call of the poller asks for.
#[derive(Debug, Default)]
pub struct Effects {
    /// Leases of groups led here: reads need no round before this time on [`crate::Now::boot_us`].
    /// Apply first: a later effect may let another node become leader.
    pub leases: Vec<(GroupId, u64)>,
    /// To write, if anything, while no other batch is out.
    pub log: Option<LogBatch>,
    /// One frame per peer node, holding the messages of all groups.
    pub frames: Vec<(NodeId, Bytes)>,
    /// For the apply worker, strictly in order.
    pub apply: Vec<ApplyTask>,
    /// Ends of requests, by sink.
    pub completions: Vec<(SinkId, Vec<Completion>)>,
    /// To read from the log for a follower that is behind the in-memory tail.
    pub fetch: Vec<Fetch>,
    /// To build a snapshot of.
    pub build: Vec<GroupId>,
    /// Snapshots to stream to other nodes.
    pub send: Vec<OutgoingSnapshot>,
    /// Groups whose log has grown past its limit, or the node's pinned log bytes have: flush the
    /// state machine. Answered by [`Input::Flushed`].
    pub flush: bool,
    /// Snapshot files that are no longer needed.
    pub discard: Vec<(GroupId, SnapshotId)>,
}

/// One piece of work for the apply worker.
#[derive(Clone, Debug)]
pub enum ApplyTask {
    /// Set the group up in the state machine.
    Create(Genesis),
    /// Apply these entries.
    Batch(GroupBatch),
    /// Replace the group's state by a received snapshot; its marker is durable already.
    Install(ReceivedSnapshot),
    /// Remove all of the group's state; the log holds its tombstone already.
    Destroy(GroupId),
}

/// Log entries to read for a follower that is far behind.
#[derive(Debug)]
pub struct Fetch {
    /// The group.
    pub group: GroupId,
    /// `[from, to)`.
    pub from: LogIndex,
    /// The end of the range, which is not in it.
    pub to: LogIndex,
    /// Stop after the entry that reaches this size.
    pub bytes_max: u64,
    /// raft-rs's own context of the read, handed back with the entries.
    pub(crate) context: FetchContext,
}

/// Opaque to everyone but the group that asked.
#[derive(Debug)]
pub(crate) struct FetchContext(pub(crate) raft::GetEntriesContext);

/// A snapshot cut on this node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotBuilt {
    /// Its name.
    pub id: SnapshotId,
    /// What the state in it stands at.
    pub applied: AppliedState,
    /// Describes the files; opaque to the poller.
    pub manifest: Bytes,
}

/// A snapshot to stream to another node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutgoingSnapshot {
    /// The group.
    pub group: GroupId,
    /// The replica that needs it.
    pub to_replica: ReplicaId,
    /// The node of that replica.
    pub to_node: NodeId,
    /// The name of the files here.
    pub id: SnapshotId,
    /// Describes the files; opaque to the poller.
    pub manifest: Bytes,
    /// The Raft message that goes with it, as a frame of one.
    pub message: Bytes,
}

/// A snapshot that has arrived from another node; `id` names the received files here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSnapshot {
    /// The group.
    pub group: GroupId,
    /// The node that sent it.
    pub from: NodeId,
    /// The name of the files here.
    pub id: SnapshotId,
    /// Describes the files; opaque to the poller.
    pub manifest: Bytes,
    /// The Raft message that came with it, as a frame of one.
    pub message: Bytes,
    /// What the state machine stands at once it is installed.
    pub applied: AppliedState,
}
