//! Compaction, snapshots, and what a crash in the middle leaves.

use ringkv_consensus::{Input, LogBatch, LogIndex, LogReader, PollerConfig};

use crate::test_cluster::{GROUP, TestCluster, members_change};

fn small(config: &mut PollerConfig) {
    config.log_entries_max = 50;
    config.log_entries_kept = 5;
}

/// A cluster whose `away` node has missed more than the log still holds.
fn left_behind() -> (TestCluster, u64, u64) {
    left_behind_with(small)
}

fn left_behind_with(tune: impl Fn(&mut PollerConfig)) -> (TestCluster, u64, u64) {
    let mut cluster = TestCluster::new(3, 1, tune);
    let leader = cluster.elect(GROUP);
    let away = leader % 3 + 1;
    cluster.cut.extend([(leader, away), (away, leader)]);
    for i in 0..200 {
        cluster.propose(leader, GROUP, format!("{i}"));
        cluster.run(1);
    }
    (cluster, leader, away)
}

#[test]
fn the_log_is_cut_behind_what_is_flushed_and_keeps_a_tail() {
    let (cluster, leader, _) = left_behind();
    let status = cluster.status(leader, GROUP).expect("there");
    assert!(status.first_index > LogIndex(100), "{status:?}");
    assert!(status.log_entries() >= 5, "{status:?}");
    let stored = cluster.nodes[&leader].log.load().expect("readable");
    assert_eq!(stored[0].start.index.next(), status.first_index, "the store was cut as well");
}

#[test]
fn a_follower_behind_the_log_is_brought_up_by_a_snapshot() {
    let (mut cluster, leader, away) = left_behind();
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
    assert_eq!(cluster.nodes[&away].poller.counters().snapshots_installed, 1);
    assert_eq!(cluster.nodes[&leader].builds, 1);
    let stored = cluster.nodes[&away].log.load().expect("readable");
    assert_eq!(stored[0].install, None, "the marker is gone");
    let cleared = |batch: &&LogBatch| batch.groups.iter().any(|(_, w)| w.install == Some(None));
    let cleared =
        cluster.nodes[&away].batches.iter().find(cleared).expect("the marker was cleared");
    assert!(cleared.sync, "the files go with it: it must not come back");
    cluster.propose(leader, GROUP, "after");
    cluster.run(3);
    assert_eq!(cluster.commands(away, GROUP).len(), 201, "and goes on from the log");
}

/// Pitfall 9: a transfer that is not reported leaves the follower paused for ever.
#[test]
fn a_failed_transfer_is_tried_again() {
    let (mut cluster, _, away) = left_behind();
    cluster.snapshots_fail = true;
    cluster.cut.clear();
    cluster.run(40);
    assert!(cluster.commands(away, GROUP).len() < 200);
    cluster.snapshots_fail = false;
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
}

/// A leader that discarded it and sent it in one turn ended its process.
#[test]
fn a_snapshot_that_is_withdrawn_in_the_turn_it_is_asked_for_is_asked_for_again() {
    const KEPT: usize = 2;
    let (mut cluster, leader, away) = left_behind_with(|config| {
        small(config);
        config.snapshot_ticks_kept = KEPT as u64;
    });
    cluster.snapshots_fail = true;
    cluster.cut.clear();
    for _ in 0..20 {
        cluster.input(away, Input::Tick);
        let mut turn = cluster.settle_all_but(leader);
        turn.extend(std::iter::repeat_with(|| Input::Tick).take(KEPT));
        cluster.turn(leader, turn);
    }
    assert!(cluster.nodes[&leader].builds > 1, "none was withdrawn");
    cluster.snapshots_fail = false;
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
}

#[test]
fn an_install_is_announced_by_a_durable_marker_before_it_starts() {
    let (mut cluster, _, away) = left_behind();
    let before = cluster.commands(away, GROUP).len();
    cluster.nodes.get_mut(&away).expect("runs").hold_log = true;
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(
        cluster.commands(away, GROUP).len(),
        before,
        "no install before the marker is durable"
    );
    cluster.release_log(away);
    cluster.run(5);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
}

/// raft-rs looks for entries that the snapshot replaced when it stands for election, and panics.
#[test]
fn no_replica_stands_for_election_while_it_is_being_installed() {
    let (mut cluster, leader, away) = left_behind();
    cluster.nodes.get_mut(&away).expect("runs").hold_log = true;
    cluster.cut.clear();
    cluster.run(10);
    let before = cluster.nodes[&away].poller.counters().elections;
    cluster.cut.extend([(leader, away), (away, leader)]);
    cluster.input(away, Input::Campaign { group: GROUP });
    cluster.run(60);
    assert_eq!(cluster.nodes[&away].poller.counters().elections, before);
    cluster.cut.clear();
    cluster.release_log(away);
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
}

#[test]
fn a_node_that_was_brought_up_by_a_snapshot_restarts_from_it() {
    let (mut cluster, leader, away) = left_behind();
    cluster.cut.clear();
    cluster.run(40);
    let stopped = cluster.crash(away);
    cluster.propose(leader, GROUP, "meanwhile");
    cluster.run(2);
    cluster.restart(away, stopped);
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 201);
    assert_eq!(cluster.nodes[&away].poller.counters().snapshots_installed, 0, "the log sufficed");
}

#[test]
fn a_snapshot_that_is_not_needed_is_discarded_and_changes_nothing() {
    let (mut cluster, _, away) = left_behind();
    cluster.cut.clear();
    cluster.run(40);
    let again = cluster.received.clone().expect("one arrived");
    let before = cluster.nodes[&away].discards.len();
    cluster.input(away, Input::SnapshotReceived(again.clone()));
    cluster.run(2);
    assert_eq!(cluster.nodes[&away].discards[before..], [again.id]);
    assert_eq!(cluster.nodes[&away].poller.counters().snapshots_installed, 1);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
}

/// The state of a follower that was behind, as files, is of no use once the log goes on after it.
#[test]
fn the_files_of_a_snapshot_go_when_the_log_is_cut_past_it() {
    let (mut cluster, leader, away) = left_behind();
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(cluster.nodes[&leader].builds, 1);
    for i in 0..100 {
        cluster.propose(leader, GROUP, format!("more {i}"));
        cluster.run(1);
    }
    cluster.run(3);
    assert_eq!(cluster.nodes[&leader].discards, ["1"]);
    assert_eq!(cluster.commands(away, GROUP).len(), 300);
}

/// A snapshot is on offer when the learner is added, without it among the members: it refuses that.
#[test]
fn a_learner_is_brought_up_though_an_older_snapshot_is_on_offer() {
    let (mut cluster, leader, _) = left_behind();
    cluster.cut.clear();
    cluster.run(40);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.run(40);
    assert_eq!(cluster.commands(4, GROUP).len(), 200);
    assert_eq!(cluster.nodes[&leader].builds, 2);
    assert_eq!(cluster.nodes[&leader].discards, ["1"]);
    assert_eq!(cluster.nodes[&4].discards.len(), 1, "only the one it has installed");
}
