//! Reads by lease: when a leader needs no round, and everything that must take that back.

use bytes::Bytes;
use ringkv_consensus::{Done, Genesis, Input, Members, PollerConfig, Role};
use ringkv_topology::{GroupId, NodeId, ReadMode};

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

const LEASE_US: u64 = 400_000;
const START_US: u64 = 1_000_000;

/// Three nodes in lease mode, with a leader; returns it and the two others.
fn leased() -> (TestCluster, u64, [u64; 2]) {
    let mut cluster = TestCluster::new(3, 1, |config| config.lease_us = LEASE_US);
    cluster.boot_us = START_US;
    for node in 1..=3 {
        cluster.input(node, Input::ReadMode(ReadMode::Lease));
    }
    let leader = cluster.elect(GROUP);
    let read = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)), "by a round");
    (cluster, leader, [leader % 3 + 1, (leader + 1) % 3 + 1])
}

fn lease_of(cluster: &TestCluster, node: u64) -> u64 {
    cluster.nodes[&node].leases.get(&GROUP).copied().unwrap_or(0)
}

fn cut_off(cluster: &mut TestCluster, node: u64) {
    for other in (1..=3).filter(|other| *other != node) {
        cluster.cut.extend([(node, other), (other, node)]);
    }
}

#[test]
fn reads_need_no_round_until_the_lease_ends() {
    let (mut cluster, leader, _) = leased();
    assert_eq!(lease_of(&cluster, leader), START_US + LEASE_US);
    cut_off(&mut cluster, leader);
    cluster.boot_us = START_US + LEASE_US - 1;
    let read = cluster.read(leader, GROUP);
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)));
    cluster.boot_us = START_US + LEASE_US;
    let late = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, late), None, "it waits for a round");
}

#[test]
fn by_read_index_there_is_no_lease() {
    let (mut cluster, leader, _) = leased();
    cluster.input(leader, Input::ReadMode(ReadMode::ReadIndex));
    assert_eq!(lease_of(&cluster, leader), 0);
    cut_off(&mut cluster, leader);
    let read = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, read), None);
}

#[test]
fn an_offer_of_leadership_takes_the_lease_back_for_the_term() {
    let (mut cluster, leader, [other, _]) = leased();
    cluster.input(leader, Input::TransferLeader { group: GROUP, to: NodeId(other) });
    assert_eq!(lease_of(&cluster, leader), 0, "before the offer can arrive");
    // The offer is lost, the term goes on.
    cluster.wire.clear();
    cluster.boot_us += 1;
    cluster.run(30);
    assert_eq!(cluster.leaders(GROUP), [leader]);
    let read = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)), "by a round");
    assert_eq!(lease_of(&cluster, leader), 0);
}

#[test]
fn a_change_of_members_takes_the_lease_back() {
    let (mut cluster, leader, [other, _]) = leased();
    let ticket = cluster.change(leader, members_change(1, &[], &[], &[other]));
    cluster.settle();
    assert!(cluster.result(leader, ticket).is_some_and(|result| result.is_ok()));
    assert_eq!(lease_of(&cluster, leader), 0);
    cluster.boot_us += 1;
    cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(
        lease_of(&cluster, leader),
        START_US + 1 + LEASE_US,
        "by a round of the new members"
    );
}

/// The voters that come have promised nothing: they may elect another leader at once.
#[test]
fn a_replacement_of_the_other_voters_takes_the_lease_back() {
    let (mut cluster, leader, others) = leased();
    for node in [4, 5] {
        cluster.newcomer(node);
    }
    cluster.change(leader, members_change(1, &[], &[4, 5], &[]));
    cluster.run(20);
    cluster.boot_us += 1;
    let read = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)), "by a round");
    assert!(lease_of(&cluster, leader) > 0);
    cluster.change(leader, members_change(2, &[4, 5], &[], &others));
    cluster.settle();
    assert!(cluster.members(leader).voters.contains(&replica(1, 5)));
    assert!(!cluster.members(leader).is_joint());
    assert_eq!(lease_of(&cluster, leader), 0);
    cluster.cut.extend((1..=5).flat_map(|node| [(leader, node), (node, leader)]));
    let late = cluster.read(leader, GROUP);
    assert_eq!(cluster.result(leader, late), None, "it waits for a round of the new members");
}

