//! The pitfalls of raft-rs, each as a test that fails when it is stepped into.

use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, Done, Input, LogReader, MemoryLog, Poller, PollerConfig, RequestError, StartError,
};
use ringkv_topology::{GroupId, NodeId};

use crate::test_cluster::{GROUP, TestCluster};

/// 1: the prost codec copies every entry and needs a protoc; default features bring a logger.
#[test]
fn raft_is_pinned_with_the_codec_that_shares_bytes() {
    let manifest = include_str!("../../../../Cargo.toml");
    let line = manifest.lines().find(|line| line.starts_with("raft = ")).expect("raft is named");
    assert!(line.contains("\"=0.7.0\"") && line.contains("default-features = false"), "{line}");
    assert!(line.contains("features = [\"protobuf-codec\"]"), "{line}");
}

/// 2: `max_size_per_msg` of 0 would send one entry per message.
#[test]
fn a_follower_that_was_away_gets_many_entries_in_one_frame() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let away = leader % 3 + 1;
    cluster.cut.extend([(leader, away), (away, leader)]);
    for i in 0..200 {
        cluster.propose(leader, GROUP, format!("{i}"));
        cluster.settle();
    }
    cluster.cut.clear();
    let sent = cluster.trace.len();
    cluster.run(20);
    assert_eq!(cluster.commands(away, GROUP).len(), 200);
    let frames =
        cluster.trace[sent..].iter().filter(|(f, t, _)| (*f, *t) == (leader, away)).count();
    assert!(frames < 40, "{frames} frames for 200 entries");
}

/// 2: a follower would forward proposals without a word.
#[test]
fn a_follower_refuses_proposals_and_names_the_leader() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let follower = leader % 3 + 1;
    let sent = cluster.trace.len();
    let ticket = cluster.propose(follower, GROUP, "x");
    let error = RequestError::NotLeader { leader: Some(NodeId(leader)) };
    assert_eq!(cluster.result(follower, ticket), Some(Err(error)));
    assert_eq!(cluster.trace.len(), sent, "nothing was forwarded");
}

/// 3: an acknowledgement or vote that leaves before its fsync is a lie after a crash.
#[test]
fn a_follower_acknowledges_only_what_is_durable() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    for node in (1..=3).filter(|n| *n != leader) {
        cluster.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    let ticket = cluster.propose(leader, GROUP, "x");
    cluster.run(3);
    assert_eq!(cluster.result(leader, ticket), None, "no quorum has it on disk");
    cluster.release_log(leader % 3 + 1);
    cluster.settle();
    assert!(matches!(cluster.result(leader, ticket), Some(Ok(Done::Applied(_)))));
}

/// 3: the same for votes.
#[test]
fn a_vote_is_given_only_when_it_is_durable() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    for node in [2, 3] {
        cluster.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    cluster.run(1);
    cluster.input(1, Input::Campaign { group: GROUP });
    cluster.settle();
    assert_eq!(cluster.leaders(GROUP), Vec::<u64>::new());
    cluster.release_log(2);
    cluster.settle();
    assert_eq!(cluster.leaders(GROUP), [1]);
}

/// 4: what is behind the in-memory tail is fetched by another thread than the poller's.
#[test]
fn old_entries_for_a_follower_are_fetched_and_not_read_in_line() {
    let mut cluster = TestCluster::new(3, 1, |config| config.tail_bytes_max = 0);
    let leader = cluster.elect(GROUP);
    let away = leader % 3 + 1;
    cluster.cut.extend([(leader, away), (away, leader)]);
    for i in 0..50 {
        cluster.propose(leader, GROUP, format!("{i}"));
        cluster.run(1);
    }
    cluster.cut.clear();
    cluster.run(40);
    assert_eq!(cluster.commands(away, GROUP).len(), 50);
    assert!(cluster.nodes[&leader].fetches > 0);
    assert_eq!(cluster.nodes[&leader].builds, 0, "and no snapshot was needed");
}

