//! What a heartbeat says of the groups on a node.
//!
//! Owns the conversion of the engine's status to the wire. Members are reported by leaders only:
//! another replica may know older ones.

use std::collections::BTreeMap;

use ringkv_consensus::{GroupStatus, Members, PeerStatus, Role};
use ringkv_proto::v1::{self, MemberReport, MemberRole};
use ringkv_topology::{GroupId, ReplicaId};

use crate::machine::StateHash;

/// The report on one group: its state hashes and its size come from the state machine.
pub fn group(
    status: &GroupStatus,
    state_hashes: &[StateHash],
    state_bytes: u64,
) -> v1::GroupReport {
    let leads = status.role == Role::Leader;
    let state_hash = |hash: &StateHash| v1::Checkpoint { index: hash.index.0, checksum: hash.hash };
    v1::GroupReport {
        group: status.group.0,
        replica: status.replica.0,
        leader: leads,
        term: status.term.0,
        applied_index: status.applied_index.0,
        checkpoints: state_hashes.iter().map(state_hash).collect(),
        members_epoch: if leads { status.members.epoch.0 } else { 0 },
        members: if leads { members(status) } else { Vec::new() },
        state_bytes,
    }
}

/// The replicas here that placement reports as removed, with their groups.
pub fn removed(present: &[GroupStatus], removed: &[u64]) -> Vec<(GroupId, ReplicaId)> {
    let is_removed = |status: &&GroupStatus| removed.contains(&status.replica.0);
    present.iter().filter(is_removed).map(|status| (status.group, status.replica)).collect()
}

fn members(status: &GroupStatus) -> Vec<MemberReport> {
    let members = &status.members;
    let peers: BTreeMap<ReplicaId, &PeerStatus> =
        status.peers.iter().map(|peer| (peer.replica, peer)).collect();
    let report = |replica: &ReplicaId| {
        let peer = peers.get(replica);
        MemberReport {
            replica: replica.0,
            role: role_of(members, *replica).into(),
            lag_entries: peer.map_or(0, |peer| peer.lag_entries),
            active: *replica == status.replica || peer.is_some_and(|peer| peer.recently_active),
        }
    };
    members.nodes.keys().map(report).collect()
}

/// What a member is in the members in force.
pub fn role_of(members: &Members, replica: ReplicaId) -> MemberRole {
    if members.voters.contains(&replica) {
        MemberRole::Voter
    } else if members.outgoing.contains(&replica) {
        MemberRole::Outgoing
    } else {
        MemberRole::Learner
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ringkv_consensus::LogIndex;
    use ringkv_topology::{Epoch, NodeId};

    use super::*;
    use crate::testing::topology::status;

    fn led() -> GroupStatus {
        let voters = (1..=2).map(|node| (ReplicaId(10 + node), NodeId(node)));
        let mut members = Members::of_voters(voters).as_of(Epoch(6));
        members.learners.push(ReplicaId(40));
        members.outgoing = vec![ReplicaId(11), ReplicaId(13)];
        members.nodes.extend([(ReplicaId(40), NodeId(4)), (ReplicaId(13), NodeId(3))]);
        let peer = |replica: u64, lag_entries| PeerStatus {
            node: NodeId(replica - 10),
            replica: ReplicaId(replica),
            matched: LogIndex(1),
            lag_entries,
            recently_active: lag_entries < 9,
            voter: true,
        };
        let peers = vec![peer(12, 3), peer(40, 9)];
        GroupStatus { members: Arc::new(members), peers, ..status(1, 1, Some(1)) }
    }

    #[test]
    fn a_leader_reports_its_members_and_how_far_each_is() {
        let report = group(&led(), &[], 77);
        assert_eq!((report.members_epoch, report.replica, report.state_bytes), (6, 11, 77));
        let members: Vec<_> = (report.members.iter())
            .map(|member| (member.replica, member.role(), member.lag_entries, member.active))
            .collect();
        assert_eq!(
            members,
            [
                (11, MemberRole::Voter, 0, true),
                (12, MemberRole::Voter, 3, true),
                (13, MemberRole::Outgoing, 0, false),
                (40, MemberRole::Learner, 9, false),
            ]
        );
    }

    #[test]
    fn a_follower_reports_no_members() {
        let report = group(&GroupStatus { role: Role::Follower, ..led() }, &[], 0);
        assert_eq!((report.members_epoch, report.members.len()), (0, 0));
    }

    #[test]
    fn only_replicas_that_are_here_are_destroyed() {
        let present = [status(1, 1, None), status(2, 1, None)];
        let found = removed(&present, &[21, 31]);
        assert_eq!(found, [(GroupId(2), ReplicaId(21))]);
    }
}
