//! Elections, commands and reads in an undisturbed and a disturbed cluster.

use bytes::Bytes;
use ringkv_consensus::{Done, Input, RequestError, Role};
use ringkv_topology::{GroupId, NodeId};

use crate::test_cluster::{GROUP, TestCluster};

#[test]
fn a_command_is_applied_on_every_replica_and_answered_with_its_result() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let ticket = cluster.propose(leader, GROUP, "hello");
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), Some(Ok(Done::Applied("hello".into()))));
    for node in 1..=3 {
        assert_eq!(cluster.commands(node, GROUP), ["hello"], "node {node}");
    }
}

#[test]
fn a_group_of_one_commits_alone_and_only_after_its_fsync() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.nodes.get_mut(&leader).expect("runs").hold_log = true;
    let ticket = cluster.propose(leader, GROUP, "x");
    cluster.settle();
    assert_eq!(cluster.result(leader, ticket), None, "nothing is acknowledged before its fsync");
    cluster.release_log(leader);
    assert_eq!(cluster.result(leader, ticket), Some(Ok(Done::Applied("x".into()))));
    let read = cluster.read(leader, GROUP);
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)));
}

#[test]
fn commands_that_arrive_during_a_log_write_share_one_entry() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.nodes.get_mut(&leader).expect("runs").hold_log = true;
    cluster.propose(leader, GROUP, "first");
    let before = cluster.status(leader, GROUP).expect("there").last_index;
    for i in 0..50 {
        cluster.propose(leader, GROUP, format!("{i}"));
    }
    cluster.release_log(leader);
    cluster.run(2);
    let after = cluster.status(leader, GROUP).expect("there").last_index;
    assert_eq!(after, before.next());
    assert_eq!(cluster.commands(leader, GROUP).len(), 51);
}

#[test]
fn one_log_batch_and_one_frame_a_peer_carry_many_groups() {
    let mut cluster = TestCluster::new(3, 20, |_| ());
    for group in 1..=20 {
        cluster.input(1, Input::Campaign { group: GroupId(group) });
    }
    cluster.settle();
    cluster.run(5);
    assert_eq!(cluster.leaders(GroupId(20)), [1]);
    let node = cluster.nodes.get_mut(&1).expect("runs");
    node.hold_log = true;
    cluster.propose(1, GroupId(1), "opens the batch");
    for group in 2..=20 {
        cluster.propose(1, GroupId(group), "x");
    }
    let sent = cluster.trace.len();
    let batches = cluster.nodes[&1].batches.len();
    cluster.release_log(1);
    let batch = &cluster.nodes[&1].batches[batches];
    assert_eq!(batch.groups.len(), 19, "every group that waited is in the next batch");
    assert!(batch.sync);
    let appends = cluster.trace[sent..].iter().filter(|(from, to, _)| (*from, *to) == (1, 2));
    assert_eq!(appends.count(), 1, "and all their appends to a node in one frame");
}

#[test]
fn a_new_leader_takes_over_and_keeps_every_acknowledged_command() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let old = cluster.elect(GROUP);
    let ticket = cluster.propose(old, GROUP, "kept");
    cluster.run(2);
    assert!(matches!(cluster.result(old, ticket), Some(Ok(Done::Applied(_)))));
    let stopped = cluster.crash(old);
    let new = cluster.elect(GROUP);
    assert_ne!(new, old);
    cluster.propose(new, GROUP, "later");
    cluster.run(2);
    cluster.restart(old, stopped);
    cluster.run(30);
    for node in 1..=3 {
        assert_eq!(cluster.commands(node, GROUP), ["kept", "later"], "node {node}");
    }
}

#[test]
fn a_leader_that_is_cut_off_steps_down_and_says_that_the_outcome_is_unknown() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let old = cluster.elect(GROUP);
    for other in (1..=3).filter(|n| *n != old) {
        cluster.cut.extend([(old, other), (other, old)]);
    }
    let lost = cluster.propose(old, GROUP, "lost");
    cluster.run(40);
    assert_eq!(cluster.result(old, lost), Some(Err(RequestError::LeadershipLost)));
    let refused = cluster.propose(old, GROUP, "refused");
    assert!(matches!(cluster.result(old, refused), Some(Err(RequestError::NotLeader { .. }))));
    cluster.cut.clear();
    cluster.run(40);
    for node in 1..=3 {
        assert_eq!(cluster.commands(node, GROUP), Vec::<Bytes>::new(), "node {node}");
    }
}

#[test]
fn leadership_is_handed_over_on_request_and_on_retirement() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let old = cluster.elect(GROUP);
    let next = old % 3 + 1;
    cluster.input(old, Input::TransferLeader { group: GROUP, to: NodeId(next) });
    cluster.run(3);
    assert_eq!(cluster.leaders(GROUP), [next]);
    cluster.input(next, Input::Retire);
    cluster.run(3);
    let leaders = cluster.leaders(GROUP);
    assert_eq!(leaders.len(), 1);
    assert_ne!(leaders, [next]);
    let refused = cluster.propose(next, GROUP, "x");
    assert_eq!(cluster.result(next, refused), Some(Err(RequestError::ShuttingDown)));
}

#[test]
fn a_partial_partition_leaves_one_stable_leader_and_its_term() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let term = cluster.status(leader, GROUP).expect("there").term;
    // The two followers cannot see each other; both see the leader.
    let followers: Vec<u64> = (1..=3).filter(|n| *n != leader).collect();
    cluster.cut.extend([(followers[0], followers[1]), (followers[1], followers[0])]);
    cluster.run(200);
    // One follower loses the leader and comes back: pre-vote keeps the term.
    cluster.cut.extend([(leader, followers[0]), (followers[0], leader)]);
    cluster.run(100);
    cluster.cut.clear();
    cluster.run(20);
    let status = cluster.status(leader, GROUP).expect("there");
    assert_eq!((status.role, status.term), (Role::Leader, term));
}

#[test]
fn a_request_for_a_group_that_is_not_here_is_refused() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    let ticket = cluster.propose(1, GroupId(9), "x");
    assert_eq!(cluster.result(1, ticket), Some(Err(RequestError::NoGroup)));
}
