//! Compaction, snapshots, and what a crash in the middle leaves.

use ringkv_consensus::{Input, LogBatch, LogIndex, LogReader, PollerConfig};

use crate::lab::{GROUP, Lab};

fn small(config: &mut PollerConfig) {
    config.log_entries_max = 50;
    config.log_entries_kept = 5;
}

/// A cluster whose `away` node has missed more than the log still holds.
fn left_behind() -> (Lab, u64, u64) {
    left_behind_with(small)
}

fn left_behind_with(tune: impl Fn(&mut PollerConfig)) -> (Lab, u64, u64) {
    let mut lab = Lab::new(3, 1, tune);
    let leader = lab.elect(GROUP);
    let away = leader % 3 + 1;
    lab.cut.extend([(leader, away), (away, leader)]);
    for i in 0..200 {
        lab.propose(leader, GROUP, format!("{i}"));
        lab.run(1);
    }
    (lab, leader, away)
}

#[test]
fn the_log_is_cut_behind_what_is_flushed_and_keeps_a_tail() {
    let (lab, leader, _) = left_behind();
    let status = lab.status(leader, GROUP).expect("there");
    assert!(status.first_index > LogIndex(100), "{status:?}");
    assert!(status.log_entries() >= 5, "{status:?}");
    let stored = lab.nodes[&leader].log.load().expect("readable");
    assert_eq!(stored[0].start.index.next(), status.first_index, "the store was cut as well");
}

#[test]
fn a_follower_behind_the_log_is_brought_up_by_a_snapshot() {
    let (mut lab, leader, away) = left_behind();
    lab.cut.clear();
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
    assert_eq!(lab.nodes[&away].poller.counters().snapshots_installed, 1);
    assert_eq!(lab.nodes[&leader].builds, 1);
    let stored = lab.nodes[&away].log.load().expect("readable");
    assert_eq!(stored[0].install, None, "the marker is gone");
    let cleared = |batch: &&LogBatch| batch.groups.iter().any(|(_, w)| w.install == Some(None));
    let cleared = lab.nodes[&away].batches.iter().find(cleared).expect("the marker was cleared");
    assert!(cleared.sync, "the files go with it: it must not come back");
    lab.propose(leader, GROUP, "after");
    lab.run(3);
    assert_eq!(lab.commands(away, GROUP).len(), 201, "and goes on from the log");
}

/// Pitfall 9: a transfer that is not reported leaves the follower paused for ever.
#[test]
fn a_failed_transfer_is_tried_again() {
    let (mut lab, _, away) = left_behind();
    lab.snapshots_fail = true;
    lab.cut.clear();
    lab.run(40);
    assert!(lab.commands(away, GROUP).len() < 200);
    lab.snapshots_fail = false;
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
}

/// A leader that gave it up and sent it in one turn ended its process.
#[test]
fn a_snapshot_that_is_withdrawn_in_the_turn_it_is_asked_for_is_asked_for_again() {
    const KEPT: usize = 2;
    let (mut lab, leader, away) = left_behind_with(|config| {
        small(config);
        config.snapshot_ticks_kept = KEPT as u64;
    });
    lab.snapshots_fail = true;
    lab.cut.clear();
    for _ in 0..20 {
        lab.input(away, Input::Tick);
        let mut turn = lab.settle_all_but(leader);
        turn.extend(std::iter::repeat_with(|| Input::Tick).take(KEPT));
        lab.turn(leader, turn);
    }
    assert!(lab.nodes[&leader].builds > 1, "none was withdrawn");
    lab.snapshots_fail = false;
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
}

#[test]
fn an_install_is_announced_by_a_durable_marker_before_it_starts() {
    let (mut lab, _, away) = left_behind();
    let before = lab.commands(away, GROUP).len();
    lab.nodes.get_mut(&away).expect("runs").hold_log = true;
    lab.cut.clear();
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), before, "no install before the marker is durable");
    lab.release_log(away);
    lab.run(5);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
}

/// raft-rs looks for entries that the snapshot replaced when it stands for election, and panics.
#[test]
fn no_replica_stands_for_election_while_it_is_being_installed() {
    let (mut lab, leader, away) = left_behind();
    lab.nodes.get_mut(&away).expect("runs").hold_log = true;
    lab.cut.clear();
    lab.run(10);
    let before = lab.nodes[&away].poller.counters().elections;
    lab.cut.extend([(leader, away), (away, leader)]);
    lab.input(away, Input::Campaign { group: GROUP });
    lab.run(60);
    assert_eq!(lab.nodes[&away].poller.counters().elections, before);
    lab.cut.clear();
    lab.release_log(away);
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
}

#[test]
fn a_node_that_was_brought_up_by_a_snapshot_restarts_from_it() {
    let (mut lab, leader, away) = left_behind();
    lab.cut.clear();
    lab.run(40);
    let stopped = lab.crash(away);
    lab.propose(leader, GROUP, "meanwhile");
    lab.run(2);
    lab.restart(away, stopped);
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 201);
    assert_eq!(lab.nodes[&away].poller.counters().snapshots_installed, 0, "the log sufficed");
}

#[test]
fn a_snapshot_that_is_not_needed_is_discarded_and_changes_nothing() {
    let (mut lab, _, away) = left_behind();
    lab.cut.clear();
    lab.run(40);
    let again = lab.received.clone().expect("one arrived");
    let before = lab.nodes[&away].discards.len();
    lab.input(away, Input::SnapshotReceived(again.clone()));
    lab.run(2);
    assert_eq!(lab.nodes[&away].discards[before..], [again.id]);
    assert_eq!(lab.nodes[&away].poller.counters().snapshots_installed, 1);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
}
