//! What the leaders of groups have reported: the members in force, and how far each of them is.

use std::collections::BTreeMap;

use ringkv_topology::{Epoch, Group, GroupId, NodeId, ReplicaId, Role};

/// A member is caught up when it lacks at most this many entries: with them it is a moment behind
/// under load, not a snapshot.
pub const CAUGHT_UP_ENTRIES: u64 = 1_000;

/// The role of a member in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberRole {
    Voter,
    Learner,
    /// It votes in the old half of a joint configuration only.
    Outgoing,
}

/// A member of a group, as its leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemberReport {
    pub replica: ReplicaId,
    pub role: MemberRole,
    /// Entries it is behind the leader's log.
    pub lag_entries: u64,
    /// The leader has heard from it within the last election timeout.
    pub active: bool,
}

/// The last report of a group's leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderReport {
    pub node: NodeId,
    pub term: u64,
    /// The epoch of the change that made the members in force.
    pub members_epoch: Epoch,
    pub members: Vec<MemberReport>,
    /// Size of the group's state.
    pub state_bytes: u64,
}

impl LeaderReport {
    /// The report on a member; `None` if it is none.
    pub fn member(&self, replica: ReplicaId) -> Option<&MemberReport> {
        self.members.iter().find(|member| member.replica == replica)
    }

    /// Whether a change of voters is in its joint phase.
    pub fn is_joint(&self) -> bool {
        self.members.iter().any(|member| member.role == MemberRole::Outgoing)
    }

    /// Whether the leader has heard from the member, and it lacks only a few entries.
    pub fn is_caught_up(&self, replica: ReplicaId) -> bool {
        let is_near = |member: &MemberReport| member.lag_entries <= CAUGHT_UP_ENTRIES;
        self.member(replica).is_some_and(|member| member.active && is_near(member))
    }

    /// Whether the members in force are the replicas of the topology, in their roles.
    pub fn matches(&self, group: &Group) -> bool {
        let role_of = |role| match role {
            Role::Voter => Some(MemberRole::Voter),
            Role::Learner => Some(MemberRole::Learner),
            Role::Leaving => None,
        };
        let wanted: BTreeMap<ReplicaId, MemberRole> = group
            .replicas
            .iter()
            .filter_map(|replica| Some((replica.id, role_of(replica.role)?)))
            .collect();
        let in_force = self.members.iter().map(|member| (member.replica, member.role));
        // The founding members are in force before any change of members has noted its epoch.
        let is_noted = self.members_epoch >= group.changed || group.is_founding();
        is_noted && in_force.collect::<BTreeMap<_, _>>() == wanted
    }
}

/// The leaders' reports by group: those of the highest term.
#[derive(Clone, Debug, Default)]
pub(super) struct LeaderReports {
    groups: BTreeMap<GroupId, LeaderReport>,
}

impl LeaderReports {
    /// Takes in a leader's report, unless a leader of a higher term has reported.
    pub(super) fn leads(&mut self, group: GroupId, report: LeaderReport) {
        let known = self.groups.get(&group);
        if known.is_none_or(|known| known.term <= report.term) {
            self.groups.insert(group, report);
        }
    }

    /// A node reports that it does not lead: it withdraws its own claim only.
    pub(super) fn follows(&mut self, group: GroupId, node: NodeId, term: u64) {
        let known = self.groups.get(&group);
        if known.is_some_and(|known| known.node == node && known.term <= term) {
            self.groups.remove(&group);
        }
    }

    pub(super) fn get(&self, group: GroupId) -> Option<&LeaderReport> {
        self.groups.get(&group)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (GroupId, &LeaderReport)> {
        self.groups.iter().map(|(group, report)| (*group, report))
    }

    pub(super) fn retain(&mut self, known: impl Fn(GroupId, NodeId) -> bool) {
        self.groups.retain(|group, report| known(*group, report.node));
    }
}
