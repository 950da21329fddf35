//! Replicas that are destroyed: nothing of them is left, they never come back, and the next replica of
//! the group may follow.

use ringkv_consensus::{ApplyTask, Input, LogReader, Members, RequestError};
use ringkv_topology::{NodeId, ReplicaId};

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

/// Three voters, one of which is removed and runs on; returns the leader and the removed one.
fn with_a_removed_replica() -> (TestCluster, u64, u64) {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let removed = leader % 3 + 1;
    cluster.propose(leader, GROUP, "before");
    cluster.change(leader, members_change(1, &[], &[], &[removed]));
    cluster.run(5);
    (cluster, leader, removed)
}

fn destroy(node: u64) -> Input {
    Input::Destroy { group: GROUP, replica: replica(1, node) }
}

fn is_here(cluster: &TestCluster, node: u64) -> bool {
    cluster.status(node, GROUP).is_some()
}

fn tombstones(cluster: &TestCluster, node: u64) -> Vec<ReplicaId> {
    let tombstones = cluster.nodes[&node].log.tombstones().expect("readable");
    tombstones.into_iter().map(|(_, replica)| replica).collect()
}

#[test]
fn a_destroyed_replica_leaves_a_tombstone_and_nothing_else() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    cluster.input(removed, destroy(removed));
    assert!(!is_here(&cluster, removed) && cluster.nodes[&removed].machine.is_empty());
    assert!(cluster.nodes[&removed].log.load().expect("readable").is_empty());
    assert_eq!(tombstones(&cluster, removed), [replica(1, removed)]);
    let ticket = cluster.propose(removed, GROUP, "late");
    assert_eq!(cluster.result(removed, ticket), Some(Err(RequestError::NoGroup)));
}

#[test]
fn another_replica_than_the_one_named_stays() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    cluster.input(removed, Input::Destroy { group: GROUP, replica: ReplicaId(999) });
    assert!(is_here(&cluster, removed));
}

#[test]
fn the_state_goes_when_the_tombstone_is_durable_and_not_before() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    cluster.node(removed).hold_log = true;
    cluster.input(removed, destroy(removed));
    assert!(cluster.nodes[&removed].machine.contains_key(&GROUP));
    assert!(is_here(&cluster, removed), "a crash would bring it back: it is not reported as gone");
    let ticket = cluster.read(removed, GROUP);
    assert_eq!(cluster.result(removed, ticket), Some(Err(RequestError::NoGroup)));
    cluster.release_log(removed);
    assert!(cluster.nodes[&removed].machine.is_empty() && !is_here(&cluster, removed));
}

#[test]
fn every_request_of_a_destroyed_leader_ends() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.cut.extend((1..=3).map(|other| (other, leader)));
    let proposed = cluster.propose(leader, GROUP, "proposed");
    cluster.node(leader).hold_log = true;
    cluster.propose(leader, GROUP, "fills the log batch");
    let queued = cluster.propose(leader, GROUP, "queued");
    let read = cluster.read(leader, GROUP);
    cluster.input(leader, destroy(leader));
    assert_eq!(cluster.result(leader, proposed), Some(Err(RequestError::LeadershipLost)));
    for ticket in [queued, read] {
        assert_eq!(cluster.result(leader, ticket), Some(Err(RequestError::NoGroup)));
    }
}

#[test]
fn of_a_group_that_is_here_no_other_replica_is_created() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    for id in [1, 999] {
        cluster.create(removed, ReplicaId(id), Members::default());
        assert_eq!(cluster.status(removed, GROUP).expect("there").replica, replica(1, removed));
    }
}

#[test]
fn a_destroyed_replica_is_never_created_again_also_after_a_restart() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    cluster.input(removed, destroy(removed));
    for _ in 0..2 {
        for id in [replica(1, removed), ReplicaId(1)] {
            cluster.create(removed, id, Members::default());
            assert!(!is_here(&cluster, removed));
        }
        let stopped = cluster.crash(removed);
        cluster.restart(removed, stopped);
    }
}

#[test]
fn the_next_replica_of_the_group_follows_a_destroyed_one_in_the_same_turn() {
    let (mut cluster, leader, removed) = with_a_removed_replica();
    let next = ReplicaId(900);
    let genesis = ringkv_consensus::Genesis {
        group: GROUP,
        replica: next,
        members: Members::default(),
        context: bytes::Bytes::new(),
    };
    cluster.turn(removed, vec![destroy(removed), Input::Create(genesis)]);
    assert_eq!(cluster.status(removed, GROUP).expect("there").replica, next);
    assert_eq!(tombstones(&cluster, removed), [], "the next one takes its place");
    let mut change = members_change(2, &[], &[], &[]);
    change.add_learners = vec![(next, NodeId(removed))];
    cluster.change(leader, change);
    cluster.run(20);
    assert_eq!(cluster.commands(removed, GROUP), ["before"]);
}

