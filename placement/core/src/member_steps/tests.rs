use std::collections::BTreeMap;
use std::sync::Arc;

use ringkv_consensus::{Role as RaftRole, Term};
use ringkv_topology::Epoch;

use super::*;
use crate::command::{Command, CommandResult};
use crate::image::GROUP;
use crate::state::State;

/// A placement whose members in force follow its steps.
struct Placement {
    state: State,
    leader: ReplicaId,
    members: Members,
    live: BTreeSet<ReplicaId>,
    lag: BTreeMap<ReplicaId, u64>,
}

fn ids<const N: usize>(ids: [u64; N]) -> BTreeSet<ReplicaId> {
    ids.map(ReplicaId).into()
}

impl Placement {
    /// A founder at the first of three places.
    fn founded() -> Self {
        let peers = (1..=3).map(|at| (Place(at), format!("p{at}:7000"))).collect();
        Self {
            state: State::founded(Place(1), &peers),
            leader: ReplicaId(1),
            members: Members::of_voters([(ReplicaId(1), NodeId(1))]),
            live: ids([1]),
            lag: BTreeMap::new(),
        }
    }

    fn of_three() -> Self {
        let mut placement = Self::founded();
        placement.admit(2);
        placement.admit(3);
        placement.live = ids([1, 2, 3]);
        placement.settle();
        assert_eq!(placement.members.voters, [1, 2, 3].map(ReplicaId));
        placement
    }

    fn apply(&mut self, command: MembersCommand) -> CommandResult {
        self.state.apply(Command::Members(command))
    }

    fn admit(&mut self, place: u64) {
        let address = format!("p{place}:7000");
        let token = self.state.members().last + 1;
        self.apply(MembersCommand::Admit { place: Place(place), address, token });
    }

    fn next(&self) -> Option<Step> {
        let others = self.members.nodes.iter().filter(|(id, _)| **id != self.leader);
        let peer = |(id, node): (&ReplicaId, &NodeId)| PeerStatus {
            node: *node,
            replica: *id,
            matched: LogIndex(1),
            lag_entries: self.lag.get(id).copied().unwrap_or(0),
            recently_active: self.live.contains(id),
            voter: self.members.is_voter(*id),
        };
        let status = GroupStatus {
            group: GROUP,
            replica: self.leader,
            role: RaftRole::Leader,
            term: Term(1),
            leader: Some(node_of(self.leader)),
            commit_index: LogIndex(1),
            applied_index: LogIndex(1),
            first_index: LogIndex(1),
            last_index: LogIndex(1),
            members: Arc::new(self.members.clone()),
            peers: others.map(peer).collect(),
        };
        next(self.state.members(), &status, &self.live)
    }

    /// Does the step, as the engine would.
    fn step(&mut self, step: Step) {
        match step {
            Step::Propose(command) => {
                let done = self.apply(command);
                assert!(!matches!(done, CommandResult::Refused(_)), "{done:?}");
            }
            Step::HandOver(node) => self.leader = ReplicaId(node.0),
            Step::Change(change) => {
                assert!(change.epoch > self.members.epoch);
                assert!(!change.remove.contains(&self.leader), "a leader removes itself");
                let gone = |id: &ReplicaId| change.remove.contains(id);
                self.members.nodes.retain(|id, _| !gone(id));
                self.members.nodes.extend(change.add_voters.iter().copied());
                self.members.nodes.extend(change.add_learners.iter().copied());
                let voters = change.add_voters.iter().map(|(id, _)| *id);
                self.members.voters.extend(voters);
                self.members.voters.retain(|id| !gone(id));
                let learners = change.add_learners.iter().map(|(id, _)| *id);
                self.members.learners.extend(learners);
                let voters = self.members.voters.clone();
                self.members.learners.retain(|id| !gone(id) && !voters.contains(id));
                self.members.epoch = change.epoch;
            }
        }
    }

    fn settle(&mut self) {
        for _ in 0..20 {
            let Some(step) = self.next() else { return };
            self.step(step);
        }
        panic!("the steps do not come to an end");
    }
}

