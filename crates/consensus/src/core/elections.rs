//! What raft-rs does not know about elections: promises that a lease counts on, our own timeouts,
//! and what was last seen of the role, the term and the leader.
//!
//! raft-rs counts the votes. Invariant: I-13 (no vote within an election timeout of a heartbeat,
//! restarts included).

use raft::eraftpb::{Message, MessageType};
use ringkv_topology::ReplicaId;

use crate::core::config::PollerConfig;
use crate::position::Term;
use crate::types::Role;

/// raft-rs draws its election timeout from the thread's random source. It is configured to draw from a
/// range so wide that a draw is always above every timeout of ours, noticed and replaced (pitfall
/// 10); that one of its draws falls among ours has a chance below 10⁻¹⁷.
pub(crate) const DRAW_MAX: usize = usize::MAX >> 1;

/// One replica's view of elections.
pub(crate) struct Elections {
    random: SplitMix,
    /// Ticks left in which no candidate gets a vote here: an election timeout after each heartbeat,
    /// and after a restart. raft-rs promises the same, but forgets it with the leader's name, which
    /// any message of a later term makes it do.
    promised_ticks: usize,
    /// The log batch that makes the replica's creation durable, until it is.
    creation: Option<u64>,
    seen: (Role, Term),
    /// The last leader ever seen; 0 for none.
    seen_leader: u64,
}

/// What has changed since the last look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// There is another leader than the last one.
    pub(crate) new_leader: bool,
    /// The replica has begun to stand for election.
    pub(crate) began_election: bool,
    /// The role or the term is another one: every lease has ended.
    pub(crate) term_ended: bool,
    /// The replica led until now.
    pub(crate) lost_leadership: bool,
}

impl Elections {
    /// A replica that starts in `term`.
    pub(crate) fn new(seed: u64, replica: ReplicaId, term: Term) -> Self {
        Self {
            random: SplitMix(seed ^ replica.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            promised_ticks: 0,
            creation: None,
            seen: (Role::Follower, term),
            seen_leader: 0,
        }
    }

    pub(crate) fn tick(&mut self) {
        self.promised_ticks = self.promised_ticks.saturating_sub(1);
    }

    /// No candidate gets a vote here for an election timeout.
    pub(crate) fn promise(&mut self, config: &PollerConfig) {
        self.promised_ticks = config.election_ticks;
    }

    pub(crate) fn has_promised(&self) -> bool {
        self.promised_ticks > 0
    }

    /// The replica is new, and durable with log batch `batch`. Until then it says nothing that a
    /// lease could count on: a crash would leave no sign that there was a replica.
    pub(crate) fn created(&mut self, batch: u64) {
        self.creation = Some(batch);
    }

    /// Log batches up to `batch` are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        self.creation = self.creation.filter(|creation| *creation > batch);
    }

    /// Whether a message would have the replica stand, vote or promise before it may. `may_stand`:
    /// its state is right and no install is under way.
    pub(crate) fn is_too_early(&self, message: &Message, may_stand: bool) -> bool {
        match message.get_msg_type() {
            MessageType::MsgTimeoutNow => !may_stand,
            MessageType::MsgHeartbeat => self.creation.is_some(),
            // Who offers leadership has given its lease up, and the offer is void in any later
            // term.
            MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => {
                self.has_promised() && message.context != raft::CAMPAIGN_TRANSFER
            }
            _ => false,
        }
    }

    /// The election timeout to set in the place of one that raft-rs has drawn; `None` if it is one
    /// of ours already.
    pub(crate) fn replace_timeout(&mut self, drawn: usize, config: &PollerConfig) -> Option<usize> {
        if drawn < 2 * config.election_ticks {
            return None;
        }
        let span = config.election_ticks as u64;
        let extra = usize::try_from(self.random.next() % span).expect("below election_ticks");
        Some(config.election_ticks + extra)
    }

