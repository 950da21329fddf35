//! What the leader of placement does next about placement's own replicas, and which requests it
//! refuses from what it observes.
//!
//! Level-triggered: compares the replicated state with the members in force each time and keeps
//! nothing in between. Never two changes at once. Invariant: a learner becomes a voter only when it
//! has caught up, and only if the voters before and after have a live majority.

use std::collections::BTreeSet;

use ringkv_consensus::{GroupStatus, LogIndex, Members, MembersChange, PeerStatus};
use ringkv_topology::{NodeId, ReplicaId, Role};

use crate::command::{MembersCommand, MembersRefusal};
use crate::place::Place;
use crate::state::PlacementMembers;

/// A learner that is at most this far behind counts as caught up: a heartbeat's worth of entries.
const LAG_ENTRIES_MAX: u64 = 100;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Propose(MembersCommand),
    /// Make the members in force match the state.
    Change(MembersChange),
    /// This replica leaves: another leads first.
    HandOver(NodeId),
}

/// The id of a replica on the transport: each has a node of its own.
pub fn node_of(replica: ReplicaId) -> NodeId {
    NodeId(replica.0)
}

/// The next step of the leader, whose status this is; `live` are the replicas it has heard from
/// lately, itself included.
pub fn next(
    wanted: &PlacementMembers,
    status: &GroupStatus,
    live: &BTreeSet<ReplicaId>,
) -> Option<Step> {
    let members = &status.members;
    if members.is_joint() {
        return None;
    }
    if members.epoch < wanted.changed {
        let leaves = wanted.replicas.get(&status.replica).is_none_or(|me| me.role == Role::Leaving);
        return if leaves {
            hand_over(wanted, status, live)
        } else {
            Some(change(wanted, members))
        };
    }
    let seen = wanted.changed;
    let gone = |id: &ReplicaId| members.node_of(*id).is_none();
    let mut leaving = wanted.replicas.iter().filter(|(_, member)| member.role == Role::Leaving);
    if let Some((replica, _)) = leaving.find(|(id, _)| gone(id)) {
        return Some(Step::Propose(MembersCommand::Forget { replica: *replica, seen }));
    }
    if wanted.is_founding() && wanted.has_all_places() {
        return Some(Step::Propose(MembersCommand::Found { seen }));
    }
    let ready = |peer: &&PeerStatus| is_ready(wanted, peer, live);
    let learner = status.peers.iter().find(ready)?;
    let replica = learner.replica;
    Some(Step::Propose(MembersCommand::Promote { replica, seen }))
}

/// Whether a learner can become a voter now.
fn is_ready(wanted: &PlacementMembers, peer: &PeerStatus, live: &BTreeSet<ReplicaId>) -> bool {
    let Some(learner) = wanted.replicas.get(&peer.replica) else { return false };
    let caught_up = peer.matched > LogIndex::ZERO && peer.lag_entries <= LAG_ENTRIES_MAX;
    let before: BTreeSet<ReplicaId> = wanted.voters().map(|(id, _)| id).collect();
    let stay = wanted.voters().filter(|(_, member)| member.place != learner.place);
    let after = stay.map(|(id, _)| id).chain([peer.replica]).collect();
    learner.role == Role::Learner
        && caught_up
        && live.contains(&peer.replica)
        && has_majority(&before, live)
        && has_majority(&after, live)
}

fn has_majority(voters: &BTreeSet<ReplicaId>, live: &BTreeSet<ReplicaId>) -> bool {
    voters.intersection(live).count() > voters.len() / 2
}

fn hand_over(
    wanted: &PlacementMembers,
    status: &GroupStatus,
    live: &BTreeSet<ReplicaId>,
) -> Option<Step> {
    let stays = |peer: &&PeerStatus| {
        let role = wanted.replicas.get(&peer.replica).map(|member| member.role);
        peer.voter && role == Some(Role::Voter) && live.contains(&peer.replica)
    };
    let next = status.peers.iter().filter(stays).min_by_key(|peer| peer.lag_entries)?;
    Some(Step::HandOver(next.node))
}

/// The one change after which the members in force are those of the state.
fn change(wanted: &PlacementMembers, members: &Members) -> Step {
    let with_role = |role| {
        let all = wanted.replicas.iter().filter(move |(_, member)| member.role == role);
        all.map(|(id, _)| *id)
    };
    let add_voters = with_role(Role::Voter).filter(|id| !members.voters.contains(id));
    let add_learners = with_role(Role::Learner).filter(|id| !members.learners.contains(id));
    let unknown = members.nodes.keys().copied().filter(|id| !wanted.replicas.contains_key(id));
    Step::Change(MembersChange {
        add_voters: add_voters.map(|id| (id, node_of(id))).collect(),
        add_learners: add_learners.map(|id| (id, node_of(id))).collect(),
        // One that is no member is named too: the change notes the epoch.
        remove: with_role(Role::Leaving).chain(unknown).collect(),
        epoch: wanted.changed,
    })
}

/// Refuses a request that the replicated state allows and the leader's observations do not.
/// `is_settled` once it has led for long enough to know which replicas are live.
///
/// # Errors
/// The refusal.
pub fn admit(
    command: &MembersCommand,
    members: &PlacementMembers,
    live: &BTreeSet<ReplicaId>,
    is_settled: bool,
) -> Result<(), MembersRefusal> {
    match command {
        MembersCommand::Admit { place, .. } => {
            let Some(replica) = voter_at(members, *place) else { return Ok(()) };
            if live.contains(&replica) {
                return Err(MembersRefusal::ReplicaAlive { replica });
            }
            if is_settled { Ok(()) } else { Err(MembersRefusal::LeaderIsNew) }
        }
        MembersCommand::Remove { replica } => {
            if !is_settled {
                return Err(MembersRefusal::LeaderIsNew);
            }
            let others = members.voters().map(|(id, _)| id).filter(|id| id != replica).collect();
            if has_majority(&others, live) {
                return Ok(());
            }
            let (replica, voters) = (*replica, others.len() as u64);
            let live = others.intersection(live).count() as u64;
            Err(MembersRefusal::QuorumAtRisk { replica, live, voters })
        }
        MembersCommand::Promote { .. }
        | MembersCommand::Found { .. }
        | MembersCommand::Forget { .. }
        | MembersCommand::Relocate { .. }
        | MembersCommand::Invite { .. }
        | MembersCommand::Uninvite { .. } => Ok(()),
    }
}

fn voter_at(members: &PlacementMembers, place: Place) -> Option<ReplicaId> {
    members.voters().find(|(_, member)| member.place == place).map(|(id, _)| id)
}

#[cfg(test)]
mod tests;
