//! Places in a group's log: an index, a term, and both together.
//!
//! Owns the three types and the arithmetic that is legal on them. Knows no log.

use std::fmt;

/// The index of an entry in a group's log. 0 is before every entry; genesis is at 1, the first
/// entry after it at 2 (see [`crate::Genesis`]).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

impl LogIndex {
    /// Before every entry.
    pub const ZERO: Self = Self(0);
    /// After every entry.
    pub const MAX: Self = Self(u64::MAX);

    /// The index after this one.
    ///
    /// # Panics
    /// At [`Self::MAX`], which no log reaches.
    pub fn next(self) -> Self {
        Self(self.0.checked_add(1).expect("a log has fewer than 2^64 entries"))
    }

    /// The index before this one; `None` at 0.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }

    /// The index `entries` before this one, but not before 0.
    pub fn saturating_sub(self, entries: u64) -> Self {
        Self(self.0.saturating_sub(entries))
    }

    /// How many entries are after `earlier`, up to and including this one; 0 if it is not earlier.
    pub fn entries_after(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// Every index from this one up to and including `last`.
    pub fn through(self, last: Self) -> impl Iterator<Item = Self> {
        (self.0..=last.0).map(Self)
    }
}

/// The number of a leadership in a group; a term has at most one leader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(pub u64);

impl Term {
    /// Before every leadership.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for LogIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The term and the index of an entry: the identity of an entry within its group.
///
/// Raft guarantees:
/// - Two logs that have an entry at the same position have the same entry there, and the same
///   entries before it.
/// - Along one log the index rises by one from entry to entry, and the term never falls.
/// - Of two logs, the one whose last position is greater (by term first, then by index) is the more
///   up to date: only its replica can win the vote of the other.
/// - Once a position is committed, no other entry is ever committed at its index.
///
/// The default is the position before every entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The term in which a leader made the entry.
    pub term: Term,
    /// The place of the entry in the log.
    pub index: LogIndex,
}

impl LogPosition {
    /// Before every entry: index 0 of term 0.
    pub const ZERO: Self = Self { term: Term::ZERO, index: LogIndex::ZERO };

    /// A position from the numbers on the wire and on disk.
    pub const fn new(term: u64, index: u64) -> Self {
        Self { term: Term(term), index: LogIndex(index) }
    }

    /// Whether an entry at `next` may follow the one at this position in a log.
    pub fn is_followed_by(self, next: Self) -> bool {
        self.index.0.checked_add(1) == Some(next.index.0) && next.term >= self.term
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "entry {} of term {}", self.index, self.term)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_up_to_date_of_two_logs_ends_at_the_greater_position() {
        assert!(LogPosition::new(3, 5) > LogPosition::new(2, 9));
        assert!(LogPosition::new(3, 6) > LogPosition::new(3, 5));
        assert!(LogPosition::ZERO < LogPosition::new(1, 1));
    }

    #[test]
    fn entries_follow_without_a_gap_and_terms_never_fall() {
        let position = LogPosition::new(2, 7);
        assert!(position.is_followed_by(LogPosition::new(2, 8)));
        assert!(position.is_followed_by(LogPosition::new(4, 8)));
        assert!(!position.is_followed_by(LogPosition::new(2, 9)), "a gap");
        assert!(!position.is_followed_by(LogPosition::new(1, 8)), "a term that falls");
        assert!(!LogPosition::new(2, u64::MAX).is_followed_by(LogPosition::new(2, 0)));
    }

    #[test]
    fn counting_entries_stops_at_zero() {
        assert_eq!(LogIndex(7).entries_after(LogIndex(5)), 2);
        assert_eq!(LogIndex(5).entries_after(LogIndex(7)), 0);
        assert_eq!(LogIndex(5).through(LogIndex(7)).collect::<Vec<_>>(), [5, 6, 7].map(LogIndex));
        assert_eq!(LogIndex(5).through(LogIndex(4)).count(), 0);
        assert_eq!(LogIndex::ZERO.previous(), None);
    }
}
