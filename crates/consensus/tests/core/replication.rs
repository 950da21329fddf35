//! Elections, commands and reads in an undisturbed and a disturbed cluster.

use bytes::Bytes;
use ringkv_consensus::{Done, Input, Refusal, Role};
use ringkv_topology::{GroupId, NodeId};

use crate::lab::{GROUP, Lab};

#[test]
fn a_command_is_applied_on_every_replica_and_answered_with_its_outcome() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let ticket = lab.propose(leader, GROUP, "hello");
    lab.run(3);
    assert_eq!(lab.result(leader, ticket), Some(Ok(Done::Applied("hello".into()))));
    for node in 1..=3 {
        assert_eq!(lab.commands(node, GROUP), ["hello"], "node {node}");
    }
}

#[test]
fn a_group_of_one_commits_alone_and_only_after_its_fsync() {
    let mut lab = Lab::new(1, 1, |_| ());
    let leader = lab.elect(GROUP);
    lab.nodes.get_mut(&leader).expect("runs").hold_log = true;
    let ticket = lab.propose(leader, GROUP, "x");
    lab.settle();
    assert_eq!(lab.result(leader, ticket), None, "nothing is acknowledged before its fsync");
    lab.release_log(leader);
    assert_eq!(lab.result(leader, ticket), Some(Ok(Done::Applied("x".into()))));
    let read = lab.read(leader, GROUP);
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)));
}

#[test]
fn commands_that_arrive_during_a_log_write_share_one_entry() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    lab.nodes.get_mut(&leader).expect("runs").hold_log = true;
    lab.propose(leader, GROUP, "first");
    let before = lab.status(leader, GROUP).expect("there").last_index;
    for i in 0..50 {
        lab.propose(leader, GROUP, format!("{i}"));
    }
    lab.release_log(leader);
    lab.run(2);
    let after = lab.status(leader, GROUP).expect("there").last_index;
    assert_eq!(after, before.next());
    assert_eq!(lab.commands(leader, GROUP).len(), 51);
}

#[test]
fn one_log_batch_and_one_frame_a_peer_carry_many_groups() {
    let mut lab = Lab::new(3, 20, |_| ());
    for group in 1..=20 {
        lab.input(1, Input::Campaign { group: GroupId(group) });
    }
    lab.settle();
    lab.run(5);
    assert_eq!(lab.leaders(GroupId(20)), [1]);
    let node = lab.nodes.get_mut(&1).expect("runs");
    node.hold_log = true;
    lab.propose(1, GroupId(1), "opens the batch");
    for group in 2..=20 {
        lab.propose(1, GroupId(group), "x");
    }
    let sent = lab.trace.len();
    let batches = lab.nodes[&1].batches.len();
    lab.release_log(1);
    let batch = &lab.nodes[&1].batches[batches];
    assert_eq!(batch.groups.len(), 19, "every group that waited is in the next batch");
    assert!(batch.sync);
    let appends = lab.trace[sent..].iter().filter(|(from, to, _)| (*from, *to) == (1, 2));
    assert_eq!(appends.count(), 1, "and all their appends to a node in one frame");
}

#[test]
fn a_new_leader_takes_over_and_keeps_every_acknowledged_command() {
    let mut lab = Lab::new(3, 1, |_| ());
    let old = lab.elect(GROUP);
    let ticket = lab.propose(old, GROUP, "kept");
    lab.run(2);
    assert!(matches!(lab.result(old, ticket), Some(Ok(Done::Applied(_)))));
    let stopped = lab.crash(old);
    let new = lab.elect(GROUP);
    assert_ne!(new, old);
    lab.propose(new, GROUP, "later");
    lab.run(2);
    lab.restart(old, stopped);
    lab.run(30);
    for node in 1..=3 {
        assert_eq!(lab.commands(node, GROUP), ["kept", "later"], "node {node}");
    }
}

#[test]
fn a_leader_that_is_cut_off_steps_down_and_says_that_the_outcome_is_unknown() {
    let mut lab = Lab::new(3, 1, |_| ());
    let old = lab.elect(GROUP);
    for other in (1..=3).filter(|n| *n != old) {
        lab.cut.extend([(old, other), (other, old)]);
    }
    let lost = lab.propose(old, GROUP, "lost");
    lab.run(40);
    assert_eq!(lab.result(old, lost), Some(Err(Refusal::LeadershipLost)));
    let refused = lab.propose(old, GROUP, "refused");
    assert!(matches!(lab.result(old, refused), Some(Err(Refusal::NotLeader { .. }))));
    lab.cut.clear();
    lab.run(40);
    for node in 1..=3 {
        assert_eq!(lab.commands(node, GROUP), Vec::<Bytes>::new(), "node {node}");
    }
}

#[test]
fn leadership_is_handed_over_on_request_and_on_retirement() {
    let mut lab = Lab::new(3, 1, |_| ());
    let old = lab.elect(GROUP);
    let next = old % 3 + 1;
    lab.input(old, Input::TransferLeader { group: GROUP, to: NodeId(next) });
    lab.run(3);
    assert_eq!(lab.leaders(GROUP), [next]);
    lab.input(next, Input::Retire);
    lab.run(3);
    let leaders = lab.leaders(GROUP);
    assert_eq!(leaders.len(), 1);
    assert_ne!(leaders, [next]);
    let refused = lab.propose(next, GROUP, "x");
    assert_eq!(lab.result(next, refused), Some(Err(Refusal::ShuttingDown)));
}

#[test]
fn a_partial_partition_leaves_one_stable_leader_and_its_term() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let term = lab.status(leader, GROUP).expect("there").term;
    // The two followers cannot see each other; both see the leader.
    let followers: Vec<u64> = (1..=3).filter(|n| *n != leader).collect();
    lab.cut.extend([(followers[0], followers[1]), (followers[1], followers[0])]);
    lab.run(200);
    // One follower loses the leader and comes back: pre-vote keeps the term.
    lab.cut.extend([(leader, followers[0]), (followers[0], leader)]);
    lab.run(100);
    lab.cut.clear();
    lab.run(20);
    let status = lab.status(leader, GROUP).expect("there");
    assert_eq!((status.role, status.term), (Role::Leader, term));
}

#[test]
fn a_request_for_a_group_that_is_not_here_is_refused() {
    let mut lab = Lab::new(1, 1, |_| ());
    let ticket = lab.propose(1, GroupId(9), "x");
    assert_eq!(lab.result(1, ticket), Some(Err(Refusal::NoGroup)));
}
