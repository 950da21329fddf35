//! The index over a group's remembered results: finds a retry, and which results may be dropped.
//!
//! In memory only, rebuilt from the rows. What it holds is a function of the commands applied and
//! nothing else, so that replicas forget the same results at the same entry; they are forgotten by
//! whole rows, as they are dropped, so that a restart finds neither more nor less. Bounded by time
//! of the group clock and by count.

use std::collections::VecDeque;

use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64;

use crate::machine::retention::Keep;
use crate::remembered::Identity;

/// Where a remembered result is, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) identity: Identity,
    pub(super) at_ms: u64,
    /// The number of the row it is in.
    pub(super) row: u64,
}

/// Remembered results, oldest first.
pub(super) struct Window {
    keep: Keep,
    entries: VecDeque<Entry>,
    /// Ordinals of entries by identity; entry `i` has ordinal `first + i`, wrapping. Five bytes
    /// a result, where a map of identities would take another 24.
    ordinals: HashTable<u32>,
    first: u32,
}

impl Window {
    pub(super) fn new(keep: Keep) -> Self {
        Self { keep, entries: VecDeque::new(), ordinals: HashTable::new(), first: 0 }
    }

    /// The live result of a request. One that is past its time counts as forgotten, whether or
    /// not its row is dropped yet.
    pub(super) fn find(&self, identity: &Identity, clock_ms: u64) -> Option<Entry> {
        let live = |ordinal: &u32| {
            let entry = self.entry(*ordinal);
            entry.identity == *identity && clock_ms < entry.at_ms.saturating_add(self.keep.kept_ms)
        };
        self.ordinals.find(hash(identity), live).map(|ordinal| *self.entry(*ordinal))
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= self.keep.count_max
    }

    /// Adds the newest result.
    pub(super) fn remember(&mut self, entry: Entry) {
        let len = u32::try_from(self.entries.len()).expect("a window is bounded by its count");
        let ordinal = self.first.wrapping_add(len);
        self.entries.push_back(entry);
        let (entries, first) = (&self.entries, self.first);
        self.ordinals.insert_unique(hash(&entry.identity), ordinal, |ordinal| {
            hash(&entries[ordinal.wrapping_sub(first) as usize].identity)
        });
    }

    /// Removes the oldest row of results if its time is over, and returns its number.
    pub(super) fn forget_due(&mut self, clock_ms: u64) -> Option<u64> {
        let under_pressure = self.entries.len() > self.keep.count_max / 4 * 3;
        let kept_ms =
            if under_pressure { self.keep.kept_under_pressure_ms } else { self.keep.kept_ms };
        let Entry { at_ms, row, .. } = *self.entries.front()?;
        if clock_ms < at_ms.saturating_add(kept_ms) {
            return None;
        }
        while self.entries.front().is_some_and(|entry| entry.row == row) {
            self.forget_oldest();
        }
        Some(row)
    }

    fn forget_oldest(&mut self) {
        let oldest = self.entries.pop_front().expect("asked only when there is one");
        let first = self.first;
        self.ordinals
            .find_entry(hash(&oldest.identity), |ordinal| *ordinal == first)
            .expect("every entry is in the index")
            .remove();
        self.first = self.first.wrapping_add(1);
    }

    fn entry(&self, ordinal: u32) -> &Entry {
        &self.entries[ordinal.wrapping_sub(self.first) as usize]
    }
}

fn hash(identity: &Identity) -> u64 {
    xxh3_64(&identity.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEEP: Keep = Keep { kept_ms: 100, kept_under_pressure_ms: 20, count_max: 8 };

    fn entry(id: u8, at_ms: u64, row: u64) -> Entry {
        Entry { identity: Identity([id; 16]), at_ms, row }
    }

    #[test]
    fn a_result_is_found_until_its_time_is_over() {
        let mut window = Window::new(KEEP);
        window.remember(entry(1, 50, 7));
        assert_eq!(window.find(&Identity([1; 16]), 149), Some(entry(1, 50, 7)));
        assert_eq!(window.find(&Identity([2; 16]), 149), None);
        assert_eq!(window.find(&Identity([1; 16]), 150), None);
        assert_eq!(window.forget_due(149), None);
        assert_eq!(window.forget_due(150), Some(7));
        assert_eq!(window.forget_due(150), None);
    }

    #[test]
    fn a_crowded_window_forgets_sooner_but_never_before_the_promise() {
        let mut window = Window::new(KEEP);
        for id in 0..8 {
            assert!(!window.is_full());
            window.remember(entry(id, 0, u64::from(id)));
        }
        assert!(window.is_full());
        assert_eq!(window.forget_due(19), None);
        assert_eq!(window.forget_due(20), Some(0));
        assert_eq!(window.forget_due(20), Some(1));
        assert_eq!(window.forget_due(20), None, "six of eight are no crowd");
    }

    #[test]
    fn a_row_is_forgotten_whole() {
        let mut window = Window::new(KEEP);
        (0..3).for_each(|id| window.remember(entry(id, 0, 5)));
        window.remember(entry(3, 0, 6));
        assert_eq!(window.forget_due(100), Some(5));
        assert_eq!(window.entries.len(), 1);
        assert_eq!(window.find(&Identity([3; 16]), 99), Some(entry(3, 0, 6)));
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_list_finds(
            steps in prop::collection::vec((0u8..20, 0u64..30, any::<bool>()), 0..200),
            first in any::<u32>(),
        ) {
            let mut window = Window::new(KEEP);
            window.first = first | 0xFFFF_FF00;
            let mut list: Vec<Entry> = Vec::new();
            let (mut clock_ms, mut row) = (0, 0);
            for (id, pause, same_row) in steps {
                // Results of one row are of one time.
                if !same_row {
                    clock_ms += pause;
                    row += 1;
                }
                while let Some(forgotten) = window.forget_due(clock_ms) {
                    prop_assert_eq!(list[0].row, forgotten);
                    list.retain(|entry| entry.row != forgotten);
                }
                let identity = Identity([id; 16]);
                let live = |e: &&Entry| e.identity == identity && clock_ms < e.at_ms + KEEP.kept_ms;
                let expected = list.iter().find(live).copied();
                prop_assert_eq!(window.find(&identity, clock_ms), expected);
                if expected.is_none() && !window.is_full() {
                    let entry = entry(id, clock_ms, row);
                    window.remember(entry);
                    list.push(entry);
                }
                prop_assert_eq!(window.entries.len(), list.len());
            }
        }
    }
}
