//! What a cluster finds again in RocksDB after a crash, and how it reads and cuts the log there.

use std::path::Path;

use ringkv_raft_log::RocksLog;
use ringkv_topology::NodeId;

use crate::cluster::Logs;
use crate::destroys;
use crate::scenarios;
use crate::switchboard::Switchboard;

/// Each log in the directory of its node.
struct RocksLogs;

impl Logs for RocksLogs {
    type Log = RocksLog;

    fn open(&self, _: NodeId, dir: &Path) -> RocksLog {
        RocksLog::open(&dir.join("raft")).expect("a log that is open only here")
    }
}

#[test]
fn a_thousand_commands_at_once_each_take_a_place_of_their_own() {
    scenarios::a_thousand_commands_at_once_each_take_a_place_of_their_own(
        Switchboard::default(),
        RocksLogs,
    );
}

#[test]
fn no_acknowledged_write_is_lost_when_leaders_crash() {
    scenarios::no_acknowledged_write_is_lost_when_leaders_crash(Switchboard::default(), RocksLogs);
}

#[test]
fn a_cluster_that_crashed_whole_finds_every_acknowledged_write_again() {
    scenarios::a_cluster_that_crashed_whole_finds_every_acknowledged_write_again(
        Switchboard::default(),
        RocksLogs,
    );
}

#[test]
fn a_node_that_was_away_catches_up_by_a_snapshot() {
    scenarios::a_node_that_was_away_catches_up_by_a_snapshot(Switchboard::default(), RocksLogs);
}

#[test]
fn a_leader_that_stops_in_good_order_hands_over_first() {
    scenarios::a_leader_that_stops_in_good_order_hands_over_first(
        Switchboard::default(),
        RocksLogs,
    );
}

#[test]
fn a_destroyed_replica_is_gone_and_the_next_one_takes_its_place() {
    destroys::a_destroyed_replica_is_gone_and_the_next_one_takes_its_place(
        Switchboard::default(),
        RocksLogs,
    );
}

#[test]
fn a_destroyed_replica_never_comes_back_at_a_start() {
    destroys::a_destroyed_replica_never_comes_back_at_a_start(|dir| {
        RocksLog::open(&dir.join("raft")).expect("a log that is open only here")
    });
}
