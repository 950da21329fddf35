//! When this replica stands for election, votes, and transfers leadership.
//!
//! Brings together what [`Elections`](crate::core::elections::Elections) knows and raft-rs does not:
//! a state that is wrong or being replaced, the promise that a lease counts on, our own timeouts.

use raft::eraftpb::Message;
use ringkv_topology::NodeId;

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
        if self.members.voters == [self.replica] && self.members.outgoing.is_empty() {
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
    /// taken their place.
    pub(super) fn may_stand(&self) -> bool {
        !self.snapshots.is_installing() && !self.snapshots.has_diverged()
    }

    /// Whether a message would have this replica stand, vote or promise before it may.
    pub(super) fn is_too_early(&self, message: &Message) -> bool {
        self.elections.is_too_early(message, self.may_stand())
    }

    /// Hands leadership to the replica on `to`, if this is the leader and that one votes.
    pub(crate) fn transfer_leader(&mut self, to: NodeId) {
        let target = self.members.nodes.iter().find(|(_, node)| **node == to).map(|(r, _)| *r);
        if let Some(target) = target.filter(|r| self.members.voters.contains(r))
            && self.role() == Role::Leader
            && target != self.replica
        {
            self.lease.offer_leadership();
            self.raw.transfer_leader(target.0);
        }
    }

    /// Transfers leadership to the follower with the longest log.
    pub(crate) fn abdicate(&mut self) {
        let peers = self.status().peers;
        let best = peers.iter().filter(|p| p.voter && p.recently_active).max_by_key(|p| p.matched);
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
