//! Which followers a leader has heard from lately.
//!
//! raft-rs has a mark of its own, but takes it back at every check of the quorum: a caller at the pace
//! of that check may find all followers silent each time. Bounded: one number for each member.

use std::collections::BTreeMap;

use ringkv_topology::ReplicaId;

/// The last sign of each follower, of one term.
pub(crate) struct Activity {
    /// For how many ticks an answer counts.
    lasts: u64,
    ticks: u64,
    heard: BTreeMap<ReplicaId, u64>,
}

impl Activity {
    /// Nothing was heard yet; an answer counts for so many ticks.
    pub(crate) fn new(lasts: usize) -> Self {
        Self { lasts: lasts as u64, ticks: 0, heard: BTreeMap::new() }
    }

    /// A tick has passed.
    pub(crate) fn tick(&mut self) {
        self.ticks += 1;
    }

    /// A member has answered this leader.
    pub(crate) fn heard(&mut self, replica: ReplicaId) {
        self.heard.insert(replica, self.ticks);
    }

    /// Whether it has answered lately.
    pub(crate) fn is_active(&self, replica: ReplicaId) -> bool {
        self.heard.get(&replica).is_some_and(|at| self.ticks - at <= self.lasts)
    }

    /// The term has ended: only answers in the next one count.
    pub(crate) fn clear(&mut self) {
        self.heard.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_for_so_many_ticks_whenever_one_looks() {
        let (mut activity, replica) = (Activity::new(3), ReplicaId(2));
        assert!(!activity.is_active(replica), "it was never heard");
        activity.heard(replica);
        for _ in 0..3 {
            activity.tick();
            assert!(activity.is_active(replica));
        }
        activity.tick();
        assert!(!activity.is_active(replica));
        activity.heard(replica);
        activity.clear();
        assert!(!activity.is_active(replica));
    }
}
