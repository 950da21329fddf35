//! Changes of a group's members: proposed, applied at one point of the log on every replica, and the
//! way out of a joint configuration.
//!
//! raft-rs counts the majorities and lets no two changes be under way. What it does not do: it leads
//! on after its own removal and panics at the next commit (`maybe_commit`, raft.rs:942), and the
//! joint configurations made here are left by the leader only if its own replica stays a voter.
//! Invariant: I-15.

use std::sync::Arc;

use raft::eraftpb::{Entry, Message};
use raft::{INVALID_ID, INVALID_INDEX, ProgressState};
use ringkv_topology::ReplicaId;

use crate::core::group::Group;
use crate::core::out::Out;
use crate::core::quorum::{self, Standing};
use crate::core::wire;
use crate::members::MembersChange;
use crate::position::LogIndex;
use crate::types::{Done, RequestError, Role, Ticket};

impl Group {
    /// Proposes a change of members, or rejects it.
    pub(crate) fn propose_change(&mut self, change: &MembersChange, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.reject(ticket, self.not_leader());
        } else if !self.may_propose(change) {
            out.completions.reject(ticket, RequestError::ChangeRejected);
        } else if !quorum::survives(&self.members, change, |replica| self.is_sound(replica)) {
            out.completions.reject(ticket, RequestError::QuorumAtRisk);
        } else {
            self.propose_entry(wire::members_proposal(change), vec![ticket], out);
        }
    }

    /// Whether this leader may propose the change now: it is of a newer epoch, no other one is under
    /// way, and it leaves this replica a voter. A leader hands over before it is removed.
    fn may_propose(&self, change: &MembersChange) -> bool {
        let demotes = change.add_learners.iter().any(|(replica, _)| *replica == self.replica);
        change.epoch > self.members.epoch
            && !change.is_leave()
            && !self.members.is_joint()
            && self.knows_members()
            && !demotes
            && !change.remove.contains(&self.replica)
    }

    /// Whether this leader has applied every change that an earlier leader may have made, and none of
    /// its own is under way.
    fn knows_members(&self) -> bool {
        self.raw.raft.commit_to_current_term() && !self.raw.raft.has_pending_conf()
    }

    /// Whether a replica would acknowledge new entries at once, as far as this leader knows.
    fn is_sound(&self, replica: ReplicaId) -> bool {
        replica == self.replica || self.standing(replica).is_some_and(Standing::is_sound)
    }

    fn standing(&self, replica: ReplicaId) -> Option<Standing> {
        let progress = self.raw.raft.prs().get(replica.0)?;
        let matched = LogIndex(progress.matched);
        Some(Standing {
            is_active: self.activity.is_active(replica) && matched > LogIndex::ZERO,
            lag_entries: self.raw.store().last().entries_after(matched),
            needs_snapshot: progress.state == ProgressState::Snapshot
                || progress.pending_request_snapshot != INVALID_INDEX,
        })
    }

    /// Applies a committed change. A change that is not legal does nothing, on every replica alike.
    pub(super) fn change_members(&mut self, entry: &Entry, tickets: Vec<Ticket>, out: &mut Out) {
        let change = MembersChange::decode(&entry.context).expect("a leader made every change");
        let conf = (self.members.admits(&change))
            .then(|| self.raw.apply_conf_change(&wire::conf_change(&change)).ok())
            .flatten();
        let result = match conf {
            Some(conf) => {
                self.members = Arc::new(wire::members_after(&self.members, &change, &conf));
                self.reported.changed(Arc::clone(&self.members), out.batch.number);
                // The commit index is what brings the change back after a crash.
                let state = wire::hard_state_from_raft(&self.raw.raft.hard_state());
                out.batch.hard_state(self.id, state, true);
                if !cfg!(feature = "planted-lease-kept-across-removal") {
                    self.lease.members_changed(out.now.boot_us);
                }
                self.unknown_peers.forget(&self.members.nodes);
                self.step_down_if_removed();
                Ok(Done::Applied(bytes::Bytes::new()))
            }
            None => Err(RequestError::ChangeRejected),
        };
        tickets.into_iter().for_each(|ticket| out.completions.push(ticket, result.clone()));
    }

    /// The planted bug `learner-counts`: what a learner acknowledges counts for a voter.
    pub(super) fn count_for_a_voter(&self, message: &mut Message) {
        let is_learner = self.members.learners.contains(&ReplicaId(message.from));
        let mut voters = self.members.voters.iter().filter(|voter| **voter != self.replica);
        if let Some(voter) = voters.next().filter(|_| is_learner && !message.reject) {
            message.from = voter.0;
        }
    }

    /// Ends leadership here once this replica has no vote any more. The change may have been proposed
    /// by an earlier leader, so that it was not refused here.
    fn step_down_if_removed(&mut self) {
        let leads_without_vote =
            self.role() == Role::Leader && !self.members.is_voter(self.replica);
        if leads_without_vote && !cfg!(feature = "planted-removed-leader-serves") {
            let term = self.raw.raft.term;
            self.raw.raft.become_follower(term, INVALID_ID);
        }
    }

    /// Brings a joint configuration to its end: leaves it, or hands over to a voter that can. Every
    /// later leader does the same until it is left.
    pub(super) fn settle_joint(&mut self, out: &mut Out) {
        let is_free = || self.raw.raft.lead_transferee.is_none() && self.knows_members();
        if !self.members.is_joint() || self.role() != Role::Leader || !is_free() {
            return;
        }
        if self.members.voters.contains(&self.replica) {
            let leave = MembersChange { epoch: self.members.epoch, ..MembersChange::default() };
            self.propose_entry(wire::members_proposal(&leave), Vec::new(), out);
        } else if let Some(heir) = self.best_heir() {
            self.offer_leadership(heir);
        }
    }

    /// The voter of the next configuration with the longest log, of those that are sound.
    fn best_heir(&self) -> Option<ReplicaId> {
        let voters = self.members.voters.iter().copied().filter(|voter| *voter != self.replica);
        let sound = voters.filter(|voter| self.is_sound(*voter));
        sound.min_by_key(|voter| self.standing(*voter).map(|standing| standing.lag_entries))
    }
}
