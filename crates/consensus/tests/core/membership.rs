//! Changes of members that are made, and those that are refused.

use bytes::Bytes;
use ringkv_consensus::{Done, RequestError};
use ringkv_topology::Epoch;

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

const DONE: Option<Result<Done, RequestError>> = Some(Ok(Done::Applied(Bytes::new())));
const AT_RISK: Option<Result<Done, RequestError>> = Some(Err(RequestError::QuorumAtRisk));
const REJECTED: Option<Result<Done, RequestError>> = Some(Err(RequestError::ChangeRejected));

#[test]
fn a_learner_gets_everything_and_counts_for_nothing() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.propose(leader, GROUP, "before");
    cluster.newcomer(4);
    let ticket = cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    assert_eq!(cluster.result(leader, ticket), DONE);
    assert_eq!(cluster.commands(4, GROUP), ["before"]);
    let installed = cluster.nodes[&4].poller.counters().snapshots_installed;
    assert_eq!(installed, 1, "what stands before the first entry comes by snapshot");
    // With both other voters away the learner's acknowledgement commits nothing.
    for other in (1..=3).filter(|n| *n != leader) {
        cluster.cut.extend([(leader, other), (other, leader)]);
    }
    let alone = cluster.propose(leader, GROUP, "alone");
    cluster.run(3);
    assert_eq!(cluster.result(leader, alone), None);
}

#[test]
fn a_second_change_while_one_is_pending_is_refused() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.node(leader).hold_log = true;
    let first = cluster.change(leader, members_change(1, &[], &[4], &[]));
    let second = cluster.change(leader, members_change(2, &[], &[5], &[]));
    assert_eq!(cluster.result(leader, second), REJECTED);
    cluster.release_log(leader);
    cluster.run(5);
    assert_eq!(cluster.result(leader, first), DONE);
}

#[test]
fn a_follower_refuses_a_change_and_names_the_leader() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let follower = leader % 3 + 1;
    let ticket = cluster.change(follower, members_change(1, &[], &[4], &[]));
    let result = cluster.result(follower, ticket);
    assert!(
        matches!(result, Some(Err(RequestError::NotLeader { leader: Some(at) })) if at.0 == leader)
    );
}

/// A leader with an old view of the group cannot bring a removed replica back.
#[test]
fn a_change_of_an_epoch_that_is_not_newer_is_refused() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let leaving = leader % 3 + 1;
    cluster.change(leader, members_change(7, &[], &[], &[leaving]));
    cluster.run(3);
    assert_eq!(cluster.members(leader).epoch, Epoch(7));
    for epoch in [6, 7] {
        let back = cluster.change(leader, members_change(epoch, &[leaving], &[], &[]));
        assert_eq!(cluster.result(leader, back), REJECTED, "before it is proposed");
    }
    assert!(!cluster.members(leader).is_voter(replica(1, leaving)));
}

#[test]
fn the_removal_of_a_replica_that_is_no_member_notes_the_epoch() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let before = cluster.members(leader);
    let ticket = cluster.change(leader, members_change(3, &[], &[], &[9]));
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), DONE);
    let after = cluster.members(leader);
    assert_eq!((after.epoch, &after.voters), (Epoch(3), &before.voters));
}

#[test]
fn a_change_of_nothing_is_refused() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let ticket = cluster.change(leader, members_change(3, &[], &[], &[]));
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), REJECTED);
}

fn cut_off(cluster: &mut TestCluster, node: u64) {
    cluster.cut.extend((1..=4).flat_map(|other| [(node, other), (other, node)]));
}

#[test]
fn a_change_that_would_leave_no_live_majority_is_not_proposed() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let (live, dead) = (leader % 3 + 1, (leader + 1) % 3 + 1);
    cut_off(&mut cluster, dead);
    cluster.run(30);
    let last = cluster.status(leader, GROUP).expect("there").last_index;
    let ticket = cluster.change(leader, members_change(1, &[], &[], &[live]));
    assert_eq!(cluster.result(leader, ticket), AT_RISK);
    assert_eq!(cluster.status(leader, GROUP).expect("there").last_index, last);
    let ticket = cluster.change(leader, members_change(1, &[], &[], &[dead]));
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), DONE, "the dead one may go");
}

/// raft-rs counts a new replica as active until it has had the time to answer.
#[test]
fn a_learner_that_has_never_answered_does_not_become_a_voter() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.change(leader, members_change(1, &[], &[2], &[]));
    cluster.settle();
    let ticket = cluster.change(leader, members_change(2, &[2], &[], &[]));
    assert_eq!(cluster.result(leader, ticket), AT_RISK);
    cluster.newcomer(2);
    cluster.run(20);
    let ticket = cluster.change(leader, members_change(2, &[2], &[], &[]));
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), DONE);
}

#[test]
fn a_learner_that_is_far_behind_does_not_become_a_voter() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    cluster.node(4).hold_log = true;
    for i in 0..1_001 {
        cluster.propose(leader, GROUP, format!("{i}"));
        cluster.settle();
    }
    let ticket = cluster.change(leader, members_change(2, &[4], &[], &[]));
    assert_eq!(cluster.result(leader, ticket), AT_RISK);
    cluster.release_log(4);
    cluster.run(3);
    let ticket = cluster.change(leader, members_change(2, &[4], &[], &[]));
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), DONE);
}
