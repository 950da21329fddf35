//! Removed and isolated replicas, which must not disturb the others.

use ringkv_consensus::{Input, Term};
use ringkv_topology::NodeId;

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

fn cut_off(cluster: &mut TestCluster, node: u64) {
    for other in (1..=9).filter(|other| *other != node) {
        cluster.cut.extend([(node, other), (other, node)]);
    }
}

fn term(cluster: &TestCluster, node: u64) -> Term {
    cluster.status(node, GROUP).expect("there").term
}

/// The leader leads on in its term, and the node here has begun none.
fn assert_undisturbed(cluster: &TestCluster, leader: u64, before: Term, node: u64) {
    assert_eq!(cluster.leaders(GROUP), [leader]);
    assert_eq!((term(cluster, leader), term(cluster, node)), (before, before));
}

/// It has the entry that removes it, and does not know that it is committed.
#[test]
fn a_removed_replica_that_stands_for_election_disturbs_no_other() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let before = term(&cluster, leader);
    let removed = leader % 3 + 1;
    cluster.change(leader, members_change(1, &[], &[], &[removed]));
    cluster.deliver(leader, removed);
    cut_off(&mut cluster, removed);
    cluster.run(5);
    assert!(!cluster.members(leader).is_voter(replica(1, removed)));
    assert!(cluster.members(removed).is_voter(replica(1, removed)), "it does not know");
    cluster.cut.clear();
    for _ in 0..5 {
        cluster.run(40);
        cluster.input(removed, Input::Campaign { group: GROUP });
    }
    assert!(cluster.nodes[&removed].poller.counters().elections > 0, "it does stand");
    assert_undisturbed(&cluster, leader, before, removed);
    let stopped = cluster.crash(removed);
    cluster.restart(removed, stopped);
    cluster.run(100);
    assert_undisturbed(&cluster, leader, before, removed);
    let ticket = cluster.propose(leader, GROUP, "on");
    cluster.run(3);
    assert!(cluster.result(leader, ticket).is_some_and(|result| result.is_ok()));
}

#[test]
fn a_voter_that_was_cut_off_comes_back_without_an_election() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let before = term(&cluster, leader);
    let away = leader % 3 + 1;
    cut_off(&mut cluster, away);
    cluster.run(100);
    cluster.propose(leader, GROUP, "meanwhile");
    cluster.run(3);
    cluster.cut.clear();
    cluster.run(40);
    assert_undisturbed(&cluster, leader, before, away);
    assert_eq!(cluster.commands(away, GROUP), ["meanwhile"]);
}

#[test]
fn a_learner_that_is_cut_off_never_stands() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    let before = term(&cluster, leader);
    cut_off(&mut cluster, 4);
    cluster.run(100);
    cluster.input(4, Input::Campaign { group: GROUP });
    cluster.run(3);
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(cluster.nodes[&4].poller.counters().elections, 0);
    assert_undisturbed(&cluster, leader, before, 4);
    cluster.input(leader, Input::TransferLeader { group: GROUP, to: NodeId(4) });
    cluster.run(10);
    assert_undisturbed(&cluster, leader, before, 4);
}

/// It may even win: the others may not know of its removal. Then it steps down by itself.
#[test]
fn the_members_elect_a_leader_in_spite_of_a_removed_replica() {
    let mut cluster = TestCluster::new(5, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let removed = leader % 5 + 1;
    cluster.change(leader, members_change(1, &[], &[], &[removed]));
    cluster.deliver(leader, removed);
    cut_off(&mut cluster, removed);
    cluster.run(5);
    cluster.crash(leader);
    cluster.cut.clear();
    for _ in 0..10 {
        cluster.run(10);
        cluster.input(removed, Input::Campaign { group: GROUP });
    }
    let leaders = cluster.leaders(GROUP);
    assert!(leaders.len() == 1 && leaders != [removed], "{leaders:?}");
    let ticket = cluster.propose(leaders[0], GROUP, "on");
    cluster.run(3);
    assert!(cluster.result(leaders[0], ticket).is_some_and(|result| result.is_ok()));
}