/// Answers carry no replica id: what was applied of the old one must not count for the next one.
#[test]
fn the_next_replica_waits_for_what_is_under_way_of_the_old_one() {
    let (mut cluster, leader, removed) = with_a_removed_replica();
    cluster.node(removed).hold_apply = true;
    cluster.input(removed, destroy(removed));
    cluster.create(removed, ReplicaId(900), Members::default());
    assert!(!is_here(&cluster, removed));
    cluster.release_apply(removed);
    assert_eq!(cluster.status(removed, GROUP).expect("there").replica, ReplicaId(900));
    cluster.run(3);
    assert_eq!(cluster.leaders(GROUP), [leader]);
}

/// The crash comes between each two steps: the tombstone is written, it is durable, the state is gone.
#[test]
fn a_crash_at_any_step_leaves_the_replica_whole_or_its_tombstone() {
    for (hold_log, hold_apply) in [(true, false), (false, true), (false, false)] {
        let (mut cluster, leader, removed) = with_a_removed_replica();
        cluster.node(removed).hold_log = hold_log;
        cluster.node(removed).hold_apply = hold_apply;
        cluster.input(removed, destroy(removed));
        let stopped = cluster.crash(removed);
        cluster.restart(removed, stopped);
        cluster.input(removed, Input::Tick);
        assert_eq!(is_here(&cluster, removed), hold_log, "the batch with the tombstone was lost");
        assert_eq!(cluster.nodes[&removed].machine.contains_key(&GROUP), hold_log);
        cluster.input(removed, destroy(removed));
        cluster.create(removed, ReplicaId(900), Members::default());
        let mut change = members_change(2, &[], &[], &[]);
        change.add_learners = vec![(ReplicaId(900), NodeId(removed))];
        cluster.change(leader, change);
        cluster.run(20);
        assert_eq!(cluster.commands(removed, GROUP), ["before"], "{hold_log} {hold_apply}");
    }
}

/// Its creation replaced the tombstone, so only the log says that the state is of another replica.
#[test]
fn a_replica_that_joins_never_starts_on_the_state_of_an_earlier_one() {
    let (mut cluster, leader, removed) = with_a_removed_replica();
    let old = cluster.nodes[&removed].machine.clone();
    cluster.input(removed, destroy(removed));
    cluster.create(removed, ReplicaId(900), Members::default());
    let mut stopped = cluster.crash(removed);
    stopped.machine = old;
    cluster.restart(removed, stopped);
    cluster.input(removed, Input::Tick);
    assert!(cluster.nodes[&removed].machine.is_empty());
    let mut change = members_change(2, &[], &[], &[]);
    change.add_learners = vec![(ReplicaId(900), NodeId(removed))];
    cluster.change(leader, change);
    cluster.run(20);
    assert_eq!(cluster.commands(removed, GROUP), ["before"]);
}

#[test]
fn a_replica_that_was_never_durable_can_be_destroyed() {
    let mut cluster = TestCluster::new(1, 0, |_| ());
    cluster.create(1, ReplicaId(5), Members::default());
    cluster.node(1).hold_log = true;
    cluster.create(1, ReplicaId(5), Members::default());
    cluster.input(1, Input::Destroy { group: GROUP, replica: ReplicaId(5) });
    cluster.release_log(1);
    assert_eq!(tombstones(&cluster, 1), [ReplicaId(5)]);
}

/// An answer to something that a destroyed replica has asked for, or that was meant for it.
#[test]
fn files_that_arrive_for_a_replica_that_is_gone_are_discarded() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    let received = cluster.received.clone().expect("one arrived");
    cluster.input(4, destroy(4));
    let before = cluster.nodes[&4].discards.len();
    cluster.input(4, Input::SnapshotReceived(received.clone()));
    assert_eq!(cluster.nodes[&4].discards[before..], [received.id]);
}

/// The marker names files that the next start would need, until the tombstone is durable.
#[test]
fn a_snapshot_under_install_goes_with_its_replica_and_not_before_the_tombstone() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.node(4).hold_apply = true;
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(20);
    let received = cluster.received.clone().expect("one arrived");
    cluster.node(4).hold_log = true;
    cluster.input(4, destroy(4));
    assert!(!cluster.nodes[&4].discards.contains(&received.id));
    cluster.release_log(4);
    assert!(!cluster.nodes[&4].discards.contains(&received.id), "the install may still read them");
    let destroys = |task: &ApplyTask| matches!(task, ApplyTask::Destroy(_));
    assert!(!cluster.nodes[&4].held_tasks().any(destroys), "it would write after the removal");
    cluster.release_apply(4);
    assert!(cluster.nodes[&4].discards.contains(&received.id));
    assert!(cluster.nodes[&4].machine.is_empty());
}

#[test]
fn a_destroy_is_asked_of_the_state_machine_only_once() {
    let (mut cluster, _, removed) = with_a_removed_replica();
    cluster.node(removed).hold_apply = true;
    cluster.input(removed, destroy(removed));
    cluster.input(removed, destroy(removed));
    cluster.run(5);
    let destroys = cluster.nodes[&removed].held_tasks();
    let destroys = destroys.filter(|task| matches!(task, ApplyTask::Destroy(_))).count();
    assert_eq!(destroys, 1);
}
