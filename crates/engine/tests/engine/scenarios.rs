//! What a cluster must do over any kind of network.

use std::sync::Arc;

use ringkv_consensus::{Done, LogIndex, Request, Ticket};
use ringkv_engine::EngineConfig;
use ringkv_topology::NodeId;

use crate::cluster::{Cluster, GROUP, Logs, PATIENCE, Running, Wiring, command, eventually};

/// Puts a thousand commands in flight at once and checks that each took its own place.
pub(crate) fn a_thousand_commands_at_once_each_take_a_place_of_their_own(
    wiring: impl Wiring,
    logs: impl Logs,
) {
    const COUNT: u64 = 1_000;
    const FIRST: u64 = 1_000_000;
    let mut cluster = Cluster::start(3, wiring, logs, |_| ());
    cluster.write(&command(0));
    let leader = &cluster.nodes[&cluster.leader()];
    let requests = (1..=COUNT).map(|n| Request::Propose {
        group: GROUP,
        command: command(n),
        ticket: Ticket { sink: leader.sink.id(), id: FIRST + n },
    });
    leader.handle.submit(requests.collect());
    let inbox = Arc::clone(&leader.inbox);
    let mut places = Vec::new();
    for n in 1..=COUNT {
        match inbox.wait(FIRST + n, PATIENCE).expect("completed") {
            Ok(Done::Applied(place)) => places.push(place),
            other => panic!("command {n} was not applied: {other:?}"),
        }
    }
    let read = cluster.read();
    assert_eq!(read.len() as u64, COUNT + 1);
    for (n, place) in (1..).zip(places) {
        let place = u64::from_be_bytes(place[..].try_into().expect("eight bytes"));
        assert_eq!(read[place as usize], command(n));
    }
    cluster.settle();
}

/// Crashes the leader in the middle of writing, three times over; each comes back.
pub(crate) fn no_acknowledged_write_is_lost_when_leaders_crash(
    wiring: impl Wiring,
    logs: impl Logs,
) {
    let mut cluster = Cluster::start(3, wiring, logs, |_| ());
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        for n in 0..20 {
            let command = command(round * 100 + n);
            let place = cluster.write(&command);
            acknowledged.push((place, command));
        }
        let leader = cluster.leader();
        cluster.crash(leader);
        let command = command(round * 100 + 50);
        let place = cluster.write(&command);
        acknowledged.push((place, command));
        cluster.start_node(leader);
    }
    let read = cluster.read();
    for (place, command) in acknowledged {
        assert_eq!(read[place as usize], command);
    }
    cluster.settle();
}

/// Cuts the log behind a node that is away, so that only a snapshot can bring it back.
pub(crate) fn a_node_that_was_away_catches_up_by_a_snapshot(wiring: impl Wiring, logs: impl Logs) {
    let mut cluster = Cluster::start(3, wiring, logs, short_log);
    cluster.write(&command(0));
    let away = follower(&cluster);
    cluster.crash(away);
    write_until_the_log_is_cut(&mut cluster, away);
    cluster.start_node(away);
    cluster.settle();
    assert_eq!(cluster.nodes[&away].ledger.installs(), 1, "a snapshot brought it back");
    let place = cluster.write(&command(300));
    assert!(place >= 300);
    cluster.settle();
}

/// Crashes all nodes at once; what is acknowledged must be in their logs.
pub(crate) fn a_cluster_that_crashed_whole_finds_every_acknowledged_write_again(
    wiring: impl Wiring,
    logs: impl Logs,
) {
    let mut cluster = Cluster::start(3, wiring, logs, |_| ());
    let places: Vec<u64> = (0..50).map(|n| cluster.write(&command(n))).collect();
    let nodes: Vec<NodeId> = cluster.nodes.keys().copied().collect();
    for node in &nodes {
        cluster.crash(*node);
    }
    for node in &nodes {
        cluster.start_node(*node);
    }
    let read = cluster.read();
    for (n, place) in (0..).zip(places) {
        assert_eq!(read[place as usize], command(n));
    }
    cluster.settle();
}

/// Stops the leader where no follower would stand for election before the test gives up.
pub(crate) fn a_leader_that_stops_in_good_order_hands_over_first(
    wiring: impl Wiring,
    logs: impl Logs,
) {
    let patient = |config: &mut EngineConfig| config.poller.election_ticks = 1 << 20;
    let mut cluster = Cluster::start(3, wiring, logs, patient);
    cluster.nodes[&NodeId(1)].handle.campaign(GROUP);
    cluster.write(&command(0));
    let leader = cluster.leader();
    cluster.stop(leader);
    assert_ne!(cluster.leader(), leader);
    cluster.write(&command(1));
}

/// Settings with which a follower that is a hundred entries behind needs a snapshot.
pub(crate) fn short_log(config: &mut EngineConfig) {
    config.poller.log_entries_max = 40;
    config.poller.log_entries_kept = 5;
    config.poller.tail_bytes_max = 1_000;
}

/// Writes 299 commands, until all nodes but `away` have cut their logs. For [`short_log`].
pub(crate) fn write_until_the_log_is_cut<W: Wiring, L: Logs>(
    cluster: &mut Cluster<W, L>,
    away: NodeId,
) {
    for n in 1..300 {
        cluster.write(&command(n));
    }
    let is_cut = |running: &Running| running.handle.status()[0].first_index > LogIndex(100);
    eventually("the log is cut", || {
        let mut others = cluster.nodes.iter().filter(|(node, _)| **node != away);
        others.all(|(_, running)| is_cut(running)).then_some(())
    });
}

/// A running node that does not lead.
pub(crate) fn follower<W: Wiring, L: Logs>(cluster: &Cluster<W, L>) -> NodeId {
    let leader = cluster.leader();
    *cluster.nodes.keys().find(|node| **node != leader).expect("more than one node runs")
}
