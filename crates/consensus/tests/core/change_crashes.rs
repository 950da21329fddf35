//! A crash at every step of a change of members: before and after each append, fsync and apply of the
//! joint configuration and of the one after it, on every replica that takes part.

use std::collections::BTreeSet;

use ringkv_consensus::Input;
use ringkv_topology::{Epoch, NodeId};

use crate::test_cluster::{GROUP, TestCluster, members_change, replica};

/// What the node that crashes has not done until then.
#[derive(Clone, Copy, Debug)]
enum Held {
    Nothing,
    Log,
    Apply,
}

/// Replaces a voter by the learner on node 4; `victim` crashes after `frames` frames and comes back.
/// Returns whether the change was still under way by then.
fn crash_during_a_replacement(victim: impl Fn(u64) -> u64, held: Held, frames: usize) -> bool {
    let mut cluster = TestCluster::new(3, 1, |_| ());
    let leader = cluster.elect(GROUP);
    cluster.newcomer(4);
    cluster.change(leader, members_change(1, &[], &[4], &[]));
    cluster.propose(leader, GROUP, "before");
    cluster.run(20);
    let (leaving, victim) = (leader % 3 + 1, victim(leader));
    let swap = members_change(2, &[4], &[], &[leaving]);
    match held {
        Held::Nothing => {}
        Held::Log => cluster.node(victim).hold_log = true,
        Held::Apply => cluster.node(victim).hold_apply = true,
    }
    cluster.change(leader, swap.clone());
    let under_way = (0..frames).all(|_| cluster.deliver_next());
    let stopped = cluster.crash(victim);
    cluster.run(5);
    cluster.restart(victim, stopped);
    // The reconciler proposes again what is not done.
    for _ in 0..3 {
        cluster.run(60);
        for leader in cluster.leaders(GROUP) {
            if leader == leaving {
                let to = NodeId(leaving % 3 + 1);
                cluster.input(leader, Input::TransferLeader { group: GROUP, to });
            } else {
                cluster.change(leader, swap.clone());
            }
        }
    }
    cluster.run(60);
    let leaders = cluster.leaders(GROUP);
    let &[leader] = &leaders[..] else { panic!("{victim} {held:?} {frames}: led by {leaders:?}") };
    let members = cluster.members(leader);
    let voters: BTreeSet<_> = members.voters.iter().copied().collect();
    let expected = (1..=4).filter(|node| *node != leaving).map(|node| replica(1, node)).collect();
    assert_eq!(voters, expected, "{victim} {held:?} {frames}");
    assert!(!members.is_joint() && members.epoch == Epoch(2));
    cluster.propose(leader, GROUP, "after");
    cluster.run(5);
    for node in (1..=4).filter(|node| *node != leaving) {
        assert_eq!(cluster.commands(node, GROUP), ["before", "after"], "node {node}");
        assert_eq!(cluster.members(node), members, "node {node}");
    }
    under_way
}

#[test]
fn a_change_is_finished_or_not_made_wherever_a_crash_comes() {
    let victims: [fn(u64) -> u64; 4] =
        [|leader| leader, |leader| leader % 3 + 1, |leader| (leader + 1) % 3 + 1, |_| 4];
    for victim in victims {
        for held in [Held::Nothing, Held::Log, Held::Apply] {
            let steps =
                (0..).take_while(|frames| crash_during_a_replacement(victim, held, *frames));
            let steps = steps.count();
            assert!((5..100).contains(&steps), "{steps} steps");
        }
    }
}
