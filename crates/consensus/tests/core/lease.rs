//! Reads by lease: when a leader needs no round, and everything that must take that back.

use bytes::Bytes;
use ringkv_consensus::{Done, Genesis, Input, Members, MembersChange, PollerConfig, Request, Role};
use ringkv_topology::{GroupId, NodeId, ReadMode};

use super::lab::{GROUP, Lab, replica};

const LEASE_US: u64 = 400_000;
const START_US: u64 = 1_000_000;

/// Three nodes in lease mode, with a leader; gives it and the two others.
fn leased() -> (Lab, u64, [u64; 2]) {
    let mut lab = Lab::new(3, 1, |config| config.lease_us = LEASE_US);
    lab.boot_us = START_US;
    for node in 1..=3 {
        lab.input(node, Input::ReadMode(ReadMode::Lease));
    }
    let leader = lab.elect(GROUP);
    let read = lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)), "by a round");
    (lab, leader, [leader % 3 + 1, (leader + 1) % 3 + 1])
}

fn lease_of(lab: &Lab, node: u64) -> u64 {
    lab.nodes[&node].leases.get(&GROUP).copied().unwrap_or(0)
}

fn cut_off(lab: &mut Lab, node: u64) {
    for other in (1..=3).filter(|other| *other != node) {
        lab.cut.extend([(node, other), (other, node)]);
    }
}

#[test]
fn reads_need_no_round_until_the_lease_ends() {
    let (mut lab, leader, _) = leased();
    assert_eq!(lease_of(&lab, leader), START_US + LEASE_US);
    cut_off(&mut lab, leader);
    lab.boot_us = START_US + LEASE_US - 1;
    let read = lab.read(leader, GROUP);
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)));
    lab.boot_us = START_US + LEASE_US;
    let late = lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lab.result(leader, late), None, "it waits for a round");
}

#[test]
fn by_read_index_there_is_no_lease() {
    let (mut lab, leader, _) = leased();
    lab.input(leader, Input::ReadMode(ReadMode::ReadIndex));
    assert_eq!(lease_of(&lab, leader), 0);
    cut_off(&mut lab, leader);
    let read = lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lab.result(leader, read), None);
}

#[test]
fn an_offer_of_leadership_takes_the_lease_back_for_the_term() {
    let (mut lab, leader, [other, _]) = leased();
    lab.input(leader, Input::TransferLeader { group: GROUP, to: NodeId(other) });
    assert_eq!(lease_of(&lab, leader), 0, "before the offer can arrive");
    // The offer is lost, the term goes on.
    lab.wire.clear();
    lab.boot_us += 1;
    lab.run(30);
    assert_eq!(lab.leaders(GROUP), [leader]);
    let read = lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)), "by a round");
    assert_eq!(lease_of(&lab, leader), 0);
}

#[test]
fn a_change_of_members_takes_the_lease_back() {
    let (mut lab, leader, [other, _]) = leased();
    let ticket = lab.ticket();
    let change = MembersChange { remove: vec![replica(1, other)], ..MembersChange::default() };
    lab.input(leader, Input::Request(Request::ChangeMembers { group: GROUP, change, ticket }));
    lab.settle();
    assert!(lab.result(leader, ticket.id).is_some_and(|result| result.is_ok()));
    assert_eq!(lease_of(&lab, leader), 0);
    lab.boot_us += 1;
    lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lease_of(&lab, leader), START_US + 1 + LEASE_US, "by a round of the new members");
}

/// What a replica promised in its last life holds: a lease may count on it.
#[test]
fn a_restarted_replica_gives_no_vote_for_an_election_timeout() {
    let (mut lab, leader, [forgetful, challenger]) = leased();
    cut_off(&mut lab, leader);
    tick_until_it_stands(&mut lab, challenger);
    let stopped = lab.crash(forgetful);
    lab.restart(forgetful, stopped);
    for _ in 0..9 {
        lab.input(forgetful, Input::Campaign { group: GROUP });
        lab.input(forgetful, Input::Tick);
        lab.input(challenger, Input::Tick);
        lab.settle();
        assert_eq!(lab.leaders(GROUP), [leader]);
    }
    lab.run(40);
    let leaders = lab.leaders(GROUP);
    assert!(leaders.len() == 1 && leaders != [leader], "after that the two elect one");
}

