//! Checksums of a group at indexes that all its replicas note, so that they can be compared.
//!
//! Written by the apply thread, read by heartbeats. Starts empty with each start and each install:
//! the checksum rolls, so a replica that has diverged shows it at every later index too.

use std::collections::VecDeque;

use parking_lot::Mutex;
use ringkv_consensus::LogIndex;

/// Checkpoints kept: enough that replicas which report at different moments have one in common.
const KEPT: usize = 8;

/// What a replica's state was at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub index: LogIndex,
    /// Equal on all replicas, else one of them has diverged.
    pub checksum: u64,
}

/// The latest checkpoints of a group.
#[derive(Debug, Default)]
pub(super) struct Checkpoints(Mutex<VecDeque<Checkpoint>>);

impl Checkpoints {
    /// Keeps the checksum at an index that all replicas note.
    pub(super) fn note(&self, index: LogIndex, checksum: u64) {
        let mut kept = self.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Checkpoint { index, checksum });
    }

    /// Those that are kept, ascending by index.
    pub(super) fn kept(&self) -> Vec<Checkpoint> {
        self.0.lock().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let checkpoints = Checkpoints::default();
        (1..=10).for_each(|index| checkpoints.note(LogIndex(index), index + 1));
        let kept = checkpoints.kept();
        let last = Checkpoint { index: LogIndex(10), checksum: 11 };
        assert_eq!((kept.len(), kept[0].index, kept[7]), (8, LogIndex(3), last));
    }
}
