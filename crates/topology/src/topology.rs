//! The topology: nodes, groups and the owner of each slot, numbered by epoch.
//!
//! Owns the shape of the map and the lookups in it. Never decides a change (the plan does) and
//! knows no wire format. Invariants: `owners` is empty (not bootstrapped yet) or has exactly
//! `settings.slot_count` entries, each naming a group of the map.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::ids::{ClusterId, Epoch, GroupId, NodeId, ReplicaId, Slot};
use crate::slot::SlotCount;

/// One version of the cluster's shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// The cluster it describes.
    pub cluster: ClusterId,
    /// Its version.
    pub epoch: Epoch,
    /// What every process must agree on.
    pub settings: Settings,
    /// What an operator may change.
    pub runtime: RuntimeSettings,
    /// Every node that was ever registered and is not forgotten.
    pub nodes: BTreeMap<NodeId, Node>,
    /// Every group; empty until the cluster is bootstrapped.
    pub groups: BTreeMap<GroupId, Group>,
    /// Owner of slot `i` at index `i`; empty until the cluster is bootstrapped.
    pub owners: Vec<GroupId>,
}

/// Values on which all processes of the cluster must agree; replicated by placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How many slots there are; fixed at creation.
    pub slot_count: SlotCount,
    /// Voters per group: 1, 3 or 5.
    pub replication_factor: u8,
    /// The largest value of a write, in bytes.
    pub value_bytes_max: u32,
    /// How leaders serve reads.
    pub read_mode: ReadMode,
}

/// Values that an operator changes while the cluster runs; replicated by placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeSettings {
    /// How long a node may be silent before its replicas are replaced, in seconds.
    pub replace_after_s: u32,
    /// How fast a node sends snapshots, all together, in bytes per second.
    pub snapshot_bytes_per_s: u64,
}

impl Default for RuntimeSettings {
    /// A node that restarts or is moved is back within five minutes; snapshots take about half of
    /// what a gigabit network carries.
    fn default() -> Self {
        Self { replace_after_s: 300, snapshot_bytes_per_s: 64 << 20 }
    }
}

/// How a leader makes sure that a read sees every acknowledged write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// A quorum confirms the leadership after each read request arrives; no clock is trusted.
    #[default]
    ReadIndex,
    /// For a while after such a confirmation reads need none; this relies on clocks.
    Lease,
}

impl fmt::Display for ReadMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadIndex => "read-index",
            Self::Lease => "lease",
        })
    }
}

impl FromStr for ReadMode {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "read-index" => Ok(Self::ReadIndex),
            "lease" => Ok(Self::Lease),
            _ => Err(format!("`{name}` is not a read mode: read-index or lease")),
        }
    }
}

/// A storage node as placement knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its id.
    pub id: NodeId,
    /// `host:port` of its gRPC server.
    pub address: String,
    /// Failure domain; empty if none is configured.
    pub zone: String,
    /// Relative weight, 1 to 1000.
    pub capacity: u32,
    /// Whether it takes part.
    pub state: NodeState,
}

/// Whether a node takes part in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// It takes part in the cluster.
    Active,
    /// Its replicas move to other nodes, and it gets no new ones.
    Draining,
}

/// One Raft group as placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its id.
    pub id: GroupId,
    /// Its copies, at most one on a node, ascending by id.
    pub replicas: Vec<Replica>,
    /// The node that should lead while all nodes are healthy.
    pub preferred_leader: NodeId,
    /// The epoch at which the group was created.
    pub formed: Epoch,
    /// The epoch at which `replicas` last changed. The group's leader makes the members in force
    /// match `replicas`, and notes this epoch with them.
    pub changed: Epoch,
}

impl Group {
    /// Whether the replicas are still those the group was created with: only then may a replica
    /// start from the founding members. Later replicas join, and learn the members from the leader.
    pub fn is_founding(&self) -> bool {
        self.changed == self.formed
    }

    /// The replica on a node.
    pub fn replica_on(&self, node: NodeId) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.node == node)
    }

    /// The replicas that are to vote.
    pub fn voters(&self) -> impl Iterator<Item = &Replica> {
        self.replicas.iter().filter(|replica| replica.role == Role::Voter)
    }
}

/// A group's copy on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replica {
    /// Its id, unique in the cluster.
    pub id: ReplicaId,
    /// The node it is on.
    pub node: NodeId,
    /// Whether it votes.
    pub role: Role,
}

/// What a replica is to be; the group's leader makes it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It votes and counts towards the quorum.
    Voter,
    /// It receives the log and does not vote.
    Learner,
    /// It leaves the group. It stays in the map until the group's leader has reported that the
    /// members in force are without it.
    Leaving,
}

impl Topology {
    /// Whether groups exist and every slot has an owner.
    pub fn is_bootstrapped(&self) -> bool {
        !self.owners.is_empty()
    }

    /// The group that owns `slot`; `None` until the cluster is bootstrapped.
    pub fn owner(&self, slot: Slot) -> Option<&Group> {
        self.owners.get(usize::from(slot.0)).and_then(|id| self.groups.get(id))
    }

    /// The slot of a key and its owner; `None` until the cluster is bootstrapped.
    pub fn locate(&self, key: &[u8]) -> Option<(Slot, &Group)> {
        let slot = self.settings.slot_count.slot_of(key);
        self.owner(slot).map(|group| (slot, group))
    }

    /// The slots of one group, ascending.
    pub fn slots_of(&self, group: GroupId) -> impl Iterator<Item = Slot> + '_ {
        (0u16..).zip(&self.owners).filter(move |(_, owner)| **owner == group).map(|(s, _)| Slot(s))
    }
}
