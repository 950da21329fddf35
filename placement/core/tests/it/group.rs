//! A group: members in force, a leader that makes them match its node's topology, and how far the
//! data of each member is.
//!
//! An entry is committed by the members that lack nothing, a majority of both halves. A member
//! that is down falls behind. A leader lacks nothing.

use std::collections::{BTreeMap, BTreeSet};

use ringkv_placement_core::observations::{GroupReport, MemberReport, MemberRole};
use ringkv_topology::{Epoch, GroupId, NodeId, ReplicaId, Role};

use crate::node::{Disk, SimNode};
use crate::random::Random;

pub(crate) type Nodes = BTreeMap<NodeId, SimNode>;
pub(crate) type Homes = BTreeMap<ReplicaId, (GroupId, NodeId)>;

#[derive(Debug)]
pub(crate) struct SimGroup {
    pub(crate) id: GroupId,
    pub(crate) voters: BTreeSet<ReplicaId>,
    /// The old half of a joint configuration; empty if there is none.
    pub(crate) outgoing: BTreeSet<ReplicaId>,
    pub(crate) learners: BTreeSet<ReplicaId>,
    pub(crate) epoch: Epoch,
    pub(crate) leader: Option<ReplicaId>,
    pub(crate) term: u64,
    pub(crate) bytes: u64,
}

/// What surrounds a group during a step.
pub(crate) struct Around<'a> {
    pub(crate) nodes: &'a mut Nodes,
    pub(crate) homes: &'a Homes,
    pub(crate) random: &'a mut Random,
}

impl SimGroup {
    pub(crate) fn founded(id: GroupId, voters: BTreeSet<ReplicaId>, bytes: u64) -> Self {
        Self {
            id,
            voters,
            outgoing: BTreeSet::new(),
            learners: BTreeSet::new(),
            epoch: Epoch(0),
            leader: None,
            term: 0,
            bytes,
        }
    }

    pub(crate) fn members(&self) -> BTreeSet<ReplicaId> {
        &(&self.voters | &self.outgoing) | &self.learners
    }

    /// The replica's disk, if its node is up and has it.
    pub(crate) fn disk(&self, nodes: &Nodes, homes: &Homes, id: ReplicaId) -> Option<Disk> {
        let node = nodes.get(&homes.get(&id)?.1).filter(|node| node.up)?;
        node.disk.get(&self.id).copied().filter(|disk| disk.id == id)
    }

    fn has_quorum(&self, counts: impl Fn(ReplicaId) -> bool) -> bool {
        let quorum = |half: &BTreeSet<ReplicaId>| {
            half.is_empty() || half.iter().filter(|id| counts(**id)).count() > half.len() / 2
        };
        quorum(&self.voters) && quorum(&self.outgoing)
    }

    /// Whether it would keep its data and a quorum without this node for good.
    pub(crate) fn survives_without(&self, nodes: &Nodes, homes: &Homes, lost: NodeId) -> bool {
        self.has_quorum(|id| {
            let home = homes[&id].1;
            let node = nodes.get(&home).filter(|node| home != lost && !node.wiped);
            let disk = node.and_then(|node| node.disk.get(&self.id));
            disk.is_some_and(|disk| disk.id == id && disk.lag == 0)
        })
    }

