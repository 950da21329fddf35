//! How a cluster stands, as placement's leader sees it.

use std::time::Duration;

use ringkv_proto::v1;
use ringkv_topology::{NodeState, RuntimeSettings};

use crate::admin::settings;
use crate::operation::Operation;

/// How a cluster stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterStatus {
    /// Its id.
    pub cluster: u64,
    /// The version of its topology.
    pub epoch: u64,
    /// Whether its groups exist.
    pub bootstrapped: bool,
    /// How many replicas each group should have.
    pub replication_factor: u32,
    /// What can be changed while the cluster runs.
    pub settings: RuntimeSettings,
    /// The storage nodes, ascending by id.
    pub nodes: Vec<NodeStatus>,
    /// How many groups there are.
    pub groups: u32,
    /// Groups of which no live leader is known.
    pub groups_without_leader: Vec<u64>,
    /// Groups with fewer live voters than the replication factor.
    pub under_replicated_groups: Vec<u64>,
    /// The operations that run.
    pub operations: Vec<Operation>,
    /// What blocks the cluster as a whole, for people.
    pub blocked_by: Vec<String>,
    /// Placement's own replicas.
    pub placement: Vec<PlacementReplica>,
}

/// A storage node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// Its id.
    pub id: u64,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// Its zone, may be empty.
    pub zone: String,
    /// Whether its replicas move away.
    pub state: NodeState,
    /// For how long it has been silent, zero if it is alive; `None` while placement's leader is too
    /// new to judge.
    pub silent: Option<Duration>,
    /// Replicas on it.
    pub replicas: u32,
    /// Groups that it leads.
    pub leads: u32,
}

/// A replica of placement itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementReplica {
    /// Its id.
    pub id: u64,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// Whether it votes.
    pub votes: bool,
    /// Whether the leader has heard from it lately.
    pub alive: bool,
    /// Whether it leads.
    pub leads: bool,
}

impl ClusterStatus {
    pub(super) fn from_proto(wire: v1::ClusterStatusReply, placement: v1::PlacementGroup) -> Self {
        let leader = placement.leader;
        Self {
            cluster: wire.cluster,
            epoch: wire.epoch,
            bootstrapped: wire.bootstrapped,
            replication_factor: wire.replication_factor,
            settings: settings(wire.runtime),
            nodes: wire.nodes.into_iter().map(NodeStatus::from_proto).collect(),
            groups: wire.groups,
            groups_without_leader: wire.groups_without_leader,
            under_replicated_groups: wire.under_replicated_groups,
            operations: wire.operations.into_iter().map(Operation::from_proto).collect(),
            blocked_by: wire.blocked_by,
            placement: placement
                .replicas
                .into_iter()
                .map(|replica| PlacementReplica::from_proto(replica, leader))
                .collect(),
        }
    }
}

impl NodeStatus {
    fn from_proto(wire: v1::NodeStatus) -> Self {
        let state = match wire.state() {
            v1::NodeState::Draining => NodeState::Draining,
            v1::NodeState::Active | v1::NodeState::Unspecified => NodeState::Active,
        };
        Self {
            id: wire.id,
            address: wire.address,
            zone: wire.zone,
            state,
            silent: wire.silent_s.map(Duration::from_secs),
            replicas: wire.replicas,
            leads: wire.leads,
        }
    }
}

impl PlacementReplica {
    fn from_proto(wire: v1::PlacementReplica, leader: u64) -> Self {
        Self {
            id: wire.id,
            votes: wire.role() == v1::ReplicaRole::Voter,
            alive: wire.alive,
            leads: wire.id == leader,
            address: wire.address,
        }
    }
}
