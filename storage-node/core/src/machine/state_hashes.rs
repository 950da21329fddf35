//! Hashes of a group's state at indexes that all its replicas note, so that they can be compared.
//!
//! Written by the apply thread, read by heartbeats. Starts empty with each start and each install:
//! the hash rolls, so a replica that has diverged shows it at every later index too.

use std::collections::VecDeque;

use parking_lot::Mutex;
use ringkv_consensus::LogIndex;

/// State hashes kept: enough that replicas which report at different moments have one in common.
const KEPT: usize = 8;

/// What a replica's state was at an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateHash {
    pub index: LogIndex,
    /// Equal on all replicas, else one of them has diverged.
    pub hash: u64,
}

/// The latest state hashes of a group.
#[derive(Debug, Default)]
pub(super) struct StateHashes(Mutex<VecDeque<StateHash>>);

impl StateHashes {
    /// Keeps the hash at an index that all replicas note.
    pub(super) fn note(&self, index: LogIndex, hash: u64) {
        let mut kept = self.0.lock();
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(StateHash { index, hash });
    }

    /// Those that are kept, ascending by index.
    pub(super) fn kept(&self) -> Vec<StateHash> {
        self.0.lock().iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let state_hashes = StateHashes::default();
        (1..=10).for_each(|index| state_hashes.note(LogIndex(index), index + 1));
        let kept = state_hashes.kept();
        let last = StateHash { index: LogIndex(10), hash: 11 };
        assert_eq!((kept.len(), kept[0].index, kept[7]), (8, LogIndex(3), last));
    }
}
