//! When this replica stands for election, votes, and transfers leadership.
//!
//! Brings together what [`Elections`](crate::core::elections::Elections) knows and raft-rs does not:
//! a state that is wrong or being replaced, the promise that a lease counts on, our own timeouts.

use raft::eraftpb::Message;
use ringkv_topology::{NodeId, ReplicaId};

use crate::core::config::PollerConfig;
use crate::core::group::Group;
use crate::types::Role;

impl Group {
    /// The replica is new, and durable with log batch `batch`.
    pub(crate) fn created(&mut self, batch: u64) {
        self.elections.created(batch);
    }

    /// Keeps the promise that an earlier run of the process may have given to a leader: no vote for
    /// an election timeout, since a lease may count on this replica. The only voter has no one to
    /// wait for.
    pub(crate) fn restarted(&mut self, config: &PollerConfig) {
        if self.members.is_only_voter(self.replica) {
            self.campaign(config);
        } else if !cfg!(feature = "planted-vote-after-restart") {
            self.elections.promise(config);
        }
    }

    /// Stands for election unless there is a leader.
    pub(crate) fn campaign(&mut self, config: &PollerConfig) {
        let leaderless = self.raw.raft.leader_id == 0;
        let free = self.may_stand() && !self.elections.has_promised();
        if free && leaderless && self.raw.raft.promotable() {
            // Rejected only while a membership change is not applied; the tick will try again.
            let _ = self.raw.campaign();
            self.settle_timeout(config);
        }
    }

    /// Whether an election may begin here. Not on a state that is wrong, nor during an install:
    /// raft-rs looks at the entries that are not applied first, and panics where the snapshot has
    /// taken their place. Not as the only voter while the tail is not durable: raft-rs makes it the
    /// leader at once, and panics (`become_leader`, raft.rs:1214).
    pub(super) fn may_stand(&self) -> bool {
        let log = &self.raw.raft.raft_log;
        !self.snapshots.is_installing()
            && !self.snapshots.has_diverged()
            && (!self.members.is_only_voter(self.replica) || log.persisted == log.last_index())
    }

    /// Whether a message would have this replica stand, vote or promise before it may.
    pub(super) fn is_too_early(&self, message: &Message) -> bool {
        self.elections.is_too_early(message, self.may_stand())
    }

    /// Hands leadership to the replica on `to`, if this is the leader and that one will still vote
    /// in the next configuration. A node may have the old and the next replica of the group.
    pub(crate) fn transfer_leader(&mut self, to: NodeId) {
        let mut voters = self.members.voters.iter().rev().copied();
        let target = voters.find(|voter| self.members.node_of(*voter) == Some(to));
        if let Some(target) = target
            && self.role() == Role::Leader
            && target != self.replica
        {
            self.offer_leadership(target);
        }
    }

    pub(super) fn offer_leadership(&mut self, target: ReplicaId) {
        self.lease.offer_leadership();
        self.raw.transfer_leader(target.0);
    }

    /// Transfers leadership to the follower with the longest log.
    pub(crate) fn abdicate(&mut self) {
        let peers = self.status().peers;
        let heirs = peers.iter().filter(|peer| self.members.voters.contains(&peer.replica));
        let best = heirs.filter(|peer| peer.recently_active).max_by_key(|peer| peer.matched);
        if let Some(best) = best {
            self.transfer_leader(best.node);
        }
    }

    /// Replaces an election timeout that raft-rs has drawn by one of ours.
    pub(super) fn settle_timeout(&mut self, config: &PollerConfig) {
        let drawn = self.raw.raft.randomized_election_timeout();
        if let Some(ticks) = self.elections.replace_timeout(drawn, config) {
            self.raw.raft.set_randomized_election_timeout(ticks);
        }
    }
}
