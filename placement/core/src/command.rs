//! The commands that placement replicates, and their results. Their bytes are in `format`.
//!
//! A command is decided when it is applied, never before: it carries the request and the epoch at
//! which it was planned.

mod format;

use ringkv_topology::{ClusterId, Epoch, GroupId, NodeId, PlannedGroup, Settings};

/// A request to change the replicated state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Sets the id and the settings of the cluster. Changes nothing if they are set already.
    Init {
        cluster: ClusterId,
        settings: Settings,
    },
    Register(Registration),
    /// Creates the first groups of the cluster, if the epoch is still that of the plan.
    Bootstrap {
        planned_at: Epoch,
        groups: Vec<PlannedGroup>,
        owners: Vec<GroupId>,
    },
}

/// What a storage node reports about itself when it starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    pub identity: Option<(ClusterId, NodeId)>,
    /// `host:port` of its gRPC server, as others reach it.
    pub address: String,
    pub zone: String,
    /// Relative weight, 1 to 1000.
    pub capacity: u32,
    /// Differs at every start of the process.
    pub incarnation: u64,
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
    },
    Bootstrapped {
        epoch: Epoch,
    },
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
    #[error("node {node} was replaced by a newer node at its address")]
    NodeReplaced { node: NodeId },
    #[error("the cluster already has {max} nodes, the maximum")]
    TooManyNodes { max: u32 },
    #[error("the topology changed after the plan was made")]
    Stale,
    #[error("invalid plan: {0}")]
    Impossible(String),
}
