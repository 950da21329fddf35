//! The scenarios over the network in memory, and leadership.

use crate::cluster::{Cluster, GROUP, command, eventually};
use crate::memory_logs::MemoryLogs;
use crate::scenarios;
use crate::switchboard::Switchboard;

#[test]
fn a_thousand_commands_at_once_each_take_a_place_of_their_own() {
    scenarios::a_thousand_commands_at_once_each_take_a_place_of_their_own(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}

#[test]
fn no_acknowledged_write_is_lost_when_leaders_crash() {
    scenarios::no_acknowledged_write_is_lost_when_leaders_crash(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}

#[test]
fn a_node_that_was_away_catches_up_by_a_snapshot() {
    scenarios::a_node_that_was_away_catches_up_by_a_snapshot(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}

#[test]
fn leadership_goes_where_it_is_told_to() {
    let mut cluster = Cluster::start(3, Switchboard::default(), MemoryLogs::default(), |_| ());
    cluster.write(&command(0));
    let (from, to) = (cluster.leader(), scenarios::follower(&cluster));
    cluster.nodes[&from].handle.transfer_leader(GROUP, to);
    eventually("the follower leads", || (cluster.leader() == to).then_some(()));
    cluster.write(&command(1));
}

#[test]
fn a_leader_that_stops_in_good_order_hands_over_first() {
    scenarios::a_leader_that_stops_in_good_order_hands_over_first(
        Switchboard::default(),
        MemoryLogs::default(),
    );
}
