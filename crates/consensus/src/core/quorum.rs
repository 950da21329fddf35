//! Whether a change of members leaves the group able to commit.
//!
//! A change is checked before it is proposed: the voters before it and the voters after it each need
//! a majority of replicas that answer and hold nearly all of the log, since until a joint
//! configuration is left both must agree. Pure: what is known of each replica comes as an argument.

use std::collections::BTreeSet;

use ringkv_topology::ReplicaId;

use crate::members::{Members, MembersChange};

/// How many entries a replica may be behind the leader and still count as caught up. It receives
/// them in one append of ordinary commands.
pub(crate) const LAG_MAX: u64 = 1_000;

/// What a leader knows of another replica.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// Heard from within the last election timeout.
    pub(crate) is_active: bool,
    /// How many entries it is behind the leader's log.
    pub(crate) lag_entries: u64,
    /// The log does not have what it needs.
    pub(crate) needs_snapshot: bool,
}

impl Standing {
    /// Whether it acknowledges new entries at once.
    pub(crate) fn is_sound(self) -> bool {
        self.is_active && !self.needs_snapshot && self.lag_entries <= LAG_MAX
    }
}

/// Whether both halves of the configuration that the change makes have a majority of sound replicas,
/// and every learner that it promotes is sound itself.
pub(crate) fn survives(
    members: &Members,
    change: &MembersChange,
    is_sound: impl Fn(ReplicaId) -> bool,
) -> bool {
    let old: BTreeSet<ReplicaId> = members.voters.iter().copied().collect();
    let mut new = old.clone();
    new.extend(change.add_voters.iter().map(|(replica, _)| *replica));
    for gone in change.add_learners.iter().map(|(replica, _)| replica).chain(&change.remove) {
        new.remove(gone);
    }
    let mut promoted = members.learners.iter().filter(|learner| new.contains(learner));
    promoted.all(|learner| is_sound(*learner))
        && [old, new].iter().all(|half| has_majority(half, &is_sound))
}

fn has_majority(voters: &BTreeSet<ReplicaId>, is_sound: impl Fn(ReplicaId) -> bool) -> bool {
    let sound = voters.iter().filter(|voter| is_sound(**voter)).count();
    sound > voters.len() / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ringkv_topology::NodeId;

    use super::*;

    fn ids(list: impl IntoIterator<Item = u64>) -> Vec<ReplicaId> {
        list.into_iter().map(ReplicaId).collect()
    }

    fn members(voters: &[u64], learners: &[u64]) -> Members {
        let (voters, learners) = (ids(voters.to_vec()), ids(learners.to_vec()));
        Members { voters, learners, ..Members::default() }
    }

    fn change(voters: &[u64], learners: &[u64], remove: &[u64]) -> MembersChange {
        let on_node = |list: &[u64]| list.iter().map(|id| (ReplicaId(*id), NodeId(*id))).collect();
        MembersChange {
            add_voters: on_node(voters),
            add_learners: on_node(learners),
            remove: ids(remove.to_vec()),
            ..MembersChange::default()
        }
    }

    #[test]
    fn a_replica_is_sound_while_it_answers_and_is_close_behind() {
        let sound = Standing { is_active: true, lag_entries: LAG_MAX, needs_snapshot: false };
        assert!(sound.is_sound());
        assert!(!Standing { is_active: false, ..sound }.is_sound());
        assert!(!Standing { lag_entries: LAG_MAX + 1, ..sound }.is_sound());
        assert!(!Standing { needs_snapshot: true, ..sound }.is_sound());
    }

    #[test]
    fn each_half_needs_a_majority_and_a_promoted_learner_must_have_caught_up() {
        let sound = |list: &'static [u64]| move |replica: ReplicaId| list.contains(&replica.0);
        let three = members(&[1, 2, 3], &[4]);
        let swap = change(&[4], &[], &[3]);
        assert!(survives(&three, &swap, sound(&[1, 2, 4])));
        assert!(!survives(&three, &swap, sound(&[1, 4])), "the old half");
        assert!(!survives(&three, &swap, sound(&[1, 3, 2])), "the learner");
        assert!(survives(&three, &change(&[], &[], &[3]), sound(&[1, 2])), "a dead one goes");
        assert!(!survives(&three, &change(&[], &[], &[2]), sound(&[1, 2])), "a live one does not");
        assert!(!survives(&three, &change(&[], &[3], &[]), sound(&[2, 3])), "a demotion counts");
        assert!(!survives(&members(&[1], &[]), &change(&[2], &[], &[]), sound(&[1])), "1 of 2");
        assert!(
            !survives(&members(&[1], &[]), &change(&[], &[], &[1]), sound(&[1])),
            "none is left"
        );
    }

    proptest! {
        /// Recomputed by counting over every replica id.
        #[test]
        fn it_agrees_with_a_count_of_each_half(
            old in prop::collection::btree_set(1..8u64, 1..5),
            learners in prop::collection::btree_set(8..11u64, 0..3),
            added in prop::collection::btree_set(1..11u64, 0..4),
            removed in prop::collection::btree_set(1..11u64, 0..4),
            sound in prop::collection::btree_set(1..11u64, 0..10),
        ) {
            let members = Members {
                voters: ids(old.iter().copied()),
                learners: ids(learners.iter().copied()),
                ..Members::default()
            };
            let (added, removed): (Vec<u64>, Vec<u64>) =
                (added.into_iter().collect(), removed.into_iter().collect());
            let is_new = |id: &u64| (old.contains(id) || added.contains(id)) && !removed.contains(id);
            let count = |is_voter: &dyn Fn(&u64) -> bool| {
                let voters: Vec<u64> = (1..11).filter(is_voter).collect();
                2 * voters.iter().filter(|id| sound.contains(id)).count() > voters.len()
            };
            let promoted = learners.iter().filter(|id| is_new(id)).all(|id| sound.contains(id));
            let expected = promoted && count(&|id| old.contains(id)) && count(&is_new);
            let change = change(&added, &[], &removed);
            prop_assert_eq!(survives(&members, &change, |id| sound.contains(&id.0)), expected);
        }

        /// What commits a change is a majority of each half; one more sound replica never hurts.
        #[test]
        fn more_sound_replicas_never_put_a_change_at_risk(
            removed in prop::collection::btree_set(1..6u64, 0..4),
            added in prop::collection::btree_set(1..9u64, 0..4),
            sound in prop::collection::btree_set(1..9u64, 0..9),
            more in 1..9u64,
        ) {
            let members = members(&[1, 2, 3, 4, 5], &[6, 7]);
            let (added, removed): (Vec<u64>, Vec<u64>) =
                (added.into_iter().collect(), removed.into_iter().collect());
            let change = change(&added, &[], &removed);
            if survives(&members, &change, |id| sound.contains(&id.0)) {
                let with_more = |id: ReplicaId| id.0 == more || sound.contains(&id.0);
                prop_assert!(survives(&members, &change, with_more));
            }
        }
    }
}
