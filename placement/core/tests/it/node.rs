//! A storage node: it creates the replicas that its topology names, and destroys those it is to.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringkv_topology::{Group, GroupId, NodeId, ReplicaId, Role, Topology};

/// Entries that a replica lacks when it joins.
const JOINING_LAG: u64 = 4_000;

/// A replica on a node's disk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Disk {
    pub(crate) id: ReplicaId,
    /// Entries it lacks.
    pub(crate) lag: u64,
}

#[derive(Debug)]
pub(crate) struct SimNode {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    pub(crate) incarnation: u64,
    pub(crate) up: bool,
    /// Its disk is gone: it never comes back.
    pub(crate) wiped: bool,
    pub(crate) view: Option<Arc<Topology>>,
    pub(crate) disk: BTreeMap<GroupId, Disk>,
    /// The highest destroyed replica of each group.
    pub(crate) tombstones: BTreeMap<GroupId, ReplicaId>,
}

impl SimNode {
    pub(crate) fn new(id: NodeId, address: String, incarnation: u64) -> Self {
        Self {
            id,
            address,
            incarnation,
            up: true,
            wiped: false,
            view: None,
            disk: BTreeMap::new(),
            tombstones: BTreeMap::new(),
        }
    }

    /// Creates what the topology names here and the disk lacks.
    pub(crate) fn adopt(&mut self, topology: &Arc<Topology>, has_begun: impl Fn(GroupId) -> bool) {
        self.view = Some(Arc::clone(topology));
        for group in topology.groups.values() {
            let Some(replica) = group.replica_on(self.id) else { continue };
            let lowest = self.tombstones.get(&group.id).copied().unwrap_or(ReplicaId(0));
            let is_new = replica.role != Role::Leaving && replica.id > lowest;
            if is_new && !self.disk.contains_key(&group.id) {
                let lag = first_lag(group, has_begun(group.id));
                self.disk.insert(group.id, Disk { id: replica.id, lag });
            }
        }
    }

    /// Destroys these replicas, if they are here.
    pub(crate) fn destroy(&mut self, replicas: &[ReplicaId]) {
        for replica in replicas {
            let Some(group) = self.group_of(*replica) else { continue };
            self.disk.remove(&group);
            self.tombstones.insert(group, *replica);
        }
    }

    fn group_of(&self, replica: ReplicaId) -> Option<GroupId> {
        self.disk.iter().find(|(_, disk)| disk.id == replica).map(|(group, _)| *group)
    }
}

fn first_lag(group: &Group, has_begun: bool) -> u64 {
    match (group.is_founding(), has_begun) {
        (true, false) => 0,
        (true, true) => 100,
        (false, _) => JOINING_LAG,
    }
}