    /// Lets the leader work for a moment; elects one first if there is none.
    pub(crate) fn step(&mut self, around: &mut Around<'_>) {
        let present = |group: &Self, around: &Around<'_>, id| {
            group.disk(around.nodes, around.homes, id).is_some()
        };
        let is_current = |group: &Self, around: &Around<'_>, id| {
            group.disk(around.nodes, around.homes, id).is_some_and(|disk| disk.lag == 0)
        };
        if !self.has_quorum(|id| present(self, around, id)) {
            self.leader = None;
            return;
        }
        let may_lead = &self.voters | &self.outgoing;
        if !self.leader.is_some_and(|id| may_lead.contains(&id) && present(self, around, id)) {
            let candidates: Vec<ReplicaId> =
                may_lead.into_iter().filter(|id| is_current(self, around, *id)).collect();
            self.leader = around.random.pick(&candidates);
            self.term += 1;
        }
        if self.leader.is_none() {
            return;
        }
        self.replicate(around);
        if !self.has_quorum(|id| is_current(self, around, id)) {
            return;
        }
        self.fall_behind(around);
        if self.outgoing.is_empty() {
            self.change(around);
        } else if around.random.chance(60) {
            let current: Vec<ReplicaId> =
                self.voters.iter().copied().filter(|id| is_current(self, around, *id)).collect();
            if self.leader.is_some_and(|leader| self.voters.contains(&leader)) {
                self.outgoing.clear();
            } else if let Some(next) = around.random.pick(&current) {
                (self.leader, self.term) = (Some(next), self.term + 1);
            }
        }
    }

    /// Members that are up receive entries.
    fn replicate(&mut self, around: &mut Around<'_>) {
        for id in self.members() {
            if self.disk(around.nodes, around.homes, id).is_some() {
                let entries = around.random.below(3_000) as u64;
                self.change_lag(around, id, |lag| lag.saturating_sub(entries));
            }
        }
    }

    /// Members that are down miss what is committed.
    fn fall_behind(&mut self, around: &mut Around<'_>) {
        for id in self.members() {
            if self.disk(around.nodes, around.homes, id).is_none() {
                self.change_lag(around, id, |lag| (lag + 50).min(50_000));
            }
        }
    }

    fn change_lag(&self, around: &mut Around<'_>, id: ReplicaId, change: impl Fn(u64) -> u64) {
        let node = around.nodes.get_mut(&around.homes[&id].1);
        let disk = node.and_then(|node| node.disk.get_mut(&self.id));
        if let Some(disk) = disk.filter(|disk| disk.id == id) {
            disk.lag = change(disk.lag);
        }
    }

    /// Makes the members match the topology of the leader's node, in one change.
    fn change(&mut self, around: &mut Around<'_>) {
        let Some(leader) = self.leader else { return };
        let view = around.nodes[&around.homes[&leader].1].view.clone();
        let Some(wanted) = view.as_ref().and_then(|view| view.groups.get(&self.id)) else { return };
        if wanted.changed <= self.epoch || wanted.is_founding() || around.random.chance(30) {
            return;
        }
        let with = |role| -> BTreeSet<ReplicaId> {
            let replicas = wanted.replicas.iter().filter(move |replica| replica.role == role);
            replicas.map(|replica| replica.id).collect()
        };
        let (voters, learners) = (with(Role::Voter), with(Role::Learner));
        let is_current = |id: &ReplicaId| {
            self.disk(around.nodes, around.homes, *id).is_some_and(|disk| disk.lag == 0)
        };
        let current = voters.iter().copied().filter(is_current).collect::<Vec<_>>();
        if current.len() <= voters.len() / 2 {
            return;
        }
        if !voters.contains(&leader) {
            let heirs: Vec<ReplicaId> =
                current.into_iter().filter(|id| self.voters.contains(id)).collect();
            if let Some(next) = around.random.pick(&heirs) {
                (self.leader, self.term) = (Some(next), self.term + 1);
                return;
            }
        }
        let added = voters.difference(&self.voters).count();
        let removed = self.voters.difference(&voters).count();
        assert!(added <= 1 && removed <= 1, "two changes of group {} at once", self.id);
        if added + removed > 1 || !voters.contains(&leader) {
            self.outgoing = std::mem::take(&mut self.voters);
        }
        (self.voters, self.learners, self.epoch) = (voters, learners, wanted.changed);
    }

    /// The report of a node on its replica.
    pub(crate) fn report(&self, nodes: &Nodes, homes: &Homes, replica: ReplicaId) -> GroupReport {
        let report = GroupReport::new(self.id, Some(replica), self.term);
        if self.leader != Some(replica) {
            return report;
        }
        let member = |id: ReplicaId| {
            let disk = self.disk(nodes, homes, id);
            let role = if self.voters.contains(&id) {
                MemberRole::Voter
            } else if self.outgoing.contains(&id) {
                MemberRole::Outgoing
            } else {
                MemberRole::Learner
            };
            let lag_entries = disk.map_or(9_999, |disk| disk.lag);
            MemberReport { replica: id, role, lag_entries, active: disk.is_some() }
        };
        GroupReport {
            leader: true,
            members_epoch: self.epoch,
            members: self.members().into_iter().map(member).collect(),
            state_bytes: self.bytes,
            ..report
        }
    }
}
