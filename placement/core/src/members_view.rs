//! What a placement process says of itself and of placement's replicas, on the wire.

use std::collections::BTreeSet;

use ringkv_consensus::GroupStatus;
use ringkv_proto::v1;
use ringkv_topology::{ClusterId, ReplicaId, Role};

use crate::place::Place;
use crate::start::{Answer, KnownGroup, Peers};
use crate::state::{PlacementMember, PlacementMembers, Recovery, State};

/// The reply of a process at a place; `group` is `None` while its data directory is empty.
pub fn reply(me: Place, peers: &Peers, group: Option<v1::PlacementGroup>) -> v1::DescribeReply {
    let peer = |(place, address): (&Place, &String)| v1::PlacementPeer {
        place: place.0,
        address: address.clone(),
    };
    v1::DescribeReply { place: me.0, peers: peers.iter().map(peer).collect(), group }
}

/// What the process says; `None` if an id is 0.
pub fn answer(reply: &v1::DescribeReply) -> Option<Answer> {
    let group = match &reply.group {
        None => None,
        Some(group) => Some(KnownGroup {
            raft_cluster: ClusterId::from_wire(group.raft_cluster)?,
            replica: ReplicaId::from_wire(group.replica)?,
            leader: ReplicaId::from_wire(group.leader),
            is_founding: group.founding,
        }),
    };
    let place = Some(Place(reply.place)).filter(|place| place.0 != 0)?;
    let peers = reply.peers.iter().map(|peer| (Place(peer.place), peer.address.clone()));
    Some(Answer { place, peers: peers.collect(), group })
}

/// Placement's group as this replica knows it; `live` is empty unless it leads.
pub fn group(
    raft_cluster: ClusterId,
    me: ReplicaId,
    state: &State,
    status: Option<&GroupStatus>,
    live: &BTreeSet<ReplicaId>,
) -> v1::PlacementGroup {
    let members = state.members();
    let peers = status.map(|status| status.peers.as_slice()).unwrap_or_default();
    let replica = |(id, member): (&ReplicaId, &PlacementMember)| v1::PlacementReplica {
        id: id.0,
        place: member.place.0,
        address: member.address.clone(),
        role: role(*id, member, status).into(),
        lag_entries: peers
            .iter()
            .find(|peer| peer.replica == *id)
            .map_or(0, |peer| peer.lag_entries),
        alive: live.contains(id),
    };
    v1::PlacementGroup {
        raft_cluster: raft_cluster.0,
        replica: me.0,
        leader: status.and_then(|status| status.leader).map_or(0, |leader| leader.0),
        founding: members.is_founding(),
        replicas: members.replicas.iter().map(replica).collect(),
        last_replica: members.last,
        invited: members.invited.iter().cloned().collect(),
        cluster: state.topology().map_or(0, |topology| topology.cluster.0),
        recoveries: members.recoveries.iter().map(recovery).collect(),
    }
}

/// The replicas that an answer names, as far as a process needs them that is about to join.
pub fn members(group: &v1::PlacementGroup) -> PlacementMembers {
    let member = |replica: &v1::PlacementReplica| {
        let id = ReplicaId::from_wire(replica.id)?;
        let role = match replica.role() {
            v1::ReplicaRole::Voter => Role::Voter,
            v1::ReplicaRole::Learner => Role::Learner,
            v1::ReplicaRole::Leaving | v1::ReplicaRole::Unspecified => Role::Leaving,
        };
        let (place, address) = (Place(replica.place), replica.address.clone());
        Some((id, PlacementMember { place, address, role, token: 0 }))
    };
    let replicas = group.replicas.iter().filter_map(member).collect();
    PlacementMembers { replicas, last: group.last_replica, ..PlacementMembers::default() }
}

/// Whether a live placement has taken this replica out for good.
pub fn is_removed(me: ReplicaId, raft_cluster: ClusterId, group: &v1::PlacementGroup) -> bool {
    group.raft_cluster == raft_cluster.0
        && group.leader != 0
        && me.0 <= group.last_replica
        && group.replicas.iter().all(|replica| replica.id != me.0)
}

/// What a replica is in force, which follows what it is to be.
fn role(id: ReplicaId, member: &PlacementMember, status: Option<&GroupStatus>) -> v1::ReplicaRole {
    let votes = status.is_some_and(|status| status.members.voters.contains(&id));
    match member.role {
        Role::Leaving => v1::ReplicaRole::Leaving,
        Role::Voter if votes => v1::ReplicaRole::Voter,
        Role::Voter | Role::Learner => v1::ReplicaRole::Learner,
    }
}

fn recovery(recovery: &Recovery) -> v1::PlacementRecovery {
    v1::PlacementRecovery {
        at_s: recovery.at_s,
        by: recovery.by.clone(),
        nodes: recovery.nodes.clone(),
        epoch_found: recovery.epoch_found.0,
        epoch: recovery.epoch.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_comes_back_as_it_was_sent() {
        let peers = Peers::from([(Place(1), "a:1".to_owned()), (Place(2), "b:1".to_owned())]);
        let state = State::founded(Place(1), &peers);
        let group = group(ClusterId(7), ReplicaId(1), &state, None, &BTreeSet::new());
        assert_eq!(members(&group).address(ReplicaId(1)), Some("a:1"));
        let answer = answer(&reply(Place(1), &peers, Some(group))).expect("no id is 0");
        assert_eq!((answer.place, &answer.peers), (Place(1), &peers));
        let known = answer.group.expect("not empty");
        assert_eq!((known.raft_cluster, known.replica), (ClusterId(7), ReplicaId(1)));
        assert!(known.is_founding && known.leader.is_none());
    }

    #[test]
    fn a_replica_is_removed_only_by_the_word_of_a_placement_that_has_a_leader() {
        let state = State::founded(Place(1), &Peers::from([(Place(1), "a:1".to_owned())]));
        let mut group = group(ClusterId(7), ReplicaId(1), &state, None, &BTreeSet::new());
        group.last_replica = 5;
        assert!(!is_removed(ReplicaId(4), ClusterId(7), &group), "no leader");
        group.leader = 1;
        assert!(is_removed(ReplicaId(4), ClusterId(7), &group));
        assert!(!is_removed(ReplicaId(1), ClusterId(7), &group), "a member");
        assert!(!is_removed(ReplicaId(6), ClusterId(7), &group), "newer than the answer");
        assert!(!is_removed(ReplicaId(4), ClusterId(8), &group), "another placement");
    }
}
