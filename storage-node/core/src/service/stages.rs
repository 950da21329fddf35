//! When a request passed the stages of this node, and how long each took.

use ringkv_consensus::{EntryTimes, Stage as EntryStage};
use ringkv_proto::v1::Timing;

/// Times of one request by the engine's clock, in microseconds; zero for a stage not passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stages {
    pub arrived_us: u64,
    /// Of the log entry that a write was in.
    pub entry: EntryTimes,
    /// The engine let a read go ahead.
    pub ready_us: u64,
    /// It did so without asking a quorum.
    pub by_lease: bool,
    pub replied_us: u64,
}

/// A part of a request's way through this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Of a write: a stage of the log entry it was in.
    Entry(EntryStage),
    /// A read waited until a quorum had confirmed the leader.
    ReadIndex,
    /// A read was let go ahead by the group's lease.
    ReadLease,
    /// A read looked into the local store.
    StoreRead,
}

impl Stage {
    /// Its name in traces; those of the engine have the same one in `ringkv_raft_stage_seconds`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Entry(stage) => stage.name(),
            Self::ReadIndex => "read_index",
            Self::ReadLease => "read_lease",
            Self::StoreRead => "store_read",
        }
    }
}

impl Stages {
    /// The stages passed, each with its beginning and end. `Fsync` and `Replicate` run side by side.
    pub fn passed(&self) -> impl Iterator<Item = (Stage, u64, u64)> + use<> {
        let Self { arrived_us, ready_us, replied_us, .. } = *self;
        // This request's own wait, in place of that of the first one in its entry.
        let entry = EntryTimes { queued_us: arrived_us, ..self.entry };
        let of_entry = entry.stages().map(|(stage, from, to)| (Stage::Entry(stage), from, to));
        let certain = if self.by_lease { Stage::ReadLease } else { Stage::ReadIndex };
        let of_read = [(certain, arrived_us, ready_us), (Stage::StoreRead, ready_us, replied_us)];
        of_entry.chain(of_read.into_iter().filter(|(_, from, to)| *from > 0 && *to > 0))
    }

    /// The timing in a reply; `None` for a request that never reached the engine.
    pub fn timing(&self) -> Option<Timing> {
        let mut timing = Timing::default();
        let mut passed = self.passed().peekable();
        passed.peek()?;
        for (stage, from, to) in passed {
            let us = u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
            match stage {
                Stage::Entry(EntryStage::ProposeWait) => timing.queue_us = us,
                Stage::Entry(EntryStage::Fsync) => timing.fsync_us = us,
                Stage::Entry(EntryStage::Replicate) | Stage::ReadIndex | Stage::ReadLease => {
                    timing.raft_us = us;
                }
                Stage::Entry(EntryStage::ApplyWait | EntryStage::Apply) => {
                    timing.apply_us = timing.apply_us.saturating_add(us);
                }
                Stage::StoreRead => timing.read_us = us,
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
        let names: Vec<_> = stages.passed().map(|(stage, ..)| stage.name()).collect();
        assert_eq!(names, ["propose_wait", "fsync", "replicate", "apply_wait", "apply"]);
    }

    #[test]
    fn an_entry_that_others_had_first_shows_no_fsync() {
        let entry = EntryTimes { proposed_us: 120, committed_us: 200, ..EntryTimes::default() };
        let stages = Stages { arrived_us: 100, entry, ..Stages::default() };
        assert_eq!(stages.timing().unwrap().fsync_us, 0);
        assert!(stages.passed().all(|(stage, ..)| stage.name() != "fsync"));
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
