//! The commands that placement replicates, and their results. Their bytes are in `format`.
//!
//! A command is decided when it is applied, never before: it carries the request and the epoch at
//! which it was planned.

mod format;
mod members;

use ringkv_topology::{
    ClusterId, Epoch, GroupId, NodeId, NodeSecret, PlannedGroup, ReplicaId, Settings,
};

pub use members::{MembersCommand, MembersRefusal};

use crate::operation::{OperationId, OperationKind};

/// A request to change the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets the id and the settings of the cluster. Changes nothing if they are set already.
    Init {
        cluster: ClusterId,
        settings: Settings,
    },
    /// Takes in a node, or a new start of a node that is known.
    Register {
        registration: Registration,
        /// The secret for a node that is new; the proposer draws it.
        secret: NodeSecret,
        /// The processes that the registration may displace: the leader found them silent.
        displaces: Vec<Incarnation>,
    },
    /// Creates the first groups of the cluster, if the epoch is still that of the plan.
    Bootstrap {
        planned_at: Epoch,
        groups: Vec<PlannedGroup>,
        owners: Vec<GroupId>,
        now_ms: u64,
    },
    Replicas(ReplicaCommand),
    Operation(OperationCommand),
    /// Changes which replicas placement itself consists of.
    Members(MembersCommand),
}

/// A step of a change of a group's replicas. `changed` is the epoch of the group's last change when
/// the step was planned; after another change it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplicaCommand {
    Join(Join),
    /// The joining replica has caught up: it votes, and the one that it replaces leaves.
    Promote {
        group: GroupId,
        changed: Epoch,
        joining: ReplicaId,
    },
    /// Takes a join back, or removes a voter that the group no longer needs. After its promotion, a
    /// join is taken back only while the members in force are those before it.
    Leave {
        group: GroupId,
        changed: Epoch,
        replica: ReplicaId,
    },
    /// The group's leader has reported that the leaving replica is no member.
    Drop {
        group: GroupId,
        changed: Epoch,
        replica: ReplicaId,
    },
    /// The nodes no longer have these removed replicas.
    Destroyed {
        replicas: Vec<ReplicaId>,
    },
    /// Changes which node should lead a group.
    PreferLeader {
        group: GroupId,
        node: NodeId,
    },
}

/// A replica that is to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    pub group: GroupId,
    pub changed: Epoch,
    pub node: NodeId,
    /// The voter whose place it takes.
    pub leaving: Option<ReplicaId>,
    /// The operation that it is a step of. An automatic one begins with its first step.
    pub kind: OperationKind,
    /// Why the operation begins.
    pub cause: String,
    /// Size of the group's state.
    pub bytes: u64,
    pub now_ms: u64,
}

/// A request of an operator, or the end of an operation. `now_ms` is the wall clock of the
/// proposer, for people only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationCommand {
    DrainNode {
        node: NodeId,
        now_ms: u64,
    },
    UndrainNode {
        node: NodeId,
        now_ms: u64,
    },
    ReplaceNode {
        old: NodeId,
        new: NodeId,
        now_ms: u64,
    },
    /// Ends the record of a node that holds nothing. The proposer has checked that it is silent.
    ForgetNode {
        node: NodeId,
    },
    /// Name and value as users type them.
    SetSetting {
        name: String,
        value: String,
        now_ms: u64,
    },
    Abort {
        operation: OperationId,
        now_ms: u64,
    },
    /// Nothing is left to do.
    End {
        operation: OperationId,
        now_ms: u64,
    },
}

/// What a storage node reports about itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// `None` for a node with an empty data directory.
    pub claim: Option<Claim>,
    /// `host:port` of its gRPC server, as others reach it.
    pub address: String,
    pub zone: String,
    /// Relative weight, 1 to 1000.
    pub capacity: u32,
    /// Differs at every start of the process.
    pub incarnation: u64,
    /// How often a process has started on the data directory, this start included.
    pub starts: u64,
    /// Names the directory on its machine, if known. A directory has one process at a time.
    pub directory: Option<u64>,
}

/// The identity that a node says it has, and what proves it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub cluster: ClusterId,
    pub node: NodeId,
    pub secret: NodeSecret,
}

/// Who sends a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    pub claim: Claim,
    /// The process, as it registered.
    pub incarnation: u64,
    pub address: String,
}

/// One process of a node: the one that registered with this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incarnation {
    pub node: NodeId,
    pub number: u64,
}

/// A node with replicas that has the same address as a new one: most likely its disk is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressHolder {
    pub node: NodeId,
    pub replicas: u32,
}

/// The result of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandResult {
    /// The cluster has an id and settings: those of the command, or of an earlier `Init`.
    Initialized,
    Registered {
        cluster: ClusterId,
        node: NodeId,
        slot_count: u32,
        /// For a node that is new.
        secret: Option<NodeSecret>,
        /// For a node that is new: who has its address too.
        holder: Option<AddressHolder>,
    },
    Bootstrapped {
        epoch: Epoch,
    },
    Changed {
        epoch: Epoch,
    },
    /// The operation that does what was requested.
    Began {
        operation: OperationId,
    },
    /// A process with an empty data directory has its id.
    ReplicaAdmitted {
        replica: ReplicaId,
    },
    /// Another change of placement's own replicas is done.
    MembersChanged,
    Refused(Refusal),
}

/// Why a command was refused. A refused command changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the cluster is not initialized yet; retry")]
    NotInitialized,
    #[error("the data directory belongs to cluster {theirs}; this is cluster {ours}")]
    WrongCluster { ours: ClusterId, theirs: ClusterId },
    #[error("node {node} is unknown in this cluster; its data directory cannot be used here")]
    UnknownNode { node: NodeId },
    #[error(
        "node {node} was removed from the cluster; empty its data directory to join as a new node"
    )]
    NodeRemoved { node: NodeId },
    #[error("this is not the secret of node {node}; its data directory was not made by it")]
    WrongSecret { node: NodeId },
    #[error(
        "this directory is an older copy of that of node {node}: this is its start {starts}, the \
         cluster has seen start {seen}; empty it and start again: the node is then filled again"
    )]
    OlderCopy { node: NodeId, starts: u64, seen: u64 },
    #[error("node {node} is registered for another process, at {address}")]
    NotRegistered { node: NodeId, address: String },
    #[error("the cluster already has {max} nodes, the maximum")]
    TooManyNodes { max: u32 },
    #[error("the topology changed after the plan was made")]
    Stale,
    #[error("invalid plan: {0}")]
    Impossible(String),
    #[error("there is no node {node}")]
    NoSuchNode { node: NodeId },
    #[error("operation {operation} is not running")]
    NotRunning { operation: OperationId },
    #[error("{0}")]
    InvalidSetting(String),
    /// It cannot be done now; the text says what to do first.
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Members(#[from] MembersRefusal),
}
