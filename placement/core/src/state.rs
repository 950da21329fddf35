//! The replicated state of placement, and the only function that changes it.
//!
//! Owns ids and epochs. Every change of the topology adds one to the epoch. Node, group and
//! replica ids only increase and are never reused: a forgotten vote under a reused id would allow
//! two leaders. Deterministic: the same commands produce the same state on every replica.

mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, NodeId, NodeState, PlannedGroup, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, Topology,
};

pub use nodes::NODES_MAX;

use crate::command::{Command, CommandResult, Refusal};

/// Everything that placement knows durably.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// `None` until the first `Init`.
    pub(crate) cluster: Option<Cluster>,
}

/// The state of an initialized cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    pub(crate) topology: Topology,
    /// The incarnation with which each active node last registered.
    pub(crate) incarnations: BTreeMap<NodeId, u64>,
    /// The highest ids assigned so far.
    pub(crate) last_node: u64,
    pub(crate) last_replica: u64,
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

    /// Applies one command. A refused command changes nothing.
    pub fn apply(&mut self, command: Command) -> CommandResult {
        let done = match (command, &mut self.cluster) {
            (Command::Init { cluster, settings }, state) => {
                state.get_or_insert_with(|| Cluster::new(cluster, settings));
                Ok(CommandResult::Initialized)
            }
            (_, None) => Err(Refusal::NotInitialized),
            (Command::Register(registration), Some(cluster)) => {
                cluster.register(registration).map(|node| CommandResult::Registered {
                    cluster: cluster.topology.cluster,
                    node,
                    slot_count: cluster.topology.settings.slot_count.get().into(),
                })
            }
            (Command::Bootstrap { planned_at, groups, owners }, Some(cluster)) => cluster
                .bootstrap(planned_at, &groups, owners)
                .map(|epoch| CommandResult::Bootstrapped { epoch }),
        };
        done.unwrap_or_else(CommandResult::Refused)
    }
}

impl Cluster {
    fn new(cluster: ClusterId, settings: Settings) -> Self {
        let topology = Topology {
            cluster,
            epoch: Epoch(1),
            settings,
            runtime: RuntimeSettings::default(),
            nodes: BTreeMap::new(),
            groups: BTreeMap::new(),
            owners: Vec::new(),
        };
        Self { topology, incarnations: BTreeMap::new(), last_node: 0, last_replica: 0 }
    }

    fn bootstrap(
        &mut self,
        planned_at: Epoch,
        groups: &[PlannedGroup],
        owners: Vec<GroupId>,
    ) -> Result<Epoch, Refusal> {
        if planned_at != self.topology.epoch || self.topology.is_bootstrapped() {
            return Err(Refusal::Stale);
        }
        self.check_plan(groups, &owners).map_err(Refusal::Impossible)?;
        self.topology.epoch.0 += 1;
        let formed = self.topology.epoch;
        for planned in groups {
            let mut replicas = Vec::with_capacity(planned.nodes.len());
            for node in &planned.nodes {
                self.last_replica += 1;
                let id = ReplicaId(self.last_replica);
                replicas.push(Replica { id, node: *node, role: Role::Voter });
            }
            let preferred_leader = planned.nodes[0];
            let group =
                Group { id: planned.id, replicas, preferred_leader, formed, changed: formed };
            self.topology.groups.insert(planned.id, group);
        }
        self.topology.owners = owners;
        Ok(formed)
    }

    fn check_plan(&self, groups: &[PlannedGroup], owners: &[GroupId]) -> Result<(), String> {
        let settings = &self.topology.settings;
        let ids: BTreeSet<GroupId> = groups.iter().map(|group| group.id).collect();
        if ids.len() != groups.len() {
            return Err("a group is named twice".into());
        }
        for group in groups {
            let nodes: BTreeSet<&NodeId> = group.nodes.iter().collect();
            let factor = usize::from(settings.replication_factor);
            if nodes.len() != group.nodes.len() || nodes.len() != factor {
                return Err(format!("group {} is not on {factor} different nodes", group.id));
            }
            let active = |id: &&NodeId| {
                self.topology.nodes.get(*id).is_some_and(|node| node.state == NodeState::Active)
            };
            if let Some(node) = group.nodes.iter().find(|id| !active(id)) {
                return Err(format!("node {node} of group {} is not active", group.id));
            }
        }
        if owners.len() != usize::from(settings.slot_count.get()) {
            return Err(format!("{} slots have an owner", owners.len()));
        }
        match owners.iter().find(|owner| !ids.contains(owner)) {
            Some(owner) => Err(format!("owner {owner} is not a group of the plan")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
