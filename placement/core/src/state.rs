//! The replicated state of placement, and the only function that changes it.
//!
//! Owns ids and epochs. Every change of the topology adds one to the epoch. Node, group and
//! replica ids only increase and are never reused: a forgotten vote under a reused id would allow
//! two leaders. Deterministic: the same commands produce the same state on every replica.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, PlannedGroup, Replica, ReplicaId,
    Role, RuntimeSettings, Settings, Topology,
};

use crate::command::{Command, CommandResult, Refusal, Registration};

/// Maximum number of nodes; a replaced node counts while a group still names it.
pub const NODES_MAX: u32 = 1_000;

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

    /// Checks that a node may take part under this identity.
    ///
    /// # Errors
    /// The refusal that its registration would get.
    pub fn check_identity(&self, cluster: ClusterId, node: NodeId) -> Result<(), Refusal> {
        self.cluster.as_ref().ok_or(Refusal::NotInitialized)?.check_identity(cluster, node)
    }

    /// The active node that advertises this address, if its incarnation is another one.
    pub fn other_node_at(&self, address: &str, incarnation: u64) -> Option<NodeId> {
        let cluster = self.cluster.as_ref()?;
        let mut at = cluster.active_at(address);
        at.find(|node| cluster.incarnations.get(node) != Some(&incarnation))
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

    fn register(&mut self, registration: Registration) -> Result<NodeId, Refusal> {
        match registration.identity {
            Some((cluster, node)) => {
                self.check_identity(cluster, node)?;
                self.confirm(node, registration);
                Ok(node)
            }
            None => self.admit(registration),
        }
    }

    fn check_identity(&self, theirs: ClusterId, node: NodeId) -> Result<(), Refusal> {
        let ours = self.topology.cluster;
        if theirs != ours {
            return Err(Refusal::WrongCluster { ours, theirs });
        }
        match self.topology.nodes.get(&node).map(|node| node.state) {
            Some(NodeState::Active | NodeState::Draining) => Ok(()),
            None if node.0 <= self.last_node => Err(Refusal::NodeReplaced { node }),
            None => Err(Refusal::UnknownNode { node }),
        }
    }

    /// Takes back a node that has its data directory, possibly at another address. Another node
    /// that advertises the same address is left as it is: most likely it has moved too and will
    /// register its new address. Fencing it for good could remove a quorum.
    fn confirm(&mut self, id: NodeId, registration: Registration) {
        self.incarnations.insert(id, registration.incarnation);
        let Registration { address, zone, capacity, .. } = registration;
        let node = Node { id, address, zone, capacity, state: NodeState::Active };
        if self.topology.nodes.insert(id, node.clone()) != Some(node) {
            self.topology.epoch.0 += 1;
        }
    }

    /// Takes in a node with an empty data directory. Assigns a new id, unless this same process
    /// got one before. A node that had the address has lost its disk: it never returns under its
    /// id.
    fn admit(&mut self, registration: Registration) -> Result<NodeId, Refusal> {
        let before: Vec<NodeId> = self.active_at(&registration.address).collect();
        let incarnation = Some(registration.incarnation);
        let same = before.iter().find(|id| self.incarnations.get(*id).copied() == incarnation);
        if let Some(id) = same.copied() {
            self.confirm(id, registration);
            return Ok(id);
        }
        let holding = self.holding();
        let dropped = before.iter().filter(|id| !holding.contains(*id)).count();
        if self.topology.nodes.len() - dropped >= NODES_MAX as usize {
            return Err(Refusal::TooManyNodes { max: NODES_MAX });
        }
        for old in before {
            self.incarnations.remove(&old);
            if !holding.contains(&old) {
                self.topology.nodes.remove(&old);
            }
        }
        self.last_node += 1;
        let id = NodeId(self.last_node);
        self.confirm(id, registration);
        Ok(id)
    }

    fn active_at<'a>(&'a self, address: &'a str) -> impl Iterator<Item = NodeId> + 'a {
        let active = move |node: &&Node| node.state == NodeState::Active && node.address == address;
        self.topology.nodes.values().filter(active).map(|node| node.id)
    }

    /// The nodes that groups name.
    fn holding(&self) -> BTreeSet<NodeId> {
        let groups = self.topology.groups.values();
        groups.flat_map(|group| group.replicas.iter().map(|replica| replica.node)).collect()
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
