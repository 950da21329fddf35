//! The words of the engine: tickets and their completions, and why a request is rejected.
//!
//! Plain data. No raft-rs type appears here or in any other public item of the crate.

use std::sync::Arc;

use bytes::Bytes;
use ringkv_topology::{GroupId, NodeId};

use crate::members::{Members, MembersChange};
use crate::position::{LogIndex, Term};
use crate::times::EntryTimes;

/// Names the receiver of completions; given by the shell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SinkId(pub u32);

/// The return address of one request: which sink, and the sink's own id for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    /// Who receives the completion.
    pub sink: SinkId,
    /// The sink's own id of the request.
    pub id: u64,
}

/// The end of one request. Every accepted request gets exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The id in the ticket of the request.
    pub id: u64,
    /// What was done, or why it was not.
    pub result: Result<Done, RequestError>,
    /// The log entry the command was in and how many commands that had; zero for what was in none.
    pub index: LogIndex,
    /// How many commands that entry had.
    pub commands: u32,
    /// Of that entry; all zero for what was in none.
    pub times: EntryTimes,
}

impl Completion {
    /// The end of a request that was in no entry.
    pub fn new(id: u64, result: Result<Done, RequestError>) -> Self {
        Self { id, result, index: LogIndex::ZERO, commands: 0, times: EntryTimes::default() }
    }

    /// The end of a request that was not done.
    pub fn rejected(id: u64, error: RequestError) -> Self {
        Self::new(id, Err(error))
    }
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// The command is committed and applied here; the state machine's result for it.
    Applied(Bytes),
    /// The state machine here now holds every write acknowledged before the read was asked for:
    /// the caller may read it.
    ReadReady,
}

/// Why a request was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No replica of the group here. Not applied: refresh the topology.
    #[error("no replica of the group on this node")]
    NoGroup,
    /// Not applied: ask `leader`, or any other replica when it is not known.
    #[error("not the leader of the group")]
    NotLeader {
        /// The node that leads, if known.
        leader: Option<NodeId>,
    },
    /// A bounded queue is full. Not applied: retry later.
    #[error("too much work is queued")]
    Busy,
    /// The engine is stopping. Not applied: ask another replica.
    #[error("shutting down")]
    ShuttingDown,
    /// Leadership was lost after the command was proposed: it may yet commit. Unknown: retry only
    /// under the same request id.
    #[error("leadership was lost before the outcome was known")]
    LeadershipLost,
    /// The membership change is not legal now: another one is under way, its epoch is not newer, it
    /// changes nothing, or it removes the leader.
    #[error("the membership change is not possible now")]
    ChangeRejected,
    /// The membership change was not proposed. Retry once replicas are back, or have caught up.
    #[error("the next members would have no majority of live, caught-up replicas")]
    QuorumAtRisk,
}

/// A request to a group's leader.
#[derive(Clone, Debug)]
pub enum Request {
    /// Replicate and apply one command.
    Propose {
        /// The group, led here.
        group: GroupId,
        /// The command, opaque to the engine.
        command: Bytes,
        /// Who waits for the outcome.
        ticket: Ticket,
    },
    /// Find a point at which a local read is linearizable.
    Read {
        /// The group, led here.
        group: GroupId,
        /// Who waits to read.
        ticket: Ticket,
    },
    /// Add, promote or remove replicas, through joint consensus where more than one voter changes.
    ChangeMembers {
        /// The group, led here.
        group: GroupId,
        /// The change, which takes effect as a whole.
        change: MembersChange,
        /// Who waits for it.
        ticket: Ticket,
    },
}

/// What a replica is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or knows none.
    Follower,
    /// Stands for election.
    Candidate,
    /// Leads the group.
    Leader,
}

impl Role {
    /// The role as metrics and the admin service show it: 0 follower, 1 candidate, 2 leader.
    pub fn number(self) -> u8 {
        match self {
            Self::Follower => 0,
            Self::Candidate => 1,
            Self::Leader => 2,
        }
    }
}

/// A replica's state for operators and metrics.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// The group.
    pub group: GroupId,
    /// The replica of it on this node.
    pub replica: ringkv_topology::ReplicaId,
    /// What the replica is at the moment.
    pub role: Role,
    /// The latest term it knows.
    pub term: Term,
    /// The node of the leader, if known.
    pub leader: Option<NodeId>,
    /// The last index known to be committed.
    pub commit_index: LogIndex,
    /// The last index the state machine has applied.
    pub applied_index: LogIndex,
    /// The first entry in the log.
    pub first_index: LogIndex,
    /// The last entry in the log.
    pub last_index: LogIndex,
    /// The members in force, as of the last change that a crash cannot take back.
    pub members: Arc<Members>,
    /// Leader only: for each other replica its node, and how many entries it is behind.
    pub peers: Vec<PeerStatus>,
}

impl GroupStatus {
    /// How many entries the log holds.
    pub fn log_entries(&self) -> u64 {
        self.last_index.next().entries_after(self.first_index)
    }
}

/// A leader's view of another replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// The node of the replica.
    pub node: NodeId,
    /// The replica.
    pub replica: ringkv_topology::ReplicaId,
    /// The last index it is known to hold.
    pub matched: LogIndex,
    /// How many entries it is behind the leader's log.
    pub lag_entries: u64,
    /// Whether it was heard from within the last election timeout.
    pub recently_active: bool,
    /// Whether it has a vote.
    pub voter: bool,
}
