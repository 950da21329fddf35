//! Replicas whose state is wrong though their log is right.

use bytes::Bytes;
use ringkv_consensus::{Input, Refusal, Role};
use ringkv_topology::NodeId;

use crate::lab::{GROUP, Lab};

/// A cluster with some commands, one replica of which holds one too many.
fn with_a_wrong_state_on(choose: impl Fn(u64) -> u64) -> (Lab, u64, u64) {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    for i in 0..20 {
        lab.propose(leader, GROUP, format!("{i}"));
        lab.run(1);
    }
    let wrong = choose(leader);
    let (_, commands) = lab.node(wrong).machine.get_mut(&GROUP).expect("there");
    commands.push(Bytes::from_static(b"wrong"));
    (lab, leader, wrong)
}

#[test]
fn a_diverged_follower_gets_the_leaders_state_and_all_it_has_acknowledged() {
    let (mut lab, leader, wrong) = with_a_wrong_state_on(|leader| leader % 3 + 1);
    let acknowledged = lab.status(wrong, GROUP).expect("there").last_index;
    lab.input(wrong, Input::Rebuild { group: GROUP });
    lab.propose(leader, GROUP, "meanwhile");
    lab.run(40);
    assert_eq!(lab.commands(wrong, GROUP), lab.commands(leader, GROUP));
    let status = lab.status(wrong, GROUP).expect("there");
    assert!(status.first_index > acknowledged, "a snapshot of less would lose what was promised");
    let counters = lab.nodes[&wrong].poller.counters();
    assert_eq!((counters.replicas_diverged, counters.snapshots_installed), (1, 1));
    lab.propose(leader, GROUP, "after");
    lab.run(3);
    assert_eq!(lab.commands(wrong, GROUP), lab.commands(leader, GROUP), "and goes on");
}

#[test]
fn a_diverged_replica_never_stands_for_election_until_it_is_rebuilt() {
    let (mut lab, leader, wrong) = with_a_wrong_state_on(|leader| leader % 3 + 1);
    let links = |of: u64| (1..=3).flat_map(move |node| [(of, node), (node, of)]);
    lab.snapshots_fail = true;
    lab.input(wrong, Input::Rebuild { group: GROUP });
    lab.cut.extend(links(wrong));
    lab.run(100);
    let alone = lab.status(wrong, GROUP).expect("there");
    assert_eq!((alone.role, lab.nodes[&wrong].poller.counters().elections), (Role::Follower, 0));
    lab.cut = links(leader).collect();
    lab.run(100);
    let other = 6 - leader - wrong;
    assert_eq!(
        lab.leaders(GROUP).into_iter().filter(|n| *n != leader).collect::<Vec<_>>(),
        [other]
    );
    lab.input(other, Input::TransferLeader { group: GROUP, to: NodeId(wrong) });
    lab.run(30);
    assert_eq!(lab.status(wrong, GROUP).expect("there").role, Role::Follower);
    lab.snapshots_fail = false;
    lab.cut.clear();
    lab.run(40);
    assert_eq!(lab.commands(wrong, GROUP), lab.commands(other, GROUP), "asks until it is rebuilt");
    lab.input(other, Input::TransferLeader { group: GROUP, to: NodeId(wrong) });
    lab.run(30);
    assert_eq!(lab.leaders(GROUP), [wrong], "it may lead again");
}

#[test]
fn a_diverged_leader_serves_nothing_more_and_hands_over() {
    let (mut lab, leader, wrong) = with_a_wrong_state_on(|leader| leader);
    let others: Vec<u64> = (1..=3).filter(|node| *node != leader).collect();
    lab.cut.extend(others.iter().flat_map(|other| [(leader, *other), (*other, leader)]));
    let waiting = (lab.propose(leader, GROUP, "under way"), lab.read(leader, GROUP));
    lab.input(wrong, Input::Rebuild { group: GROUP });
    let late = (lab.propose(leader, GROUP, "late"), lab.read(leader, GROUP));
    let refused = Some(Err(Refusal::NotLeader { leader: None }));
    assert_eq!(lab.result(leader, waiting.0), Some(Err(Refusal::LeadershipLost)), "may apply");
    for ticket in [waiting.1, late.0, late.1] {
        assert_eq!(lab.result(leader, ticket), refused);
    }
    lab.cut.clear();
    lab.run(100);
    let now = lab.leaders(GROUP);
    assert!(now.len() == 1 && now[0] != wrong, "{now:?}");
    assert_eq!(lab.commands(wrong, GROUP), lab.commands(now[0], GROUP));
    assert_eq!(lab.nodes[&wrong].poller.counters().replicas_diverged, 1);
}

/// raft-rs goes on asking a new leader for an index that only the old one's entries had.
#[test]
fn a_wish_for_a_snapshot_ends_with_its_term() {
    let mut lab = Lab::new(5, 1, |_| ());
    let leader = lab.elect(GROUP);
    lab.run(5);
    let wrong = leader % 5 + 1;
    let others = (1..=5).filter(|node| *node != leader && *node != wrong);
    lab.cut.extend(others.flat_map(|other| [(leader, other), (other, leader)]));
    for command in ["never", "to", "commit"] {
        lab.propose(leader, GROUP, command);
        lab.settle();
    }
    lab.input(wrong, Input::Rebuild { group: GROUP });
    lab.settle();
    lab.cut.extend([(leader, wrong), (wrong, leader)]);
    lab.run(60);
    let now = lab.leaders(GROUP).into_iter().find(|node| *node != leader).expect("elected");
    assert_eq!(lab.nodes[&wrong].poller.counters().snapshots_installed, 1);
    assert_eq!(lab.commands(wrong, GROUP), lab.commands(now, GROUP));
}
