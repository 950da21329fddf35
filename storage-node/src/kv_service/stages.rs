//! Pure. When a request passed the stages of this node, and how long it was in each.

use ringkv_consensus::EntryTimes;
use ringkv_proto::v1::Timing;

/// Times of one request by the engine's clock, in microseconds; zero for a stage not passed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Stages {
    pub(super) arrived_us: u64,
    /// Of the log entry that a write was in.
    pub(super) entry: EntryTimes,
    /// The engine let a read go ahead.
    pub(super) ready_us: u64,
    /// It did so without asking a quorum.
    pub(super) by_lease: bool,
    pub(super) replied_us: u64,
}

/// A stage by its name in traces, which is that of `ringkv_raft_stage_seconds`, from and to.
pub(super) type Stage = (&'static str, u64, u64);

impl Stages {
    /// The stages passed, each with its beginning and end. `fsync` and `replicate` run side by side.
    pub(super) fn passed(&self) -> impl Iterator<Item = Stage> + use<> {
        let Self { arrived_us, ready_us, replied_us, .. } = *self;
        // This request's own wait, in place of that of the first one in its entry.
        let entry = EntryTimes { queued_us: arrived_us, ..self.entry };
        let of_entry = entry.stages().map(|(stage, from, to)| (stage.name(), from, to));
        let certain = if self.by_lease { "read_lease" } else { "read_index" };
        let of_read = [(certain, arrived_us, ready_us), ("store_read", ready_us, replied_us)];
        of_entry.chain(of_read.into_iter().filter(|(_, from, to)| *from > 0 && *to > 0))
    }

    /// What the client is told; nothing of a request that never reached the engine.
    pub(super) fn timing(&self) -> Option<Timing> {
        let mut timing = Timing::default();
        let mut passed = self.passed().peekable();
        passed.peek()?;
        for (stage, from, to) in passed {
            let us = u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
            match stage {
                "propose_wait" => timing.queue_us = us,
                "fsync" => timing.fsync_us = us,
                "replicate" | "read_index" | "read_lease" => timing.raft_us = us,
                "store_read" => timing.read_us = us,
                _ => timing.apply_us = timing.apply_us.saturating_add(us),
            }
        }
        Some(timing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_queued_replicated_and_applied() {
        let entry = EntryTimes {
            queued_us: 90,
            proposed_us: 120,
            persisted_us: 220,
            committed_us: 200,
            apply_began_us: 203,
            applied_us: 210,
        };
        let stages = Stages { arrived_us: 100, entry, replied_us: 300, ..Stages::default() };
        let expected =
            Timing { queue_us: 20, raft_us: 80, fsync_us: 100, apply_us: 10, read_us: 0 };
        assert_eq!(stages.timing(), Some(expected));
        let names: Vec<_> = stages.passed().map(|(name, ..)| name).collect();
        assert_eq!(names, ["propose_wait", "fsync", "replicate", "apply_wait", "apply"]);
    }

    #[test]
    fn an_entry_that_others_had_first_shows_no_fsync() {
        let entry = EntryTimes { proposed_us: 120, committed_us: 200, ..EntryTimes::default() };
        let stages = Stages { arrived_us: 100, entry, ..Stages::default() };
        assert_eq!(stages.timing().unwrap().fsync_us, 0);
        assert!(stages.passed().all(|(name, ..)| name != "fsync"));
    }

    #[test]
    fn a_read_waits_for_certainty_and_then_reads() {
        let stages =
            Stages { arrived_us: 100, ready_us: 400, replied_us: 407, ..Stages::default() };
        let expected = Timing { raft_us: 300, read_us: 7, ..Timing::default() };
        assert_eq!(stages.timing(), Some(expected));
    }

    #[test]
    fn a_request_turned_away_passed_no_stage() {
        let stages = Stages { arrived_us: 100, replied_us: 101, ..Stages::default() };
        assert_eq!(stages.timing(), None);
    }
}
