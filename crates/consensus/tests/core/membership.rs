//! Learners, joint consensus and changes that are not legal.

use bytes::Bytes;
use ringkv_consensus::{Done, Genesis, Input, Members, MembersChange, Refusal, Request};
use ringkv_topology::NodeId;

use crate::lab::{GROUP, Lab, replica};

fn change(lab: &mut Lab, node: u64, change: MembersChange) -> u64 {
    let ticket = lab.ticket();
    let request = Request::ChangeMembers { group: GROUP, change, ticket };
    lab.input(node, Input::Request(request));
    ticket.id
}

/// An empty replica, as a node sets it up that is to be brought into the group.
fn newcomer(lab: &mut Lab, node: u64) {
    lab.add_node(node, |_| ());
    let genesis = Genesis {
        group: GROUP,
        replica: replica(1, node),
        members: Members::default(),
        context: Bytes::new(),
    };
    lab.input(node, Input::Create(genesis));
}

#[test]
fn a_learner_gets_everything_and_counts_for_nothing() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    lab.propose(leader, GROUP, "before");
    newcomer(&mut lab, 4);
    let added = MembersChange {
        add_learners: vec![(replica(1, 4), NodeId(4))],
        ..MembersChange::default()
    };
    let ticket = change(&mut lab, leader, added);
    lab.run(20);
    assert_eq!(lab.result(leader, ticket), Some(Ok(Done::Applied(Bytes::new()))));
    assert_eq!(lab.commands(4, GROUP), ["before"]);
    let installed = lab.nodes[&4].poller.counters().snapshots_installed;
    assert_eq!(installed, 1, "what stands before the first entry comes by snapshot");
    // With both other voters away the learner's acknowledgement commits nothing.
    for other in (1..=3).filter(|n| *n != leader) {
        lab.cut.extend([(leader, other), (other, leader)]);
    }
    let alone = lab.propose(leader, GROUP, "alone");
    lab.run(3);
    assert_eq!(lab.result(leader, alone), None);
}

#[test]
fn a_voter_is_replaced_through_a_joint_configuration_that_is_left_again() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    newcomer(&mut lab, 4);
    let learner = MembersChange {
        add_learners: vec![(replica(1, 4), NodeId(4))],
        ..MembersChange::default()
    };
    change(&mut lab, leader, learner);
    lab.run(20);
    let leaving = leader % 3 + 1;
    let swap = MembersChange {
        add_voters: vec![(replica(1, 4), NodeId(4))],
        remove: vec![replica(1, leaving)],
        ..MembersChange::default()
    };
    change(&mut lab, leader, swap);
    lab.run(20);
    let members = &lab.nodes[&leader].machine[&GROUP].0.members;
    assert!(members.outgoing.is_empty(), "the joint configuration was left: {members:?}");
    assert!(members.is_voter(replica(1, 4)) && !members.is_voter(replica(1, leaving)));
    // The new majority works without the one that left and one more.
    let other = (1..=3).find(|n| *n != leader && *n != leaving).expect("three nodes");
    lab.crash(leaving);
    lab.crash(other);
    let ticket = lab.propose(leader, GROUP, "on");
    lab.run(5);
    assert!(matches!(lab.result(leader, ticket), Some(Ok(Done::Applied(_)))));
}

#[test]
fn a_second_change_while_one_is_pending_is_refused() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let learner = |node| MembersChange {
        add_learners: vec![(replica(1, node), NodeId(node))],
        ..MembersChange::default()
    };
    lab.nodes.get_mut(&leader).expect("runs").hold_log = true;
    let first = change(&mut lab, leader, learner(4));
    let second = change(&mut lab, leader, learner(5));
    lab.release_log(leader);
    lab.run(5);
    assert!(matches!(lab.result(leader, first), Some(Ok(_))));
    assert_eq!(lab.result(leader, second), Some(Err(Refusal::ChangeRefused)));
}