    /// Looks at what raft-rs is now; `leader` is 0 for none.
    pub(crate) fn look(&mut self, role: Role, term: Term, leader: u64) -> Seen {
        let mut seen = Seen::default();
        if leader != 0 && leader != self.seen_leader {
            self.seen_leader = leader;
            seen.new_leader = true;
        }
        if self.seen != (role, term) {
            let (before, _) = std::mem::replace(&mut self.seen, (role, term));
            seen.term_ended = true;
            seen.began_election = role == Role::Candidate && before != Role::Candidate;
            seen.lost_leadership = before == Role::Leader;
        }
        seen
    }
}

/// A small deterministic generator (Steele, Lea, Flood: SplitMix64) for election timeouts.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::NodeId;

    use super::*;

    fn elections() -> (Elections, PollerConfig) {
        (Elections::new(7, ReplicaId(3), Term(2)), PollerConfig::new(NodeId(1), 7))
    }

    fn message(kind: MessageType) -> Message {
        let mut message = Message::default();
        message.set_msg_type(kind);
        message
    }

    #[test]
    fn a_promise_holds_for_an_election_timeout_and_not_against_an_offer_of_leadership() {
        let (mut elections, config) = elections();
        let vote = message(MessageType::MsgRequestPreVote);
        assert!(!elections.is_too_early(&vote, true));
        elections.promise(&config);
        let mut offered = message(MessageType::MsgRequestVote);
        offered.context = raft::CAMPAIGN_TRANSFER.into();
        assert!(!elections.is_too_early(&offered, true));
        for _ in 0..config.election_ticks {
            assert!(elections.is_too_early(&vote, true));
            elections.tick();
        }
        assert!(!elections.is_too_early(&vote, true));
    }

    #[test]
    fn a_replica_that_is_not_durable_hears_no_heartbeat() {
        let (mut elections, _) = elections();
        let heartbeat = message(MessageType::MsgHeartbeat);
        elections.created(4);
        elections.persisted(3);
        assert!(elections.is_too_early(&heartbeat, true));
        elections.persisted(4);
        assert!(!elections.is_too_early(&heartbeat, true));
    }

    #[test]
    fn a_replica_that_may_not_stand_takes_no_offer_of_leadership() {
        let (elections, _) = elections();
        assert!(elections.is_too_early(&message(MessageType::MsgTimeoutNow), false));
        assert!(!elections.is_too_early(&message(MessageType::MsgTimeoutNow), true));
    }

    #[test]
    fn timeouts_of_raft_rs_are_replaced_by_ours_from_the_seed() {
        let draws = || {
            let (mut elections, config) = elections();
            assert_eq!(elections.replace_timeout(config.election_ticks, &config), None);
            let draw = |_| elections.replace_timeout(DRAW_MAX - 1, &config).expect("replaced");
            (0..50).map(draw).collect::<Vec<_>>()
        };
        assert!(draws().iter().all(|ticks| (10..20).contains(ticks)));
        assert_eq!(draws(), draws());
    }

    #[test]
    fn a_change_of_role_or_term_ends_the_term_once() {
        let (mut elections, _) = elections();
        assert_eq!(elections.look(Role::Follower, Term(2), 0), Seen::default());
        let candidate = elections.look(Role::Candidate, Term(3), 0);
        assert!(candidate.began_election && candidate.term_ended && !candidate.lost_leadership);
        let again = elections.look(Role::Candidate, Term(4), 0);
        assert!(again.term_ended && !again.began_election, "one election over several terms");
        let leader = elections.look(Role::Leader, Term(4), 3);
        assert!(leader.new_leader && leader.term_ended && !leader.lost_leadership);
        let follower = elections.look(Role::Follower, Term(5), 0);
        assert!(follower.lost_leadership && !follower.new_leader);
        assert!(!elections.look(Role::Follower, Term(5), 3).new_leader, "the same as before");
    }
}
