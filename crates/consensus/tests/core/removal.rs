//! Replicas that leave their group: leaders among them, and groups that shrink to one voter.

use ringkv_consensus::{Input, RequestError, Role};
use ringkv_topology::NodeId;

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

#[test]
fn a_leader_refuses_a_change_that_removes_or_demotes_it() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    for change in [members_change(1, &[], &[], &[leader]), members_change(2, &[], &[leader], &[])] {
        let ticket = cluster.change(leader, change);
        cluster.run(3);
        assert_eq!(cluster.result(leader, ticket), Some(Err(RequestError::ChangeRejected)));
    }
    assert_eq!(cluster.leaders(GROUP), [leader]);
    assert!(cluster.members(leader).is_voter(replica(1, leader)));
}

/// Three voters; the second one leads while the change that removes it, proposed by the first, is in
/// its log and not committed. Returns the first, the second and the third.
fn led_by_the_removed() -> (TestCluster, [u64; 3]) {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let first = cluster.elect(GROUP);
    let (second, third) = (first % 3 + 1, (first + 1) % 3 + 1);
    cluster.node(first).hold_log = true;
    cluster.cut.insert((third, first));
    cluster.change(first, members_change(1, &[], &[], &[second]));
    cluster.settle();
    cluster.input(first, Input::TransferLeader { group: GROUP, to: NodeId(second) });
    cluster.deliver(first, second);
    cluster.deliver(second, third);
    cluster.deliver(third, second);
    let status = cluster.status(second, GROUP).expect("there");
    assert!(status.role == Role::Leader && status.members.is_voter(replica(1, second)));
    (cluster, [first, second, third])
}

/// raft-rs looks for the progress of the leader when its own entries are durable, and panics.
#[test]
fn a_leader_steps_down_when_it_applies_its_removal_and_serves_nothing_more() {
    let (mut cluster, [first, second, third]) = led_by_the_removed();
    cluster.node(second).hold_log = true;
    let queued = cluster.propose(second, GROUP, "late");
    let read = cluster.read(second, GROUP);
    cluster.cut.clear();
    cluster.release_log(first);
    cluster.settle();
    let applied = &cluster.nodes[&second].machine[&GROUP].0;
    assert!(!applied.members.is_voter(replica(1, second)));
    assert_eq!(cluster.status(second, GROUP).expect("there").role, Role::Follower);
    assert_eq!(cluster.result(second, read), Some(Err(RequestError::NotLeader { leader: None })));
    assert_eq!(cluster.result(second, queued), Some(Err(RequestError::LeadershipLost)));
    let late = cluster.propose(second, GROUP, "later");
    assert!(cluster.result(second, late).is_some_and(|result| result.is_err()));
    cluster.release_log(second);
    cluster.run(60);
    let leaders = cluster.leaders(GROUP);
    assert!(leaders == [first] || leaders == [third], "{leaders:?}");
    let ticket = cluster.propose(leaders[0], GROUP, "on");
    cluster.run(3);
    assert!(cluster.result(leaders[0], ticket).is_some_and(|result| result.is_ok()));
}

/// raft-rs makes the only voter the leader at once, and panics if its log is not durable whole.
#[test]
fn the_only_voter_stands_when_its_tail_is_durable_and_not_before() {
    let mut cluster = TestCluster::new(2, 1, |_| ());
    let sole = cluster.elect(GROUP);
    let removed = 3 - sole;
    cluster.node(sole).hold_log = true;
    cluster.change(sole, members_change(1, &[], &[], &[removed]));
    cluster.settle();
    cluster.input(sole, Input::TransferLeader { group: GROUP, to: NodeId(removed) });
    cluster.settle();
    cluster.release_log(sole);
    // The vote, the first entry of the new leader, and its acknowledgement, which stays under way.
    cluster.deliver(sole, removed);
    assert_eq!(cluster.status(removed, GROUP).expect("there").role, Role::Leader);
    cluster.deliver(removed, sole);
    cluster.node(sole).hold_log = true;
    cluster.propose(removed, GROUP, "tail");
    cluster.deliver(removed, sole);
    cluster.deliver(sole, removed);
    cluster.deliver(removed, sole);
    let applied = &cluster.nodes[&sole].machine[&GROUP].0;
    assert_eq!(applied.members.voters, [replica(1, sole)]);
    cluster.run(40);
    assert_eq!(cluster.status(sole, GROUP).expect("there").role, Role::Follower);
    cluster.release_log(sole);
    cluster.run(40);
    assert_eq!(cluster.leaders(GROUP), [sole]);
    assert_eq!(cluster.commands(sole, GROUP), ["tail"], "the tail commits with the new term");
}

/// With one voter the next one comes first, so that there is a majority at every step.
#[test]
fn the_only_voter_is_replaced_by_way_of_two() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    cluster.elect(GROUP);
    cluster.propose(1, GROUP, "kept");
    cluster.newcomer(2);
    for change in [members_change(1, &[], &[2], &[]), members_change(2, &[2], &[], &[])] {
        let ticket = cluster.change(1, change);
        cluster.run(20);
        assert!(cluster.result(1, ticket).is_some_and(|result| result.is_ok()));
    }
    cluster.input(1, Input::TransferLeader { group: GROUP, to: NodeId(2) });
    cluster.run(3);
    let ticket = cluster.change(2, members_change(3, &[], &[], &[1]));
    cluster.run(3);
    assert!(cluster.result(2, ticket).is_some_and(|result| result.is_ok()));
    cluster.input(1, Input::Destroy { group: GROUP, replica: replica(1, 1) });
    let ticket = cluster.propose(2, GROUP, "on");
    cluster.run(3);
    assert!(cluster.result(2, ticket).is_some_and(|result| result.is_ok()));
    assert_eq!(cluster.commands(2, GROUP), ["kept", "on"]);
}

/// The removed replica is destroyed once its removal is reported, and cannot vote any more.
#[test]
fn a_crash_does_not_bring_back_the_members_of_before_a_reported_removal() {
    let mut cluster = TestCluster::new(2, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let removed = 3 - leader;
    let before = cluster.nodes[&leader].machine.clone();
    cluster.node(leader).hold_apply = true;
    cluster.change(leader, members_change(1, &[], &[], &[removed]));
    cluster.settle();
    assert_eq!(cluster.members(leader).voters, [replica(1, leader)], "no tick has come since");
    cluster.crash(removed);
    let mut stopped = cluster.crash(leader);
    stopped.machine = before;
    cluster.restart(leader, stopped);
    cluster.run(60);
    assert_eq!(cluster.leaders(GROUP), [leader]);
}
