//! The engine's scenarios over gRPC.

use crate::memory_logs::MemoryLogs;
use crate::scenarios;
use crate::sockets::Sockets;

#[test]
fn a_thousand_commands_at_once_each_take_a_place_of_their_own() {
    scenarios::a_thousand_commands_at_once_each_take_a_place_of_their_own(
        Sockets::new(),
        MemoryLogs::default(),
    );
}

#[test]
fn no_acknowledged_write_is_lost_when_leaders_crash() {
    scenarios::no_acknowledged_write_is_lost_when_leaders_crash(
        Sockets::new(),
        MemoryLogs::default(),
    );
}

#[test]
fn a_node_that_was_away_catches_up_by_a_snapshot() {
    scenarios::a_node_that_was_away_catches_up_by_a_snapshot(Sockets::new(), MemoryLogs::default());
}

#[test]
fn a_leader_that_stops_in_good_order_hands_over_first() {
    scenarios::a_leader_that_stops_in_good_order_hands_over_first(
        Sockets::new(),
        MemoryLogs::default(),
    );
}

#[test]
fn a_cluster_that_crashed_whole_finds_every_acknowledged_write_again() {
    scenarios::a_cluster_that_crashed_whole_finds_every_acknowledged_write_again(
        Sockets::new(),
        MemoryLogs::default(),
    );
}
