//! When a group's log is flushed and cut, and how far.
//!
//! Owns what the state machine's store has made durable and the size of the log. Invariant (I-6):
//! the log is cut only behind what is durable. Cuts nothing itself: the group does.

use crate::core::config::PollerConfig;
use crate::position::LogIndex;

/// The size of one group's log and what may go of it.
pub(crate) struct Compaction {
    /// Flushed by the state machine's store.
    durable: LogIndex,
    /// The size of the entries in the log; an estimate once it was cut.
    log_bytes: u64,
}

/// The ends of a log: entries after `start`, up to and including `last`.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) start: LogIndex,
    pub(crate) last: LogIndex,
}

impl Compaction {
    /// Everything up to `durable` is in the state machine's store.
    pub(crate) fn new(durable: LogIndex) -> Self {
        Self { durable, log_bytes: 0 }
    }

    /// Entries of this size were appended.
    pub(crate) fn appended(&mut self, bytes: u64) {
        self.log_bytes += bytes;
    }

    /// A snapshot takes the place of the log.
    pub(crate) fn log_replaced(&mut self) {
        self.log_bytes = 0;
    }

    /// A snapshot was installed, which is durable as a whole.
    pub(crate) fn installed(&mut self, index: LogIndex) {
        self.durable = index;
    }

    /// Whether the log has grown past its limit since the last flush.
    pub(crate) fn wants_flush(&self, applied: LogIndex, entries_max: u64) -> bool {
        applied.entries_after(self.durable) > entries_max
    }

    /// The state machine is durable up to `index`, of all that was reported as applied.
    pub(crate) fn flushed(&mut self, index: LogIndex, applied: LogIndex) {
        self.durable = self.durable.max(index.min(applied));
    }

    /// Up to where the log is to be cut: if it is long, or `forced`, and never further than
    /// `needed`, which a follower still needs.
    pub(crate) fn cut(
        &mut self,
        log: Extent,
        needed: Option<LogIndex>,
        forced: bool,
        config: &PollerConfig,
    ) -> Option<LogIndex> {
        let len = log.last.entries_after(log.start);
        if len <= config.log_entries_max && !forced {
            return None;
        }
        let entry_bytes = (self.log_bytes / len.max(1)).max(1);
        let kept = config.log_entries_kept.min(config.log_bytes_kept / entry_bytes);
        let mut upto = self.durable.min(log.last.saturating_sub(kept));
        if let Some(needed) = needed {
            upto = upto.min(needed);
        }
        if upto <= log.start {
            return None;
        }
        let cut_bytes = entry_bytes * upto.entries_after(log.start);
        self.log_bytes = self.log_bytes.saturating_sub(cut_bytes);
        Some(upto)
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::NodeId;

    use super::*;

    fn config() -> PollerConfig {
        PollerConfig {
            log_entries_max: 50,
            log_entries_kept: 10,
            log_bytes_kept: 1_000,
            ..PollerConfig::new(NodeId(1), 1)
        }
    }

    fn log(start: u64, last: u64) -> Extent {
        Extent { start: LogIndex(start), last: LogIndex(last) }
    }

    fn flushed_to(index: u64) -> Compaction {
        let mut compaction = Compaction::new(LogIndex(1));
        compaction.flushed(LogIndex(index), LogIndex(1_000));
        compaction
    }

    #[test]
    fn only_a_long_log_is_cut_unless_it_is_forced() {
        assert_eq!(flushed_to(40).cut(log(1, 51), None, false, &config()), None);
        assert_eq!(flushed_to(40).cut(log(1, 52), None, false, &config()), Some(LogIndex(40)));
        assert_eq!(flushed_to(40).cut(log(1, 45), None, true, &config()), Some(LogIndex(35)));
    }

    #[test]
    fn nothing_that_is_not_durable_is_cut() {
        assert_eq!(flushed_to(20).cut(log(1, 100), None, true, &config()), Some(LogIndex(20)));
        let mut compaction = Compaction::new(LogIndex(1));
        compaction.flushed(LogIndex(30), LogIndex(25));
        let cut = compaction.cut(log(1, 100), None, true, &config());
        assert_eq!(cut, Some(LogIndex(25)), "what was not reported as applied does not count");
    }

    #[test]
    fn what_a_follower_needs_and_a_tail_are_kept() {
        let cut = flushed_to(100).cut(log(1, 100), Some(LogIndex(60)), false, &config());
        assert_eq!(cut, Some(LogIndex(60)));
        let mut large = flushed_to(100);
        large.appended(99 * 500);
        let cut = large.cut(log(1, 100), None, false, &config());
        assert_eq!(cut, Some(LogIndex(98)), "two of 500 bytes are within the bound in bytes");
    }

    #[test]
    fn a_flush_is_due_once_the_log_is_past_its_limit() {
        let compaction = flushed_to(10);
        assert!(!compaction.wants_flush(LogIndex(60), 50));
        assert!(compaction.wants_flush(LogIndex(61), 50));
    }
}
