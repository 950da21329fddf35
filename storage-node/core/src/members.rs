//! What the leader of a group does next so that its members become what the topology names.
//!
//! Level-triggered: looks at the present state each time and keeps none. One change makes all of the
//! difference, stamped with the epoch at which the topology last changed the group's replicas, so
//! that it is made once, and never by a leader whose topology is older than the members in force.
//! Never decides which replicas a group has: placement does.

use ringkv_consensus::{self as consensus, GroupStatus, Members, MembersChange, PeerStatus};
use ringkv_topology::{Group, NodeId, ReplicaId, Role};

/// A replica this close behind may take leadership over: it does so within a round trip.
const LAG_ENTRIES_MAX: u64 = 64;

/// What to ask the engine for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Propose this change.
    Change(MembersChange),
    /// The replica here leaves: hand leadership to this node first.
    HandOver(NodeId),
}

/// The next step for a group; `None` while the replica here does not lead it, the members are those
/// that the topology names, or a change is in progress.
pub fn next(group: &Group, status: &GroupStatus) -> Option<Step> {
    let members = &status.members;
    let leads = status.role == consensus::Role::Leader;
    if !leads || members.is_joint() || members.epoch >= group.changed {
        return None;
    }
    let leaves = |id: ReplicaId| {
        group.replicas.iter().any(|replica| replica.id == id && replica.role == Role::Leaving)
    };
    if leaves(status.replica) {
        let heirs = status.peers.iter().filter(|peer| is_fit(peer) && !leaves(peer.replica));
        return heirs.min_by_key(|peer| peer.lag_entries).map(|peer| Step::HandOver(peer.node));
    }
    Some(Step::Change(change(group, members)))
}

fn is_fit(peer: &PeerStatus) -> bool {
    peer.voter && peer.recently_active && peer.lag_entries <= LAG_ENTRIES_MAX
}

/// The difference between the members in force and the replicas named.
fn change(group: &Group, members: &Members) -> MembersChange {
    let mut change = MembersChange { epoch: group.changed, ..MembersChange::default() };
    for replica in &group.replicas {
        let learns = members.learners.contains(&replica.id);
        let votes = members.is_voter(replica.id);
        match replica.role {
            Role::Voter if !votes => change.add_voters.push((replica.id, replica.node)),
            Role::Learner if !votes && !learns => {
                change.add_learners.push((replica.id, replica.node));
            }
            // Also one that is no member: the change then only notes the epoch, which tells
            // placement that no leader can add the replica any more.
            Role::Leaving => change.remove.push(replica.id),
            Role::Voter | Role::Learner => {}
        }
    }
    change
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringkv_consensus::LogIndex;
    use ringkv_topology::{Epoch, GroupId, Replica};

    use super::*;
    use crate::testing::topology::{bootstrapped, status};

    /// Group 1 on nodes 1 to 3, with `more` replicas in the topology as of epoch 5.
    fn changed(more: &[(u64, u64, Role)], leaving: &[u64]) -> Group {
        let mut group = bootstrapped(3).groups.remove(&GroupId(1)).expect("group 1 of 3");
        group.changed = Epoch(5);
        for replica in &mut group.replicas {
            if leaving.contains(&replica.node.0) {
                replica.role = Role::Leaving;
            }
        }
        let replica = |(id, node, role): &(u64, u64, Role)| Replica {
            id: ReplicaId(*id),
            node: NodeId(*node),
            role: *role,
        };
        group.replicas.extend(more.iter().map(replica));
        group
    }

    /// Node 1 leads group 1, whose members as of epoch 2 are the voters on nodes 1 to 3.
    fn led(learners: &[u64]) -> GroupStatus {
        let voters = (1..=3).map(|node| (ReplicaId(10 + node), NodeId(node)));
        let mut members = Members::of_voters(voters).as_of(Epoch(2));
        for learner in learners {
            members.learners.push(ReplicaId(*learner));
            members.nodes.insert(ReplicaId(*learner), NodeId(4));
        }
        let peer = |node: u64| PeerStatus {
            node: NodeId(node),
            replica: ReplicaId(10 + node),
            matched: LogIndex(1),
            lag_entries: 4 - node,
            recently_active: true,
            voter: true,
        };
        GroupStatus {
            members: Arc::new(members),
            peers: vec![peer(2), peer(3)],
            ..status(1, 1, Some(1))
        }
    }

    #[test]
    fn nothing_is_done_for_members_that_are_as_named_or_newer() {
        let group = changed(&[(40, 4, Role::Learner)], &[]);
        let mut newer = led(&[]);
        newer.members = Arc::new(Members::clone(&newer.members).as_of(Epoch(5)));
        assert_eq!(next(&group, &newer), None, "an old view never brings a replica back");
        let follower = GroupStatus { role: consensus::Role::Follower, ..led(&[]) };
        assert_eq!(next(&group, &follower), None);
    }

    #[test]
    fn nothing_is_done_in_a_joint_configuration() {
        let group = changed(&[(40, 4, Role::Learner)], &[]);
        let mut joint = led(&[]);
        let outgoing = vec![ReplicaId(13)];
        joint.members = Arc::new(Members { outgoing, ..Members::clone(&joint.members) });
        assert_eq!(next(&group, &joint), None);
    }

    #[test]
    fn a_joining_replica_learns_first() {
        let step = next(&changed(&[(40, 4, Role::Learner)], &[]), &led(&[]));
        let change = MembersChange {
            add_learners: vec![(ReplicaId(40), NodeId(4))],
            epoch: Epoch(5),
            ..MembersChange::default()
        };
        assert_eq!(step, Some(Step::Change(change)));
    }

    #[test]
    fn one_change_promotes_one_and_removes_another() {
        let step = next(&changed(&[(40, 4, Role::Voter)], &[3]), &led(&[40]));
        let change = MembersChange {
            add_voters: vec![(ReplicaId(40), NodeId(4))],
            remove: vec![ReplicaId(13)],
            epoch: Epoch(5),
            ..MembersChange::default()
        };
        assert_eq!(step, Some(Step::Change(change)));
    }

    #[test]
    fn a_replica_that_leaves_hands_over_to_the_fittest_that_stays() {
        let group = changed(&[(40, 4, Role::Voter)], &[1]);
        assert_eq!(next(&group, &led(&[40])), Some(Step::HandOver(NodeId(3))));
        let mut silent = led(&[40]);
        silent.peers[1].recently_active = false;
        assert_eq!(next(&group, &silent), Some(Step::HandOver(NodeId(2))));
        silent.peers[0].lag_entries = LAG_ENTRIES_MAX + 1;
        assert_eq!(next(&group, &silent), None, "it waits for one that can take over");
    }

    #[test]
    fn a_join_taken_back_before_it_began_still_notes_the_epoch() {
        let step = next(&changed(&[(40, 4, Role::Leaving)], &[]), &led(&[]));
        let change = MembersChange {
            remove: vec![ReplicaId(40)],
            epoch: Epoch(5),
            ..MembersChange::default()
        };
        assert_eq!(step, Some(Step::Change(change)));
    }
}
