//! Joint configurations: who leaves them, once, and what happens when the leader changes meanwhile.

use ringkv_consensus::{EntryKind, Input, RequestError, Role, Term};
use ringkv_topology::{Epoch, NodeId};

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

/// Three voters and a learner on node 4; returns the leader and the two other voters.
fn with_a_learner() -> (TestCluster, u64, [u64; 2]) {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    assert_eq!(cluster.members(4).learners, [replica(1, 4)]);
    (cluster, leader, [leader % 3 + 1, (leader + 1) % 3 + 1])
}

/// The terms of all changes of members that a node has written to its log.
fn terms_of_changes(cluster: &TestCluster, node: u64) -> Vec<Term> {
    let entries = cluster.nodes[&node].batches.iter().flat_map(|batch| &batch.groups);
    let entries = entries.flat_map(|(_, write)| &write.append);
    let changes = entries.filter(|entry| entry.kind == EntryKind::Members);
    changes.map(|entry| entry.position.term).collect()
}

#[test]
fn a_voter_is_replaced_through_a_joint_configuration_that_is_left_again() {
    let (mut cluster, leader, [leaving, other]) = with_a_learner();
    let before = terms_of_changes(&cluster, leader).len();
    cluster.change(leader, members_change(2, &[4], &[], &[leaving]));
    cluster.run(20);
    let members = cluster.members(leader);
    assert!(!members.is_joint() && members.epoch == Epoch(2), "{members:?}");
    assert!(members.is_voter(replica(1, 4)) && !members.is_voter(replica(1, leaving)));
    assert_eq!(terms_of_changes(&cluster, leader).len(), before + 2, "it is left once");
    // The new majority works without the one that left and one more.
    cluster.crash(leaving);
    cluster.crash(other);
    let ticket = cluster.propose(leader, GROUP, "on");
    cluster.run(5);
    assert!(cluster.result(leader, ticket).is_some_and(|result| result.is_ok()));
}

#[test]
fn no_other_change_is_made_while_the_configuration_is_joint() {
    let (mut cluster, leader, [leaving, other]) = with_a_learner();
    // They were active just now. The next half has no majority from here on.
    cluster.cut.extend([(leader, 4), (leader, other)]);
    cluster.change(leader, members_change(2, &[4], &[], &[leaving]));
    cluster.settle();
    assert!(cluster.members(leader).is_joint());
    let ticket = cluster.change(leader, members_change(3, &[], &[5], &[]));
    assert_eq!(cluster.result(leader, ticket), Some(Err(RequestError::ChangeRejected)));
    cluster.cut.clear();
    cluster.run(10);
    assert!(!cluster.members(leader).is_joint(), "it is left when the others are back");
}

/// The leader that entered it is gone before it could leave it.
#[test]
fn a_new_leader_leaves_a_joint_configuration_that_it_finds() {
    let (mut cluster, leader, [leaving, other]) = with_a_learner();
    cluster.node(leader).hold_apply = true;
    cluster.change(leader, members_change(2, &[4], &[], &[leaving]));
    cluster.run(4);
    let joint = cluster.members(other);
    assert!(joint.is_joint(), "the leader has not applied it: {joint:?}");
    cluster.crash(leader);
    cluster.run(60);
    let members = cluster.members(other);
    assert!(!members.is_joint() && members.epoch == Epoch(2), "{members:?}");
    assert!(!members.is_voter(replica(1, leaving)));
}

#[test]
fn a_leader_that_is_only_in_the_outgoing_half_hands_over_and_does_not_leave_it() {
    let (mut cluster, leader, [leaving, other]) = with_a_learner();
    // The change is in the log of `leaving`, which then leads before it is committed.
    cluster.node(leader).hold_log = true;
    cluster.cut.extend([(other, leader), (4, leader)]);
    cluster.change(leader, members_change(2, &[4], &[], &[leaving]));
    cluster.settle();
    cluster.input(leader, Input::TransferLeader { group: GROUP, to: NodeId(leaving) });
    cluster.deliver(leader, leaving);
    cluster.deliver(leaving, other);
    cluster.deliver(other, leaving);
    let leads = cluster.status(leaving, GROUP).expect("there");
    assert_eq!(leads.role, Role::Leader);
    cluster.cut.clear();
    cluster.release_log(leader);
    cluster.run(40);
    let leaders = cluster.leaders(GROUP);
    assert!(leaders.len() == 1 && leaders != [leaving], "{leaders:?}");
    let members = cluster.members(leaders[0]);
    assert!(!members.is_joint() && !members.is_voter(replica(1, leaving)), "{members:?}");
    let terms = terms_of_changes(&cluster, leaders[0]);
    assert!(terms.last().is_some_and(|left_in| *left_in > leads.term), "{terms:?}");
}