#[test]
fn a_founder_brings_the_others_in() {
    let placement = Placement::of_three();
    assert!(!placement.state.members().is_founding());
    assert_eq!(placement.next(), None);
    assert_eq!(placement.members.epoch, placement.state.members().changed);
}

#[test]
fn a_wiped_replica_is_replaced_and_the_old_one_is_forgotten() {
    let mut placement = Placement::of_three();
    placement.live = ids([1, 3]);
    placement.admit(2);
    placement.settle();
    assert_eq!(placement.members.voters, [1, 2, 3].map(ReplicaId), "not before it is there");
    placement.live = ids([1, 3, 4]);
    placement.lag.insert(ReplicaId(4), LAG_ENTRIES_MAX + 1);
    placement.settle();
    assert!(placement.members.learners.contains(&ReplicaId(4)), "not before it has caught up");
    placement.lag.clear();
    placement.settle();
    assert_eq!(placement.members.voters, [1, 3, 4].map(ReplicaId));
    assert!(!placement.state.members().replicas.contains_key(&ReplicaId(2)));
}

#[test]
fn a_learner_waits_while_the_voters_have_no_live_majority() {
    let mut placement = Placement::of_three();
    placement.admit(2);
    placement.live = ids([1, 4]);
    placement.settle();
    assert_eq!(placement.members.voters, [1, 2, 3].map(ReplicaId));
}

#[test]
fn a_leader_that_is_removed_hands_over_first() {
    let mut placement = Placement::of_three();
    placement.apply(MembersCommand::Remove { replica: ReplicaId(1) });
    assert!(matches!(placement.next(), Some(Step::HandOver(_))));
    placement.settle();
    assert_eq!(placement.members.voters, [2, 3].map(ReplicaId));
}

#[test]
fn a_learner_that_never_was_a_member_is_forgotten_by_a_change_that_notes_the_epoch() {
    let mut placement = Placement::of_three();
    placement.live = ids([1, 3]);
    placement.admit(2);
    placement.admit(2);
    placement.settle();
    let known: Vec<u64> = placement.state.members().replicas.keys().map(|id| id.0).collect();
    assert_eq!(known, [1, 2, 3, 5]);
    assert_eq!(placement.members.epoch, placement.state.members().changed);
}

#[test]
fn nothing_is_done_while_a_configuration_is_joint() {
    let mut placement = Placement::of_three();
    placement.admit(2);
    placement.members.outgoing = vec![ReplicaId(1)];
    assert_eq!(placement.next(), None);
}

#[test]
fn a_live_replica_is_not_replaced_and_a_new_leader_waits() {
    let placement = Placement::of_three();
    let members = placement.state.members();
    let join = MembersCommand::Admit { place: Place(2), address: "p2:7000".into(), token: 9 };
    let alive = MembersRefusal::ReplicaAlive { replica: ReplicaId(2) };
    assert_eq!(admit(&join, members, &ids([1, 2]), true), Err(alive));
    assert_eq!(admit(&join, members, &ids([1]), false), Err(MembersRefusal::LeaderIsNew));
    assert_eq!(admit(&join, members, &ids([1, 3]), true), Ok(()));
    let founder = Placement::founded();
    assert_eq!(admit(&join, founder.state.members(), &ids([1]), false), Ok(()));
}

#[test]
fn a_removal_that_takes_the_majority_is_refused() {
    let placement = Placement::of_three();
    let members = placement.state.members();
    let remove = MembersCommand::Remove { replica: ReplicaId(1) };
    let refusal = admit(&remove, members, &ids([1, 2]), true).unwrap_err();
    let risk = MembersRefusal::QuorumAtRisk { replica: ReplicaId(1), live: 1, voters: 2 };
    assert_eq!(refusal, risk);
    assert_eq!(admit(&remove, members, &ids([1, 2, 3]), true), Ok(()));
    let silent = MembersCommand::Remove { replica: ReplicaId(3) };
    assert_eq!(admit(&silent, members, &ids([1, 2]), true), Ok(()));
    assert_eq!(members.changed, Epoch(2 + 2));
}
