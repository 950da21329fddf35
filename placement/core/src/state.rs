//! The replicated state of placement, and the only function that changes it.
//!
//! Owns ids and epochs. Every change of the topology adds one to the epoch. Node, group and
//! replica ids only increase and are never reused: a forgotten vote under a reused id would allow
//! two leaders. Deterministic: the same commands produce the same state on every replica.
//! The rules are in the modules: `bootstrap`, `replicas` (a group's replicas change), `departures`
//! (nodes leave), `runtime` (settings), `operations` (what runs and what ended), `members`
//! (placement's own replicas).

mod bootstrap;
mod departures;
mod members;
mod nodes;
pub mod operations;
pub mod replicas;
mod runtime;

use std::collections::BTreeMap;

use ringkv_topology::{
    ClusterId, Epoch, GroupId, NodeId, ReplicaId, RuntimeSettings, Settings, Topology,
};

pub use members::{
    FOUNDER, INVITED_MAX, PLACEMENT_REPLICAS_MAX, PlacementMember, PlacementMembers, Recovery,
};
pub(crate) use nodes::Fence;
pub use nodes::NODES_MAX;

use crate::command::{Command, CommandResult, MembersRefusal, Refusal};
use crate::operation::Operation;
use crate::place::Place;
use crate::state::operations::Operations;
use crate::state::replicas::{Move, Removed};

/// Everything that placement knows durably.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `None` until the first `Init`.
    pub(crate) cluster: Option<Cluster>,
    /// Placement's own replicas.
    pub(crate) members: PlacementMembers,
}

/// The state of an initialized cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) topology: Topology,
    /// Which process may act as each node; without nodes that have not registered since placement
    /// was recovered from them.
    pub(crate) fences: BTreeMap<NodeId, Fence>,
    /// The highest ids assigned so far.
    pub(crate) last_node: u64,
    pub(crate) last_replica: u64,
    /// Replicas that are out of their groups and not yet destroyed.
    pub(crate) removed: BTreeMap<ReplicaId, Removed>,
    /// The joins that run, at most one for each group.
    pub(crate) moves: BTreeMap<GroupId, Move>,
    pub(crate) operations: Operations,
}

impl State {
    /// The topology; `None` until the cluster is initialized.
    pub fn topology(&self) -> Option<&Topology> {
        self.cluster.as_ref().map(|cluster| &cluster.topology)
    }

    /// The epoch; 0 until the cluster is initialized.
    pub fn epoch(&self) -> Epoch {
        self.topology().map_or(Epoch::default(), |topology| topology.epoch)
    }

    /// The state in which a placement is founded: this replica is its first and only voter, and every
    /// other place of the list is to get one before a cluster exists.
    pub fn founded(me: Place, peers: &BTreeMap<Place, String>) -> Self {
        Self { cluster: None, members: PlacementMembers::founded(me, peers) }
    }

    /// Nothing but who placement's replicas are, for one that joins them.
    pub fn knowing(members: PlacementMembers) -> Self {
        Self { cluster: None, members }
    }

    /// The state of a group that is created with all its members.
    pub(crate) fn of_members(members: &ringkv_consensus::Members) -> Self {
        Self { cluster: None, members: PlacementMembers::of(members) }
    }

    /// Placement's own replicas.
    pub fn members(&self) -> &PlacementMembers {
        &self.members
    }

    /// Applies one command. A refused command changes nothing.
    pub fn apply(&mut self, command: Command) -> CommandResult {
        let done = match (command, &mut self.cluster) {
            (Command::Members(command), _) => {
                self.members.apply(command).map(|admitted| match admitted {
                    Some(replica) => CommandResult::ReplicaAdmitted { replica },
                    None => CommandResult::MembersChanged,
                })
            }
            // A founder that is lost before every place has a voter has lost nothing.
            (Command::Init { .. }, None) if self.members.is_founding() => {
                Err(MembersRefusal::Founding.into())
            }
            (Command::Init { cluster, settings }, state) => {
                state.get_or_insert_with(|| Cluster::new(cluster, settings));
                Ok(CommandResult::Initialized)
            }
            (_, None) => Err(Refusal::NotInitialized),
            (Command::Register { registration, secret, displaces }, Some(cluster)) => {
                cluster.register(registration, secret, &displaces)
            }
            (Command::Bootstrap { planned_at, groups, owners, now_ms }, Some(cluster)) => cluster
                .bootstrap(planned_at, &groups, owners, now_ms)
                .map(|epoch| CommandResult::Bootstrapped { epoch }),
            (Command::Replicas(command), Some(cluster)) => cluster
                .change_replicas(command)
                .map(|()| CommandResult::Changed { epoch: cluster.topology.epoch }),
            (Command::Operation(command), Some(cluster)) => {
                cluster.operate(command).map(|operation| match operation {
                    Some(operation) => CommandResult::Began { operation },
                    None => CommandResult::Changed { epoch: cluster.topology.epoch },
                })
            }
        };
        done.unwrap_or_else(CommandResult::Refused)
    }

    /// The operations that run and the last that ended, ascending by id.
    pub fn operations(&self) -> Vec<&Operation> {
        self.cluster.as_ref().map(|cluster| cluster.operations.all()).unwrap_or_default()
    }

    /// The joins that run, by group.
    pub fn moves(&self) -> impl Iterator<Item = (GroupId, &Move)> {
        let moves = self.cluster.iter().flat_map(|cluster| &cluster.moves);
        moves.map(|(group, one)| (*group, one))
    }

    /// Replicas that are out of their groups and not yet destroyed.
    pub fn removed(&self) -> impl Iterator<Item = (ReplicaId, &Removed)> {
        let removed = self.cluster.iter().flat_map(|cluster| &cluster.removed);
        removed.map(|(id, removed)| (*id, removed))
    }
}

impl Cluster {
    pub(crate) fn new(cluster: ClusterId, settings: Settings) -> Self {
        let topology = Topology {
            cluster,
            epoch: Epoch(1),
            settings,
            runtime: RuntimeSettings::default(),
            nodes: BTreeMap::new(),
            groups: BTreeMap::new(),
            owners: Vec::new(),
        };
        Self {
            topology,
            fences: BTreeMap::new(),
            last_node: 0,
            last_replica: 0,
            removed: BTreeMap::new(),
            moves: BTreeMap::new(),
            operations: Operations::default(),
        }
    }

    /// The epoch of a change.
    pub(crate) fn next_epoch(&mut self) -> Epoch {
        self.topology.epoch.0 += 1;
        self.topology.epoch
    }
}

#[cfg(test)]
pub(crate) mod tests;
