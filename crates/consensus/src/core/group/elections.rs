//! When this replica stands for election, gives its vote, and hands leadership over.
//!
//! raft-rs counts the votes; what stands here is what it does not know: a state that is wrong or
//! being replaced, the promise that a lease counts on, and our own election timeouts.
//! Invariant: I-13 (no vote within an election timeout of a heartbeat, restarts included).

use raft::eraftpb::{Message, MessageType};
use ringkv_topology::NodeId;

use crate::core::config::PollerConfig;
use crate::core::group::Group;
use crate::types::Role;

/// raft-rs draws its election timeout from the thread's random source. It is told to draw from a
/// range so wide that a draw is always above every timeout of ours, noticed and replaced (pitfall
/// 10); that one of its draws falls among ours has a chance below 10⁻¹⁷.
pub(super) const DRAW_MAX: usize = usize::MAX >> 1;

impl Group {
    /// The replica is new, and durable with log batch `batch`. Until then it says nothing that a
    /// lease could count on: a crash would leave no sign that there was a replica.
    pub(crate) fn created(&mut self, batch: u64) {
        self.creation = Some(batch);
    }

    /// Keeps the promise that an earlier life may have given to a leader: no vote for an election
    /// timeout, since a lease may count on this replica. The only voter has no one to wait for.
    pub(crate) fn restarted(&mut self, config: &PollerConfig) {
        if self.members.voters == [self.replica] && self.members.outgoing.is_empty() {
            self.campaign(config);
        } else if !cfg!(feature = "planted-vote-after-restart") {
            self.promised_ticks = config.election_ticks;
        }
    }

    /// Stands for election unless there is a leader.
    pub(crate) fn campaign(&mut self, config: &PollerConfig) {
        let promised = self.promised_ticks > 0;
        let leaderless = self.raw.raft.leader_id == 0;
        if self.may_stand() && !promised && leaderless && self.raw.raft.promotable() {
            // Refused only while a membership change is not applied; the tick will try again.
            let _ = self.raw.campaign();
            self.settle_timeout(config);
        }
    }

    /// Whether an election may begin here. Not on a state that is wrong, nor during an install:
    /// raft-rs looks at the entries that are not applied first, and panics where the snapshot has
    /// taken their place.
    pub(super) fn may_stand(&self) -> bool {
        self.installing.is_none() && !self.diverged
    }

    /// Whether a message would have this replica stand, vote or promise before it may.
    pub(super) fn comes_early(&self, message: &Message) -> bool {
        match message.get_msg_type() {
            MessageType::MsgTimeoutNow => !self.may_stand(),
            MessageType::MsgHeartbeat => self.creation.is_some(),
            // Who offers leadership has given its lease up, and the offer is void in any later
            // term.
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => {
                self.promised_ticks > 0 && message.context != raft::CAMPAIGN_TRANSFER
            }
            _ => false,
        }
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

    /// Hands leadership to whoever is furthest along.
    pub(crate) fn abdicate(&mut self) {
        let peers = self.status().peers;
        let best = peers.iter().filter(|p| p.voter && p.recently_active).max_by_key(|p| p.matched);
        if let Some(best) = best {
            self.transfer_leader(best.node);
        }
    }

    /// Replaces an election timeout raft-rs has drawn by one of ours.
    pub(super) fn settle_timeout(&mut self, config: &PollerConfig) {
        if self.raw.raft.randomized_election_timeout() >= 2 * config.election_ticks {
            let span = config.election_ticks as u64;
            let extra = usize::try_from(self.random.next() % span).expect("below election_ticks");
            self.raw.raft.set_randomized_election_timeout(config.election_ticks + extra);
        }
    }
}

/// A small deterministic generator (Steele, Lea, Flood: SplitMix64) for election timeouts.
pub(super) struct SplitMix(pub(super) u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
