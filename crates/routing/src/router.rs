//! The picture of the cluster: topology, who leads which group, which nodes look dead.
//!
//! Leaders learnt from replies come before those placement reports (a reply is newer), and both
//! before the preferred leader. A suspect node is asked last, never left out: the suspicion may
//! be wrong and ends with the node's next answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringkv_topology::{Epoch, Group, GroupId, NodeId, NodeState, Role, Slot, Topology};

/// What a client knows of the cluster, to route by.
#[derive(Clone, Debug, Default)]
pub struct Router {
    topology: Option<Arc<Topology>>,
    addresses: BTreeMap<NodeId, Arc<str>>,
    learnt: BTreeMap<GroupId, NodeId>,
    reported: BTreeMap<GroupId, NodeId>,
    suspects: BTreeSet<NodeId>,
}

/// Where one attempt of a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The slot of the key.
    pub slot: Slot,
    /// The group that owns the slot.
    pub group: GroupId,
    /// The epoch of the topology the route was made from.
    pub epoch: Epoch,
    /// The node to ask.
    pub node: NodeId,
    /// `host:port` of the node's gRPC.
    pub address: Arc<str>,
}

/// Why there is no route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReady {
    /// No topology has arrived from placement.
    NoTopology,
    /// The cluster is not bootstrapped yet.
    NotFormed,
}

impl Router {
    /// A router that knows nothing and answers [`NotReady::NoTopology`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a topology, and the leaders that placement reports, unless the topology is older than
    /// the one held. Returns whether it was taken.
    pub fn on_topology(
        &mut self,
        topology: Arc<Topology>,
        leaders: impl IntoIterator<Item = (GroupId, NodeId)>,
    ) -> bool {
        let known = self.topology.as_ref().filter(|known| known.cluster == topology.cluster);
        if known.is_some_and(|known| known.epoch > topology.epoch) {
            return false;
        }
        self.reported = leaders.into_iter().collect();
        self.addresses = topology
            .nodes
            .values()
            .filter(|node| node.state == NodeState::Active)
            .map(|node| (node.id, Arc::from(node.address.as_str())))
            .collect();
        let addresses = &self.addresses;
        self.suspects.retain(|node| addresses.contains_key(node));
        self.learnt.retain(|group, node| {
            addresses.contains_key(node) && topology.groups.contains_key(group)
        });
        self.topology = Some(topology);
        true
    }

    /// The topology held, if any arrived.
    pub fn topology(&self) -> Option<&Arc<Topology>> {
        self.topology.as_ref()
    }

    /// The epoch held; 0 before the first topology.
    pub fn epoch(&self) -> Epoch {
        self.topology.as_ref().map_or(Epoch(0), |topology| topology.epoch)
    }

    /// Active nodes and where they are reached.
    pub fn addresses(&self) -> &BTreeMap<NodeId, Arc<str>> {
        &self.addresses
    }

    /// The node believed to lead `group`, from a reply or else from placement.
    pub fn leader(&self, group: GroupId) -> Option<NodeId> {
        self.learnt.get(&group).or_else(|| self.reported.get(&group)).copied()
    }

    /// The route of `key` to `aim`, or to the likeliest leader that is not in `tried`.
    pub(crate) fn route_to(
        &self,
        key: &[u8],
        aim: Option<NodeId>,
        tried: &[NodeId],
    ) -> Result<Route, NotReady> {
        let topology = self.topology.as_ref().ok_or(NotReady::NoTopology)?;
        let (slot, group) = topology.locate(key).ok_or(NotReady::NotFormed)?;
        let aimed = aim.filter(|node| self.addresses.contains_key(node));
        let node = aimed.or_else(|| self.pick(group, tried)).ok_or(NotReady::NotFormed)?;
        let address = Arc::clone(self.addresses.get(&node).ok_or(NotReady::NotFormed)?);
        Ok(Route { slot, group: group.id, epoch: topology.epoch, node, address })
    }

    /// Whether [`Router::on_success`] would change anything: lets a caller skip a write lock.
    pub fn teaches(&self, route: &Route) -> bool {
        self.learnt.get(&route.group) != Some(&route.node) || self.suspects.contains(&route.node)
    }

    /// The node of `route` answered as the group's leader.
    pub fn on_success(&mut self, route: &Route) {
        self.suspects.remove(&route.node);
        if self.addresses.contains_key(&route.node) {
            self.learnt.insert(route.group, route.node);
        }
    }

    /// A connection to `node` came up: it is no longer suspect.
    pub fn on_connected(&mut self, node: NodeId) {
        self.suspects.remove(&node);
    }

    pub(crate) fn suspect(&mut self, node: NodeId) {
        if self.addresses.contains_key(&node) {
            self.suspects.insert(node);
        }
    }

    /// `node` does not lead `group`; `hint` is who it says does.
    pub(crate) fn not_leader(&mut self, group: GroupId, node: NodeId, hint: Option<NodeId>) {
        match hint.filter(|hint| *hint != node && self.addresses.contains_key(hint)) {
            Some(leader) => {
                self.learnt.insert(group, leader);
            }
            None if self.learnt.get(&group) == Some(&node) => {
                self.learnt.remove(&group);
            }
            None => {}
        }
    }

    /// The best replica of `group` that is not in `tried`; of all of them if each was tried.
    fn pick(&self, group: &Group, tried: &[NodeId]) -> Option<NodeId> {
        self.pick_untried(group, tried).or_else(|| self.pick_untried(group, &[]))
    }

    fn pick_untried(&self, group: &Group, tried: &[NodeId]) -> Option<NodeId> {
        let voters =
            || group.replicas.iter().filter(|replica| replica.role == Role::Voter).map(|r| r.node);
        let likely = [
            self.learnt.get(&group.id).copied(),
            self.reported.get(&group.id).copied(),
            Some(group.preferred_leader),
        ];
        let mut second = None;
        for node in likely.into_iter().flatten().chain(voters()) {
            if tried.contains(&node) || !self.addresses.contains_key(&node) {
                continue;
            }
            if !self.suspects.contains(&node) {
                return Some(node);
            }
            second = second.or(Some(node));
        }
        second
    }

    /// A replica of `group` not in `tried`, if one is left.
    pub(crate) fn untried(&self, group: GroupId, tried: &[NodeId]) -> Option<NodeId> {
        let group = self.topology.as_ref()?.groups.get(&group)?;
        self.pick_untried(group, tried)
    }
}
