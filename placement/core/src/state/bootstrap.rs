//! The first groups of the cluster: the check of the plan, and what follows from it.

use std::collections::BTreeSet;

use ringkv_topology::{
    Epoch, Group, GroupId, NodeId, NodeState, PlannedGroup, Replica, ReplicaId, Role,
};

use crate::command::Refusal;
use crate::operation::OperationKind;
use crate::state::Cluster;

impl Cluster {
    /// Creates the first groups, if the epoch is still that of the plan.
    pub(super) fn bootstrap(
        &mut self,
        planned_at: Epoch,
        groups: &[PlannedGroup],
        owners: Vec<GroupId>,
        now_ms: u64,
    ) -> Result<Epoch, Refusal> {
        if planned_at != self.topology.epoch || self.topology.is_bootstrapped() {
            return Err(Refusal::Stale);
        }
        self.check_plan(groups, &owners).map_err(Refusal::Impossible)?;
        let formed = self.next_epoch();
        self.record(OperationKind::Bootstrap, now_ms);
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
