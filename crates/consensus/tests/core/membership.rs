//! Learners, joint consensus and changes that are not legal.

use bytes::Bytes;
use ringkv_consensus::{Done, Genesis, Input, Members, MembersChange, Request, RequestError};
use ringkv_topology::NodeId;

use crate::test_cluster::{GROUP, TestCluster, replica};

fn change(cluster: &mut TestCluster, node: u64, change: MembersChange) -> u64 {
    let ticket = cluster.ticket();
    let request = Request::ChangeMembers { group: GROUP, change, ticket };
    cluster.input(node, Input::Request(request));
    ticket.id
}

/// An empty replica, as a node sets it up that is to be brought into the group.
fn newcomer(cluster: &mut TestCluster, node: u64) {
    cluster.add_node(node, |_| ());
    let genesis = Genesis {
        group: GROUP,
        replica: replica(1, node),
        members: Members::default(),
        context: Bytes::new(),
    };
    cluster.input(node, Input::Create(genesis));
}

#[test]
fn a_learner_gets_everything_and_counts_for_nothing() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.propose(leader, GROUP, "before");
    newcomer(&mut cluster, 4);
    let added = MembersChange {
        add_learners: vec![(replica(1, 4), NodeId(4))],
        ..MembersChange::default()
    };
    let ticket = change(&mut cluster, leader, added);
    cluster.run(20);
    assert_eq!(cluster.result(leader, ticket), Some(Ok(Done::Applied(Bytes::new()))));
    assert_eq!(cluster.commands(4, GROUP), ["before"]);
    let installed = cluster.nodes[&4].poller.counters().snapshots_installed;
    assert_eq!(installed, 1, "what stands before the first entry comes by snapshot");
    // With both other voters away the learner's acknowledgement commits nothing.
    for other in (1..=3).filter(|n| *n != leader) {
        cluster.cut.extend([(leader, other), (other, leader)]);
    }
    let alone = cluster.propose(leader, GROUP, "alone");
    cluster.run(3);
    assert_eq!(cluster.result(leader, alone), None);
}

#[test]
fn a_voter_is_replaced_through_a_joint_configuration_that_is_left_again() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    newcomer(&mut cluster, 4);
    let learner = MembersChange {
        add_learners: vec![(replica(1, 4), NodeId(4))],
        ..MembersChange::default()
    };
    change(&mut cluster, leader, learner);
    cluster.run(20);
    let leaving = leader % 3 + 1;
    let swap = MembersChange {
        add_voters: vec![(replica(1, 4), NodeId(4))],
        remove: vec![replica(1, leaving)],
        ..MembersChange::default()
    };
    change(&mut cluster, leader, swap);
    cluster.run(20);
    let members = &cluster.nodes[&leader].machine[&GROUP].0.members;
    assert!(members.outgoing.is_empty(), "the joint configuration was left: {members:?}");
    assert!(members.is_voter(replica(1, 4)) && !members.is_voter(replica(1, leaving)));
    // The new majority works without the one that left and one more.
    let other = (1..=3).find(|n| *n != leader && *n != leaving).expect("three nodes");
    cluster.crash(leaving);
    cluster.crash(other);
    let ticket = cluster.propose(leader, GROUP, "on");
    cluster.run(5);
    assert!(matches!(cluster.result(leader, ticket), Some(Ok(Done::Applied(_)))));
}

#[test]
fn a_second_change_while_one_is_pending_is_refused() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let learner = |node| MembersChange {
        add_learners: vec![(replica(1, node), NodeId(node))],
        ..MembersChange::default()
    };
    cluster.nodes.get_mut(&leader).expect("runs").hold_log = true;
    let first = change(&mut cluster, leader, learner(4));
    let second = change(&mut cluster, leader, learner(5));
    cluster.release_log(leader);
    cluster.run(5);
    assert!(matches!(cluster.result(leader, first), Some(Ok(_))));
    assert_eq!(cluster.result(leader, second), Some(Err(RequestError::ChangeRejected)));
}
