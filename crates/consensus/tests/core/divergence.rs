//! Replicas whose state is wrong though their log is right.

use bytes::Bytes;
use ringkv_consensus::{Input, RequestError, Role};
use ringkv_topology::NodeId;

use crate::test_cluster::{GROUP, TestCluster};

/// A cluster with some commands, one replica of which holds one too many.
fn with_a_wrong_state_on(choose: impl Fn(u64) -> u64) -> (TestCluster, u64, u64) {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    for i in 0..20 {
        cluster.propose(leader, GROUP, format!("{i}"));
        cluster.run(1);
    }
    let wrong = choose(leader);
    let (_, commands) = cluster.node(wrong).machine.get_mut(&GROUP).expect("there");
    commands.push(Bytes::from_static(b"wrong"));
    (cluster, leader, wrong)
}

#[test]
fn a_diverged_follower_gets_the_leaders_state_and_all_it_has_acknowledged() {
    let (mut cluster, leader, wrong) = with_a_wrong_state_on(|leader| leader % 3 + 1);
    let acknowledged = cluster.status(wrong, GROUP).expect("there").last_index;
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    cluster.propose(leader, GROUP, "meanwhile");
    cluster.run(40);
    assert_eq!(cluster.commands(wrong, GROUP), cluster.commands(leader, GROUP));
    let status = cluster.status(wrong, GROUP).expect("there");
    assert!(status.first_index > acknowledged, "a snapshot of less would lose what was promised");
    let counters = cluster.nodes[&wrong].poller.counters();
    assert_eq!((counters.replicas_diverged, counters.snapshots_installed), (1, 1));
    cluster.propose(leader, GROUP, "after");
    cluster.run(3);
    assert_eq!(cluster.commands(wrong, GROUP), cluster.commands(leader, GROUP), "and goes on");
}

/// A snapshot of an earlier rebuild may arrive late. raft-rs takes any that is not behind the commit
/// index while one is asked for (`restore`, raft.rs:2602), and would drop what was acknowledged since.
#[test]
fn a_diverged_replica_refuses_a_snapshot_of_less_than_it_has_acknowledged() {
    let (mut cluster, leader, wrong) = with_a_wrong_state_on(|leader| leader % 3 + 1);
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    cluster.run(40);
    let late = cluster.received.clone().expect("rebuilt");
    let before = cluster.status(wrong, GROUP).expect("there");
    assert_eq!(late.applied.position.index, before.commit_index, "raft-rs would take it");

    let other = 6 - leader - wrong;
    cluster.cut.extend([(leader, other), (other, leader), (wrong, leader)]);
    cluster.propose(leader, GROUP, "acknowledged");
    cluster.settle();
    let acknowledged = cluster.status(wrong, GROUP).expect("there").last_index;
    assert!(acknowledged > before.last_index);
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    cluster.input(wrong, Input::SnapshotReceived(late.clone()));
    assert_eq!(cluster.status(wrong, GROUP).expect("there").last_index, acknowledged);
    assert!(cluster.nodes[&wrong].discards.contains(&late.id), "its files go");

    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(cluster.commands(wrong, GROUP), cluster.commands(leader, GROUP));
    assert_eq!(cluster.nodes[&wrong].poller.counters().snapshots_installed, 2, "and is rebuilt");
}

#[test]
fn a_diverged_replica_never_stands_for_election_until_it_is_rebuilt() {
    let (mut cluster, leader, wrong) = with_a_wrong_state_on(|leader| leader % 3 + 1);
    let links = |of: u64| (1..=3).flat_map(move |node| [(of, node), (node, of)]);
    cluster.snapshots_fail = true;
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    cluster.cut.extend(links(wrong));
    cluster.run(100);
    let alone = cluster.status(wrong, GROUP).expect("there");
    assert_eq!(
        (alone.role, cluster.nodes[&wrong].poller.counters().elections),
        (Role::Follower, 0)
    );
    cluster.cut = links(leader).collect();
    cluster.run(100);
    let other = 6 - leader - wrong;
    assert_eq!(
        cluster.leaders(GROUP).into_iter().filter(|n| *n != leader).collect::<Vec<_>>(),
        [other]
    );
    cluster.input(other, Input::TransferLeader { group: GROUP, to: NodeId(wrong) });
    cluster.run(30);
    assert_eq!(cluster.status(wrong, GROUP).expect("there").role, Role::Follower);
    cluster.snapshots_fail = false;
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(
        cluster.commands(wrong, GROUP),
        cluster.commands(other, GROUP),
        "asks until it is rebuilt"
    );
    cluster.input(other, Input::TransferLeader { group: GROUP, to: NodeId(wrong) });
    cluster.run(30);
    assert_eq!(cluster.leaders(GROUP), [wrong], "it may lead again");
}

#[test]
fn a_diverged_leader_serves_nothing_more_and_hands_over() {
    let (mut cluster, leader, wrong) = with_a_wrong_state_on(|leader| leader);
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    cluster.cut.extend(others.iter().flat_map(|other| [(leader, *other), (*other, leader)]));
    let waiting = (cluster.propose(leader, GROUP, "under way"), cluster.read(leader, GROUP));
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    let late = (cluster.propose(leader, GROUP, "late"), cluster.read(leader, GROUP));
    let refused = Some(Err(RequestError::NotLeader { leader: None }));
    assert_eq!(
        cluster.result(leader, waiting.0),
        Some(Err(RequestError::LeadershipLost)),
        "may apply"
    );
    for ticket in [waiting.1, late.0, late.1] {
        assert_eq!(cluster.result(leader, ticket), refused);
    }
    cluster.cut.clear();
    cluster.run(100);
    let now = cluster.leaders(GROUP);
    assert!(now.len() == 1 && now[0] != wrong, "{now:?}");
    assert_eq!(cluster.commands(wrong, GROUP), cluster.commands(now[0], GROUP));
    assert_eq!(cluster.nodes[&wrong].poller.counters().replicas_diverged, 1);
}

/// raft-rs goes on asking a new leader for an index that only the old one's entries had.
#[test]
fn a_wish_for_a_snapshot_ends_with_its_term() {
    let mut cluster = TestCluster::new(5, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.run(5);
    let wrong = leader % 5 + 1;
    let others = (1..=5).filter(|node| *node != leader && *node != wrong);
    cluster.cut.extend(others.flat_map(|other| [(leader, other), (other, leader)]));
    for command in ["never", "to", "commit"] {
        cluster.propose(leader, GROUP, command);
        cluster.settle();
    }
    cluster.input(wrong, Input::Rebuild { group: GROUP });
    cluster.settle();
    cluster.cut.extend([(leader, wrong), (wrong, leader)]);
    cluster.run(60);
    let now = cluster.leaders(GROUP).into_iter().find(|node| *node != leader).expect("elected");
    assert_eq!(cluster.nodes[&wrong].poller.counters().snapshots_installed, 1);
    assert_eq!(cluster.commands(wrong, GROUP), cluster.commands(now, GROUP));
}
