//! Until when a leader may serve reads without asking a majority (Raft thesis §6.4.1).
//!
//! A read-index round that began at `t` and was confirmed proves that a quorum heard of this leader
//! after `t`. Each of them turns candidates away for an election timeout from then on
//! (`Group::step`), and so does a replica in its first election timeout after a restart
//! (`Group::restarted`), since it may have promised that in its last run. So no other replica leads
//! before `t + lease_us`, as long as no two clocks drift apart by more than the difference between
//! the lease and the timeout.
//!
//! Three things break the promise, and each ends the lease before it can matter: a change of
//! members (other quorums), a hand-over (its candidate is never turned away; the lease stays off
//! for the rest of the term, since the message that starts it may arrive late), the end of the
//! term. Has no clock: the time comes as an argument.

use crate::position::LogIndex;

/// The lease of one group's leader, of one term.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    until_us: u64,
    /// Reads need the state machine to be here: where the first round of the term stood.
    index: LogIndex,
    /// Rounds that began up to here prove nothing.
    void_until_us: u64,
    /// Leadership was offered to another replica.
    offered: bool,
    /// As last reported to the shell.
    reported_us: u64,
}

impl Lease {
    /// A round that began at `began_us` was confirmed at `index`.
    pub(crate) fn extend(&mut self, began_us: u64, lease_us: u64, index: LogIndex) {
        let lease_us =
            if cfg!(feature = "planted-lease-too-long") { lease_us * 8 } else { lease_us };
        if self.offered || began_us <= self.void_until_us {
            return;
        }
        if self.until_us == 0 {
            self.index = index;
        }
        self.until_us = self.until_us.max(began_us + lease_us);
    }

    /// Until when reads may be served, given where the state machine is; 0 for not at all.
    pub(crate) fn until_us(&self, applied: LogIndex) -> u64 {
        if applied >= self.index { self.until_us } else { 0 }
    }

    /// The term is over: another one begins without a lease.
    pub(crate) fn end_term(&mut self) {
        *self = Self { reported_us: self.reported_us, ..Self::default() };
    }

    /// What to report to the shell, if that is not what was last reported: the end of the lease, 0
    /// for none.
    pub(crate) fn report(&mut self, until_us: u64) -> Option<u64> {
        (std::mem::replace(&mut self.reported_us, until_us) != until_us).then_some(until_us)
    }

    /// The members changed: only rounds that begin from now on count.
    pub(crate) fn members_changed(&mut self, now_us: u64) {
        self.until_us = 0;
        self.void_until_us = now_us;
    }

    /// Another replica is about to be asked to take over.
    pub(crate) fn offer_leadership(&mut self) {
        if !cfg!(feature = "planted-lease-kept-in-transfer") {
            self.until_us = 0;
            self.offered = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: u64 = 400;

    #[test]
    fn it_counts_from_the_beginning_of_a_round_and_waits_for_the_state_machine() {
        let mut lease = Lease::default();
        assert_eq!(lease.until_us(LogIndex(9)), 0);
        lease.extend(1_000, LEASE, LogIndex(7));
        assert_eq!(lease.until_us(LogIndex(6)), 0);
        assert_eq!(lease.until_us(LogIndex(7)), 1_400);
        lease.extend(1_200, LEASE, LogIndex(9));
        assert_eq!(
            lease.until_us(LogIndex(7)),
            1_600,
            "what was acknowledged since is applied here"
        );
    }

    #[test]
    fn a_change_of_members_voids_it_and_every_round_under_way() {
        let mut lease = Lease::default();
        lease.extend(1_000, LEASE, LogIndex(7));
        lease.members_changed(1_100);
        assert_eq!(lease.until_us(LogIndex(9)), 0);
        lease.extend(1_100, LEASE, LogIndex(7));
        assert_eq!(lease.until_us(LogIndex(9)), 0);
        lease.extend(1_101, LEASE, LogIndex(7));
        assert_eq!(lease.until_us(LogIndex(9)), 1_501);
    }

    #[test]
    fn a_new_term_begins_without_it_and_the_shell_is_told_once() {
        let mut lease = Lease::default();
        lease.extend(1_000, LEASE, LogIndex(7));
        assert_eq!(lease.report(1_400), Some(1_400));
        assert_eq!(lease.report(1_400), None);
        lease.end_term();
        assert_eq!(lease.until_us(LogIndex(9)), 0);
        assert_eq!(lease.report(0), Some(0), "what was reported is taken back");
    }

    #[test]
    fn an_offer_of_leadership_ends_it_for_the_term() {
        let mut lease = Lease::default();
        lease.extend(1_000, LEASE, LogIndex(7));
        lease.offer_leadership();
        assert_eq!(lease.until_us(LogIndex(9)), 0);
        lease.extend(5_000, LEASE, LogIndex(7));
        assert_eq!(lease.until_us(LogIndex(9)), 0);
    }
}
