//! The commands that placement replicates and their outcomes, with their bytes.
//!
//! A command is decided when it is applied, never before: it carries the request and the epoch at
//! which it was planned. Formats are a version byte and a protobuf message of this file; an
//! unknown version is an error, never skipped.

use bytes::Bytes;
use prost::Message;
use ringkv_proto::topology::{settings_from_proto, settings_to_proto};
use ringkv_proto::v1;
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
pub enum Outcome {
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

/// Why bytes are not a command or an outcome.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("unknown format version {found:?} (this build supports {VERSION})")]
    Version { found: Option<u8> },
    #[error("malformed {what}")]
    Malformed {
        what: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
}

const VERSION: u8 = 1;

impl Command {
    /// The bytes that go into the log.
    pub fn encode(&self) -> Bytes {
        let body = match self {
            Self::Init { cluster, settings } => wire::command::Body::Init(wire::Init {
                cluster: cluster.0,
                settings: Some(settings_to_proto(settings)),
            }),
            Self::Register(registration) => {
                let (cluster, node) = registration.identity.unzip();
                wire::command::Body::Register(v1::RegisterRequest {
                    cluster: cluster.map_or(0, |id| id.0),
                    node: node.map_or(0, |id| id.0),
                    address: registration.address.clone(),
                    zone: registration.zone.clone(),
                    capacity: registration.capacity,
                    incarnation: registration.incarnation,
                })
            }
            Self::Bootstrap { planned_at, groups, owners } => {
                let group = |group: &PlannedGroup| wire::PlannedGroup {
                    id: group.id.0,
                    nodes: group.nodes.iter().map(|node| node.0).collect(),
                };
                wire::command::Body::Bootstrap(wire::Bootstrap {
                    planned_at: planned_at.0,
                    groups: groups.iter().map(group).collect(),
                    owners: owners.iter().map(|owner| owner.0).collect(),
                })
            }
        };
        versioned(&wire::Command { body: Some(body) })
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// Another version, or damaged bytes: the replica must stop.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let command = wire::Command::decode(body(bytes)?).map_err(|e| malformed("command", e))?;
        Ok(match command.body.ok_or_else(|| missing("command"))? {
            wire::command::Body::Init(init) => Self::Init {
                cluster: ClusterId::from_wire(init.cluster).ok_or_else(|| missing("cluster"))?,
                settings: settings_from_proto(init.settings.as_ref())
                    .map_err(|e| malformed("settings", e))?,
            },
            wire::command::Body::Register(register) => Self::Register(Registration {
                identity: ClusterId::from_wire(register.cluster)
                    .zip(NodeId::from_wire(register.node)),
                address: register.address,
                zone: register.zone,
                capacity: register.capacity,
                incarnation: register.incarnation,
            }),
            wire::command::Body::Bootstrap(plan) => {
                let group = |group: wire::PlannedGroup| PlannedGroup {
                    id: GroupId(group.id),
                    nodes: group.nodes.into_iter().map(NodeId).collect(),
                };
                Self::Bootstrap {
                    planned_at: Epoch(plan.planned_at),
                    groups: plan.groups.into_iter().map(group).collect(),
                    owners: plan.owners.into_iter().map(GroupId).collect(),
                }
            }
        })
    }
}

impl Outcome {
    /// The bytes that the engine returns to the proposer of the command.
    pub fn encode(&self) -> Bytes {
        use wire::outcome::Body;
        let body = match self {
            Self::Initialized => Body::Initialized(wire::Nothing {}),
            Self::Registered { cluster, node, slot_count } => Body::Registered(v1::RegisterReply {
                cluster: cluster.0,
                node: node.0,
                slot_count: *slot_count,
            }),
            Self::Bootstrapped { epoch } => Body::BootstrappedEpoch(epoch.0),
            Self::Refused(refusal) => match refusal {
                Refusal::NotInitialized => Body::NotInitialized(wire::Nothing {}),
                Refusal::WrongCluster { ours, theirs } => {
                    Body::WrongCluster(wire::WrongCluster { ours: ours.0, theirs: theirs.0 })
                }
                Refusal::UnknownNode { node } => Body::UnknownNode(node.0),
                Refusal::NodeReplaced { node } => Body::NodeReplaced(node.0),
                Refusal::TooManyNodes { max } => Body::TooManyNodes(*max),
                Refusal::Stale => Body::Stale(wire::Nothing {}),
                Refusal::Impossible(problem) => Body::Impossible(problem.clone()),
            },
        };
        versioned(&wire::Outcome { body: Some(body) })
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// The bytes are not an outcome of this version.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        use wire::outcome::Body;
        let outcome = wire::Outcome::decode(body(bytes)?).map_err(|e| malformed("outcome", e))?;
        Ok(match outcome.body.ok_or_else(|| missing("outcome"))? {
            Body::Initialized(_) => Self::Initialized,
            Body::Registered(reply) => Self::Registered {
                cluster: ClusterId(reply.cluster),
                node: NodeId(reply.node),
                slot_count: reply.slot_count,
            },
            Body::BootstrappedEpoch(epoch) => Self::Bootstrapped { epoch: Epoch(epoch) },
            Body::NotInitialized(_) => Self::Refused(Refusal::NotInitialized),
            Body::WrongCluster(wrong) => Self::Refused(Refusal::WrongCluster {
                ours: ClusterId(wrong.ours),
                theirs: ClusterId(wrong.theirs),
            }),
            Body::UnknownNode(node) => Self::Refused(Refusal::UnknownNode { node: NodeId(node) }),
            Body::NodeReplaced(node) => Self::Refused(Refusal::NodeReplaced { node: NodeId(node) }),
            Body::TooManyNodes(max) => Self::Refused(Refusal::TooManyNodes { max }),
            Body::Stale(_) => Self::Refused(Refusal::Stale),
            Body::Impossible(problem) => Self::Refused(Refusal::Impossible(problem)),
        })
    }
}

fn versioned(message: &impl Message) -> Bytes {
    let mut out = vec![VERSION];
    message.encode(&mut out).expect("a vector grows as needed");
    out.into()
}

fn body(bytes: &[u8]) -> Result<&[u8], DecodeError> {
    match bytes.split_first() {
        Some((&VERSION, body)) => Ok(body),
        other => Err(DecodeError::Version { found: other.map(|(version, _)| *version) }),
    }
}

fn missing(what: &'static str) -> DecodeError {
    DecodeError::Malformed { what, source: None }
}

fn malformed(
    what: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> DecodeError {
    DecodeError::Malformed { what, source: Some(Box::new(source)) }
}

mod wire;

#[cfg(test)]
mod tests;