/// A replica whose creation a crash could undo would come back without a memory of its promise.
#[test]
fn a_replica_that_is_not_durable_confirms_no_round() {
    let mut lab = Lab::new(3, 0, |_: &mut PollerConfig| ());
    lab.nodes.get_mut(&3).expect("runs").hold_log = true;
    for node in 1..=3 {
        let voters = (1..=3).map(|n| (replica(1, n), NodeId(n)));
        let genesis = Genesis {
            group: GROUP,
            replica: replica(1, node),
            members: Members::of_voters(voters),
            context: Bytes::new(),
        };
        lab.input(node, Input::Create(genesis));
    }
    lab.input(1, Input::Campaign { group: GroupId(1) });
    lab.settle();
    assert_eq!(lab.leaders(GROUP), [1]);
    lab.cut.extend([(1, 2), (2, 1)]);
    let read = lab.read(1, GROUP);
    lab.settle();
    assert_eq!(lab.result(1, read), None);
    lab.release_log(3);
    lab.run(2);
    assert_eq!(lab.result(1, read), Some(Ok(Done::ReadReady)));
}

#[test]
fn the_only_voter_leads_at_once_after_a_restart() {
    let mut lab = Lab::new(1, 1, |_| ());
    lab.elect(GROUP);
    let stopped = lab.crash(1);
    lab.restart(1, stopped);
    lab.run(1);
    assert_eq!(lab.leaders(GROUP), [1]);
}

/// raft-rs turns candidates away while it knows a leader. A stray message of a later term makes it
/// forget the leader, but not what it has promised.
#[test]
fn a_promise_outlives_what_makes_a_follower_forget_its_leader() {
    let (mut lab, leader, [follower, challenger]) = leased();
    cut_off(&mut lab, leader);
    // The follower asks for a pre-vote, which is under way for long.
    tick_until_it_stands(&mut lab, follower);
    let frame = |(from, to, frame): &(NodeId, NodeId, Bytes)| {
        (from.0 == follower && to.0 == challenger).then(|| frame.clone())
    };
    let stray = lab.wire.iter().find_map(frame).expect("a request for a pre-vote");
    lab.wire.clear();
    // The challenger gets one and goes over to the next term; nobody hears that.
    tick_until_it_stands(&mut lab, challenger);
    for _ in 0..2 {
        let (from, to, frame) =
            lab.wire.iter().find(|(_, to, _)| to.0 != leader).cloned().expect("sent");
        lab.wire.clear();
        lab.input(to.0, Input::Frame { from, frame });
    }
    lab.wire.clear();
    let term = |lab: &Lab, node| lab.status(node, GROUP).expect("has the group").term;
    assert_eq!(term(&lab, challenger).0, term(&lab, leader).0 + 1);
    // The follower hears its leader again, and a lease counts on it.
    lab.cut.remove(&(leader, follower));
    lab.cut.remove(&(follower, leader));
    lab.boot_us += 1;
    lab.input(leader, Input::Tick);
    lab.input(leader, Input::Tick);
    lab.settle();
    let read = lab.read(leader, GROUP);
    lab.settle();
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)));
    let heard = lab.status(follower, GROUP).and_then(|status| status.leader);
    assert_eq!(heard, Some(NodeId(leader)));
    // The answer to the stray request is of the challenger's term.
    lab.input(challenger, Input::Frame { from: NodeId(follower), frame: stray });
    lab.settle();
    assert_eq!(lab.status(follower, GROUP).and_then(|status| status.leader), None);
    for _ in 0..40 {
        lab.input(challenger, Input::Tick);
        lab.settle();
    }
    assert_eq!(lab.leaders(GROUP), [leader]);
    for _ in 0..40 {
        lab.input(follower, Input::Tick);
        lab.input(challenger, Input::Tick);
        lab.settle();
    }
    assert_ne!(lab.leaders(GROUP), [leader], "after its time the promise holds nobody up");
}

fn tick_until_it_stands(lab: &mut Lab, node: u64) {
    while lab.status(node, GROUP).is_some_and(|status| status.role != Role::Candidate) {
        lab.input(node, Input::Tick);
    }
}