/// A promise of a replica's last run holds: a lease may count on it.
#[test]
fn a_restarted_replica_gives_no_vote_for_an_election_timeout() {
    let (mut cluster, leader, [forgetful, challenger]) = leased();
    cut_off(&mut cluster, leader);
    tick_until_it_stands(&mut cluster, challenger);
    let stopped = cluster.crash(forgetful);
    cluster.restart(forgetful, stopped);
    for _ in 0..9 {
        cluster.input(forgetful, Input::Campaign { group: GROUP });
        cluster.input(forgetful, Input::Tick);
        cluster.input(challenger, Input::Tick);
        cluster.settle();
        assert_eq!(cluster.leaders(GROUP), [leader]);
    }
    cluster.run(40);
    let leaders = cluster.leaders(GROUP);
    assert!(leaders.len() == 1 && leaders != [leader], "after that the two elect one");
}

/// A replica whose creation a crash could undo would come back without a memory of its promise.
#[test]
fn a_replica_that_is_not_durable_confirms_no_round() {
    let mut cluster = TestCluster::new(3, 0, |_: &mut PollerConfig| ());
    cluster.nodes.get_mut(&3).expect("runs").hold_log = true;
    for node in 1..=3 {
        let voters = (1..=3).map(|n| (replica(1, n), NodeId(n)));
        let genesis = Genesis {
            group: GROUP,
            replica: replica(1, node),
            members: Members::of_voters(voters),
            context: Bytes::new(),
        };
        cluster.input(node, Input::Create(genesis));
    }
    cluster.input(1, Input::Campaign { group: GroupId(1) });
    cluster.settle();
    assert_eq!(cluster.leaders(GROUP), [1]);
    cluster.cut.extend([(1, 2), (2, 1)]);
    let read = cluster.read(1, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(1, read), None);
    cluster.release_log(3);
    cluster.run(2);
    assert_eq!(cluster.result(1, read), Some(Ok(Done::ReadReady)));
}

#[test]
fn the_only_voter_leads_at_once_after_a_restart() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    cluster.elect(GROUP);
    let stopped = cluster.crash(1);
    cluster.restart(1, stopped);
    cluster.run(1);
    assert_eq!(cluster.leaders(GROUP), [1]);
}

/// raft-rs turns candidates away while it knows a leader. A stray message of a later term makes it
/// forget the leader, but not what it has promised.
#[test]
fn a_promise_outlives_what_makes_a_follower_forget_its_leader() {
    let (mut cluster, leader, [follower, challenger]) = leased();
    cut_off(&mut cluster, leader);
    // The follower asks for a pre-vote, which is under way for long.
    tick_until_it_stands(&mut cluster, follower);
    let frame = |(from, to, frame): &(NodeId, NodeId, Bytes)| {
        (from.0 == follower && to.0 == challenger).then(|| frame.clone())
    };
    let stray = cluster.wire.iter().find_map(frame).expect("a request for a pre-vote");
    cluster.wire.clear();
    // The challenger gets one and enters the next term; no node receives that.
    tick_until_it_stands(&mut cluster, challenger);
    for _ in 0..2 {
        let (from, to, frame) =
            cluster.wire.iter().find(|(_, to, _)| to.0 != leader).cloned().expect("sent");
        cluster.wire.clear();
        cluster.input(to.0, Input::Frame { from, frame });
    }
    cluster.wire.clear();
    let term =
        |cluster: &TestCluster, node| cluster.status(node, GROUP).expect("has the group").term;
    assert_eq!(term(&cluster, challenger).0, term(&cluster, leader).0 + 1);
    // The follower receives from its leader again, and a lease counts on it.
    cluster.cut.remove(&(leader, follower));
    cluster.cut.remove(&(follower, leader));
    cluster.boot_us += 1;
    cluster.input(leader, Input::Tick);
    cluster.input(leader, Input::Tick);
    cluster.settle();
    let read = cluster.read(leader, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)));
    let heard = cluster.status(follower, GROUP).and_then(|status| status.leader);
    assert_eq!(heard, Some(NodeId(leader)));
    // The answer to the stray request is of the challenger's term.
    cluster.input(challenger, Input::Frame { from: NodeId(follower), frame: stray });
    cluster.settle();
    assert_eq!(cluster.status(follower, GROUP).and_then(|status| status.leader), None);
    for _ in 0..40 {
        cluster.input(challenger, Input::Tick);
        cluster.settle();
    }
    assert_eq!(cluster.leaders(GROUP), [leader]);
    for _ in 0..40 {
        cluster.input(follower, Input::Tick);
        cluster.input(challenger, Input::Tick);
        cluster.settle();
    }
    assert_ne!(cluster.leaders(GROUP), [leader], "after its time the promise delays no election");
}

fn tick_until_it_stands(cluster: &mut TestCluster, node: u64) {
    while cluster.status(node, GROUP).is_some_and(|status| status.role != Role::Candidate) {
        cluster.input(node, Input::Tick);
    }
}
