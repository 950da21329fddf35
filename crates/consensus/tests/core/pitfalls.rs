//! The pitfalls of raft-rs, each as a test that fails when it is stepped into.

use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, Done, Input, LogReader, MemoryLog, Poller, PollerConfig, Refusal, StartError,
};
use ringkv_topology::{GroupId, NodeId};

use crate::lab::{GROUP, Lab};

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
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let away = leader % 3 + 1;
    lab.cut.extend([(leader, away), (away, leader)]);
    for i in 0..200 {
        lab.propose(leader, GROUP, format!("{i}"));
        lab.settle();
    }
    lab.cut.clear();
    let sent = lab.trace.len();
    lab.run(20);
    assert_eq!(lab.commands(away, GROUP).len(), 200);
    let frames = lab.trace[sent..].iter().filter(|(f, t, _)| (*f, *t) == (leader, away)).count();
    assert!(frames < 40, "{frames} frames for 200 entries");
}

/// 2: a follower would forward proposals without a word.
#[test]
fn a_follower_refuses_proposals_and_names_the_leader() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let follower = leader % 3 + 1;
    let sent = lab.trace.len();
    let ticket = lab.propose(follower, GROUP, "x");
    let refusal = Refusal::NotLeader { leader: Some(NodeId(leader)) };
    assert_eq!(lab.result(follower, ticket), Some(Err(refusal)));
    assert_eq!(lab.trace.len(), sent, "nothing was forwarded");
}

/// 3: an acknowledgement or vote that leaves before its fsync is a lie after a crash.
#[test]
fn a_follower_acknowledges_only_what_is_durable() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    for node in (1..=3).filter(|n| *n != leader) {
        lab.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    let ticket = lab.propose(leader, GROUP, "x");
    lab.run(3);
    assert_eq!(lab.result(leader, ticket), None, "no quorum has it on disk");
    lab.release_log(leader % 3 + 1);
    lab.settle();
    assert!(matches!(lab.result(leader, ticket), Some(Ok(Done::Applied(_)))));
}

/// 3: the same for votes.
#[test]
fn a_vote_is_given_only_when_it_is_durable() {
    let mut lab = Lab::new(3, 1, |_| ());
    for node in [2, 3] {
        lab.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    lab.run(1);
    lab.input(1, Input::Campaign { group: GROUP });
    lab.settle();
    assert_eq!(lab.leaders(GROUP), Vec::<u64>::new());
    lab.release_log(2);
    lab.settle();
    assert_eq!(lab.leaders(GROUP), [1]);
}

/// 4: what is behind the in-memory tail is fetched beside the poller.
#[test]
fn old_entries_for_a_follower_are_fetched_and_not_read_in_line() {
    let mut lab = Lab::new(3, 1, |config| config.tail_bytes_max = 0);
    let leader = lab.elect(GROUP);
    let away = leader % 3 + 1;
    lab.cut.extend([(leader, away), (away, leader)]);
    for i in 0..50 {
        lab.propose(leader, GROUP, format!("{i}"));
        lab.run(1);
    }
    lab.cut.clear();
    lab.run(40);
    assert_eq!(lab.commands(away, GROUP).len(), 50);
    assert!(lab.nodes[&leader].fetches > 0);
    assert_eq!(lab.nodes[&leader].builds, 0, "and no snapshot was needed");
}

/// 5: raft-rs panics if the applied index is above the stored commit index.
#[test]
fn a_node_starts_when_more_was_applied_than_its_hard_state_says() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    lab.propose(leader, GROUP, "x");
    lab.settle();
    // No tick since: the risen commit index has not been written, and a crash loses it.
    let stopped = lab.crash(leader);
    let stored = stopped.log.load().expect("readable");
    let applied = stopped.machine[&GROUP].0.position.index;
    assert!(stored[0].hard_state.commit < applied, "the case this test is about");
    lab.restart(leader, stopped);
    lab.run(40);
    assert_eq!(lab.commands(leader, GROUP), ["x"]);
}

/// 5: a state machine ahead of its log belongs to another directory.
#[test]
fn a_state_machine_outside_its_log_is_refused() {
    let mut lab = Lab::new(1, 1, |_| ());
    lab.elect(GROUP);
    let stopped = lab.crash(1);
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
    let mut lab = Lab::new(3, 1, |_| ());
    lab.run(1);
    lab.input(1, Input::Campaign { group: GROUP });
    // Deliver votes, then hold the logs so that the first entry cannot commit.
    while lab.leaders(GROUP).is_empty() {
        let (from, to, frame) = lab.wire.pop_front().expect("an election under way");
        lab.input(to.0, Input::Frame { from, frame });
    }
    for node in [2, 3] {
        lab.nodes.get_mut(&node).expect("runs").hold_log = true;
    }
    let read = lab.read(1, GROUP);
    lab.settle();
    assert_eq!(lab.result(1, read), None);
    lab.release_log(2);
    lab.run(3);
    assert_eq!(lab.result(1, read), Some(Ok(Done::ReadReady)));
}

/// 6 and 7: neither a lease nor an old confirmation lets a deposed leader answer.
#[test]
fn a_leader_that_is_cut_off_serves_no_read() {
    let mut lab = Lab::new(3, 1, |_| ());
    let old = lab.elect(GROUP);
    for other in (1..=3).filter(|n| *n != old) {
        lab.cut.extend([(old, other), (other, old)]);
    }
    let read = lab.read(old, GROUP);
    lab.run(60);
    assert_eq!(lab.result(old, read), Some(Err(Refusal::NotLeader { leader: None })));
}

/// 6: a read waits until the state machine has what was committed before it.
#[test]
fn a_read_confirmed_by_a_quorum_sees_every_earlier_command() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let write = lab.propose(leader, GROUP, "x");
    let read = lab.read(leader, GROUP);
    lab.run(2);
    assert!(matches!(lab.result(leader, write), Some(Ok(_))));
    assert_eq!(lab.result(leader, read), Some(Ok(Done::ReadReady)));
}

/// 8: a stale replica id is another life; its messages change nothing.
#[test]
fn a_message_for_another_replica_id_is_dropped() {
    let mut lab = Lab::new(3, 1, |_| ());
    let leader = lab.elect(GROUP);
    let follower = leader % 3 + 1;
    lab.propose(leader, GROUP, "x");
    let (_, _, frame) = lab.wire.iter().find(|(_, to, _)| to.0 == follower).cloned().expect("sent");
    lab.settle();
    let third = (1..=3).find(|n| *n != leader && *n != follower).expect("three nodes");
    let before = lab.nodes[&third].poller.counters().messages_dropped;
    lab.input(third, Input::Frame { from: NodeId(leader), frame });
    assert_eq!(lab.nodes[&third].poller.counters().messages_dropped, before + 1);
}

/// 10: raft-rs draws election timeouts from the thread's random source.
#[test]
fn the_same_seeds_give_the_same_frames() {
    let trace = || {
        let mut lab = Lab::new(3, 4, |_| ());
        lab.run(100);
        for group in 1..=4 {
            let leader = lab.elect(GroupId(group));
            lab.propose(leader, GroupId(group), "x");
        }
        lab.run(20);
        lab.trace
    };
    let first: Vec<(u64, u64, Bytes)> = trace();
    assert!(!first.is_empty());
    assert_eq!(first, trace());
}
