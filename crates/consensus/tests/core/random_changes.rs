//! Random changes of members under random faults, with the promises of Raft recomputed after every
//! step from what the nodes show.

use std::collections::BTreeMap;

use bytes::Bytes;
use ringkv_consensus::{Input, LogIndex, Members, MembersChange, Role, Term};
use ringkv_topology::{Epoch, NodeId, ReplicaId};

use crate::test_cluster::{GROUP, TestCluster};

const NODES: u64 = 6;

struct Run {
    random: u64,
    cluster: TestCluster,
    epoch: u64,
    replicas: u64,
    /// The last replica that was to join, by its node.
    planned: BTreeMap<u64, ReplicaId>,
    leaders: BTreeMap<Term, ReplicaId>,
    /// The members by the index at which they were applied, and all that was applied.
    members: BTreeMap<LogIndex, Members>,
    commands: Vec<Bytes>,
    changes: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut cluster = TestCluster::new(3, 1, |config| {
            config.log_entries_max = 20;
            config.log_entries_kept = 5;
            config.snapshot_ticks_kept = 20;
        });
        for node in 4..=NODES {
            cluster.add_node(node, |_| ());
        }
        Self {
            random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1,
            cluster,
            epoch: 0,
            replicas: 200,
            planned: BTreeMap::new(),
            leaders: BTreeMap::new(),
            members: BTreeMap::new(),
            commands: Vec::new(),
            changes: 0,
        }
    }

    /// A number below `end` (xorshift).
    fn below(&mut self, end: u64) -> u64 {
        for (left, shift) in [(true, 13), (false, 7), (true, 17)] {
            self.random ^= if left { self.random << shift } else { self.random >> shift };
        }
        (self.random >> 16) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        let at = self.below(from.len().max(1) as u64);
        from.get(usize::try_from(at).expect("small")).copied()
    }

    fn step(&mut self) {
        let node = self.below(NODES) + 1;
        match self.below(100) {
            0..40 => self.cluster.input(node, Input::Tick),
            40..80 => {
                for _ in 0..self.below(8) {
                    self.cluster.deliver_next();
                }
            }
            80..86 => {
                self.cluster.propose(node, GROUP, format!("{}", self.random));
            }
            86 => self.cluster.input(node, Input::Campaign { group: GROUP }),
            87 => {
                let to = NodeId(self.below(NODES) + 1);
                self.cluster.input(node, Input::TransferLeader { group: GROUP, to });
            }
            88 => {
                let other = self.below(NODES) + 1;
                self.cluster.cut.insert((node, other));
            }
            89 | 90 => self.cluster.cut.clear(),
            91 => self.cluster.node(node).hold_log = true,
            92 => self.cluster.release_log(node),
            93 => self.cluster.node(node).hold_apply = true,
            94 => self.cluster.release_apply(node),
            95 => {
                let stopped = self.cluster.crash(node);
                self.cluster.restart(node, stopped);
            }
            96 => self.reconcile(node),
            _ => self.change(),
        }
    }

    /// Asks each leader for a random change.
    fn change(&mut self) {
        for leader in self.cluster.leaders(GROUP) {
            let members = self.cluster.members(leader);
            self.epoch += 1;
            let mut change = MembersChange { epoch: Epoch(self.epoch), ..MembersChange::default() };
            let node_of = |replica: ReplicaId| members.node_of(replica).expect("a member");
            match self.below(4) {
                0 if members.learners.len() < 2 => {
                    let last = self.members.last_key_value().map(|(_, last)| &last.nodes);
                    let named = last.into_iter().flatten().chain(&members.nodes);
                    let taken = |node: &u64| named.clone().any(|(_, at)| at.0 == *node);
                    let free: Vec<u64> = (1..=NODES).filter(|node| !taken(node)).collect();
                    let Some(node) = self.pick(&free) else { continue };
                    let replica = self.next_on(node);
                    self.cluster.create(node, replica, Members::default());
                    change.add_learners = vec![(replica, NodeId(node))];
                }
                1 if members.voters.len() > 1 => change.remove.extend(self.pick(&members.voters)),
                2 => {
                    let promoted = self.pick(&members.learners);
                    change.add_voters.extend(promoted.map(|replica| (replica, node_of(replica))));
                }
                _ => {
                    let promoted = self.pick(&members.learners);
                    change.add_voters.extend(promoted.map(|replica| (replica, node_of(replica))));
                    change.remove.extend(self.pick(&members.voters));
                }
            }
            self.cluster.change(leader, change);
        }
    }

    /// The replica that a node has next: that of a change which was not made, else a new one.
    fn next_on(&mut self, node: u64) -> ReplicaId {
        let planned = self.planned.get(&node).copied();
        planned.filter(|replica| !self.was_member(*replica)).unwrap_or_else(|| {
            self.replicas += 1;
            self.planned.insert(node, ReplicaId(self.replicas));
            ReplicaId(self.replicas)
        })
    }

    fn was_member(&self, replica: ReplicaId) -> bool {
        self.members.values().any(|members| members.nodes.contains_key(&replica))
    }

    /// Destroys the replica of a node if the last known members are without it, and creates the one
    /// that is among them. A majority must know of the removal: before, its vote may be needed.
    fn reconcile(&mut self, node: u64) {
        let Some((_, members)) = self.members.last_key_value() else { return };
        let here = self.cluster.status(node, GROUP).map(|status| status.replica);
        let named = members.nodes.iter().find(|(_, at)| at.0 == node).map(|(replica, _)| *replica);
        let is_out =
            |replica: &ReplicaId| !members.nodes.contains_key(replica) && self.was_member(*replica);
        let knows = |voter: &&ReplicaId| {
            let at = members.node_of(**voter).expect("a member");
            let status = self.cluster.status(at.0, GROUP);
            status.is_some_and(|known| known.replica == **voter && *known.members == *members)
        };
        let is_known = 2 * members.voters.iter().filter(knows).count() > members.voters.len();
        let removed = here.filter(is_out).filter(|_| is_known);
        if let Some(replica) = removed {
            self.cluster.input(node, Input::Destroy { group: GROUP, replica });
        }
        if let Some(replica) = named {
            self.cluster.create(node, replica, Members::default());
        }
    }

    /// One leader a term, which has a vote; the same members and commands on every replica.
    fn check(&mut self) {
        for node in 1..=NODES {
            if let Some(status) = self.cluster.status(node, GROUP)
                && status.role == Role::Leader
            {
                let leads = *self.leaders.entry(status.term).or_insert(status.replica);
                assert_eq!(leads, status.replica, "two leaders in term {}", status.term.0);
                assert!(status.members.is_voter(status.replica), "a leader without a vote");
            }
            let Some((applied, commands)) = self.cluster.nodes[&node].machine.get(&GROUP) else {
                continue;
            };
            let members = &applied.members;
            let known =
                self.members.entry(applied.position.index).or_insert_with(|| members.clone());
            assert_eq!(known, members, "at {}", applied.position);
            let same = commands.len().min(self.commands.len());
            assert_eq!(commands[..same], self.commands[..same], "node {node}");
            self.commands.extend_from_slice(&commands[same..]);
        }
    }

    /// Ends all faults: the group must elect, leave what is joint, and commit.
    fn heal(&mut self) {
        self.cluster.cut.clear();
        for node in 1..=NODES {
            self.cluster.release_log(node);
            self.cluster.release_apply(node);
        }
        for _ in 0..40 {
            (1..=NODES).for_each(|node| self.reconcile(node));
            self.cluster.run(10);
            self.check();
        }
        let leaders = self.cluster.leaders(GROUP);
        let &[leader] = &leaders[..] else { panic!("led by {leaders:?}") };
        let members = self.cluster.members(leader);
        assert!(!members.is_joint(), "{members:?}");
        self.changes = members.epoch.0;
        let ticket = self.cluster.propose(leader, GROUP, "last");
        self.cluster.run(5);
        assert!(self.cluster.result(leader, ticket).is_some_and(|result| result.is_ok()));
        for node in members.nodes.values() {
            assert_eq!(self.cluster.commands(node.0, GROUP), self.cluster.commands(leader, GROUP));
        }
    }
}

#[test]
fn random_changes_under_random_faults_keep_every_promise() {
    let seeds = 60;
    let mut changed = 0;
    for seed in 0..seeds {
        println!("seed {seed}");
        let mut run = Run::new(seed);
        run.cluster.elect(GROUP);
        for _ in 0..3_000 {
            run.step();
            run.check();
        }
        run.heal();
        changed += u64::from(run.changes > 0);
    }
    assert!(changed > seeds / 2, "{changed} of {seeds} runs changed the members");
}
