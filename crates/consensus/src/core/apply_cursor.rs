//! How far a group's committed entries are on their way to the state machine.
//!
//! Owns two points of the log: the last entry sent to the apply worker, and the last one the worker
//! reported as applied; and the size of what is between them. Invariant (I-2): entries are sent
//! once, in order, without a gap.

use std::collections::VecDeque;

use ringkv_topology::GroupId;

use crate::position::{LogIndex, LogPosition};

/// The apply cursor of one group.
pub(crate) struct ApplyCursor {
    group: GroupId,
    /// The last entry sent to the apply worker.
    sent: LogPosition,
    /// As reported by the apply worker.
    applied: LogIndex,
    /// The last index and the size of each batch that is sent and not reported as applied.
    batches: VecDeque<(LogIndex, u64)>,
}

impl ApplyCursor {
    /// Everything up to `applied` is in the state machine.
    pub(crate) fn new(group: GroupId, applied: LogPosition) -> Self {
        Self { group, sent: applied, applied: applied.index, batches: VecDeque::new() }
    }

    /// The last entry sent to the apply worker.
    pub(crate) fn sent(&self) -> LogPosition {
        self.sent
    }

    /// The last index the state machine has applied.
    pub(crate) fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The entry at `position` is sent.
    ///
    /// # Panics
    /// When it is not the next one.
    pub(crate) fn advance(&mut self, position: LogPosition) {
        assert!(
            self.sent.is_followed_by(position),
            "group {}: {position} cannot be applied after {}",
            self.group,
            self.sent
        );
        self.sent = position;
    }

    /// The entries sent since the last batch are a batch of this size.
    pub(crate) fn close_batch(&mut self, bytes: u64) {
        self.batches.push_back((self.sent.index, bytes));
    }

    /// The worker has applied everything up to `index`: returns the size of the batches that are
    /// done.
    ///
    /// # Panics
    /// When it was further already: the state machine never goes back.
    pub(crate) fn report_applied(&mut self, index: LogIndex) -> u64 {
        assert!(index >= self.applied, "group {}: the state machine went back", self.group);
        self.applied = index;
        let done = self.batches.partition_point(|(last, _)| *last <= index);
        self.batches.drain(..done).map(|(_, bytes)| bytes).sum()
    }

    /// The size of the batches that are sent and not reported as applied.
    pub(crate) fn unapplied_bytes(&self) -> u64 {
        self.batches.iter().map(|(_, bytes)| bytes).sum()
    }

    /// A snapshot takes the place of the log: the next entry is the one after `position`. It is
    /// applied once [`Self::report_applied`] says so.
    pub(crate) fn jump(&mut self, position: LogPosition) {
        self.sent = position;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor() -> ApplyCursor {
        ApplyCursor::new(GroupId(1), LogPosition::new(1, 5))
    }

    #[test]
    fn a_batch_counts_until_its_last_entry_is_applied() {
        let mut cursor = cursor();
        cursor.advance(LogPosition::new(1, 6));
        cursor.advance(LogPosition::new(2, 7));
        cursor.close_batch(100);
        cursor.advance(LogPosition::new(2, 8));
        cursor.close_batch(10);
        assert_eq!((cursor.sent(), cursor.applied()), (LogPosition::new(2, 8), LogIndex(5)));
        assert_eq!(cursor.report_applied(LogIndex(6)), 0);
        assert_eq!(cursor.report_applied(LogIndex(8)), 110);
        assert_eq!(cursor.applied(), LogIndex(8));
    }

    #[test]
    fn a_snapshot_moves_the_cursor_and_is_applied_later() {
        let mut cursor = cursor();
        cursor.jump(LogPosition::new(4, 90));
        assert_eq!(cursor.applied(), LogIndex(5));
        cursor.report_applied(LogIndex(90));
        cursor.advance(LogPosition::new(4, 91));
    }

    #[test]
    #[should_panic(expected = "entry 7 of term 1 cannot be applied after entry 5 of term 1")]
    fn a_gap_is_never_sent() {
        cursor().advance(LogPosition::new(1, 7));
    }

    #[test]
    #[should_panic(expected = "cannot be applied after")]
    fn an_entry_is_never_sent_twice() {
        cursor().advance(LogPosition::new(1, 5));
    }

    #[test]
    #[should_panic(expected = "the state machine went back")]
    fn the_state_machine_never_goes_back() {
        cursor().report_applied(LogIndex(4));
    }
}