/// 5: raft-rs panics if the applied index is above the stored commit index.
#[test]
fn a_node_starts_when_more_was_applied_than_its_hard_state_says() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.propose(leader, GROUP, "x");
    cluster.settle();
    // No tick since: the risen commit index has not been written, and a crash loses it.
    let stopped = cluster.crash(leader);
    let stored = stopped.log.load().expect("readable");
    let applied = stopped.machine[&GROUP].0.position.index;
    assert!(stored[0].hard_state.commit < applied, "the case this test is about");
    cluster.restart(leader, stopped);
    cluster.run(40);
    assert_eq!(cluster.commands(leader, GROUP), ["x"]);
}

/// 5: a state machine ahead of its log belongs to another directory.
#[test]
fn a_state_machine_outside_its_log_is_refused() {
    let mut cluster = TestCluster::new(1, 1, |_| ());
    cluster.elect(GROUP);
    let stopped = cluster.crash(1);
    let mut applied: AppliedState = stopped.machine[&GROUP].0.clone();
    applied.position.index.0 += 100;
    let stored = stopped.log.load().expect("readable");
    let reader = Arc::new(MemoryLog::new());
    let config = PollerConfig::new(NodeId(1), 5);
    let started = Poller::new(config, stored, vec![(GROUP, applied)], reader);
    assert!(matches!(started, Err(StartError::Position { group: GroupId(1), .. })));
}

/// 6: raft-rs drops a read-index request of a leader that has not committed in its term.
#[test]
fn a_read_right_after_an_election_waits_for_a_commit_of_the_new_term() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    cluster.run(1);
    cluster.input(1, Input::Campaign { group: GROUP });
    // Deliver votes, then hold the logs so that the first entry cannot commit.
    while cluster.leaders(GROUP).is_empty() {
        let (from, to, frame) = cluster.wire.pop_front().expect("an election under way");
        cluster.input(to.0, Input::Frame { from, frame });
    }
    for node in [2, 3] {
        cluster.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    let read = cluster.read(1, GROUP);
    cluster.settle();
    assert_eq!(cluster.result(1, read), None);
    cluster.release_log(2);
    cluster.run(3);
    assert_eq!(cluster.result(1, read), Some(Ok(Done::ReadReady)));
}

/// 6 and 7: neither a lease nor an old confirmation lets a deposed leader answer.
#[test]
fn a_leader_that_is_cut_off_serves_no_read() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let old = cluster.elect(GROUP);
    for other in (1..=3).filter(|n| *n != old) {
        cluster.cut.extend([(old, other), (other, old)]);
    }
    let read = cluster.read(old, GROUP);
    cluster.run(60);
    assert_eq!(cluster.result(old, read), Some(Err(RequestError::NotLeader { leader: None })));
}

/// 6: a read waits until the state machine has what was committed before it.
#[test]
fn a_read_confirmed_by_a_quorum_sees_every_earlier_command() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let write = cluster.propose(leader, GROUP, "x");
    let read = cluster.read(leader, GROUP);
    cluster.run(2);
    assert!(matches!(cluster.result(leader, write), Some(Ok(_))));
    assert_eq!(cluster.result(leader, read), Some(Ok(Done::ReadReady)));
}

/// 8: a stale replica id is another replica; its messages change nothing.
#[test]
fn a_message_for_another_replica_id_is_dropped() {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    let follower = leader % 3 + 1;
    cluster.propose(leader, GROUP, "x");
    let (_, _, frame) =
        cluster.wire.iter().find(|(_, to, _)| to.0 == follower).cloned().expect("sent");
    cluster.settle();
    let third = (1..=3).find(|n| *n != leader && *n != follower).expect("three nodes");
    let before = cluster.nodes[&third].poller.counters().messages_dropped;
    cluster.input(third, Input::Frame { from: NodeId(leader), frame });
    assert_eq!(cluster.nodes[&third].poller.counters().messages_dropped, before + 1);
}

/// 10: raft-rs draws election timeouts from the thread's random source.
#[test]
fn the_same_seeds_give_the_same_frames() {
    let trace = || {
        let mut cluster = TestCluster::new(3, 4, |_| ());
        cluster.run(100);
        for group in 1..=4 {
            let leader = cluster.elect(GroupId(group));
            cluster.propose(leader, GroupId(group), "x");
        }
        cluster.run(20);
        cluster.trace
    };
    let first: Vec<(u64, u64, Bytes)> = trace();
    assert!(!first.is_empty());
    assert_eq!(first, trace());
}
