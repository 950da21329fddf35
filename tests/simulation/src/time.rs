//! Virtual time and the event queue.
//!
//! Time only moves to the next event. Events of the same time run in the order in which they were
//! planned, so a run is one fixed sequence.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Virtual microseconds since the start of the run.
pub(crate) type Micros = u64;

pub(crate) const MILLISECOND: Micros = 1_000;
pub(crate) const SECOND: Micros = 1_000_000;

/// The engine's tick interval.
pub(crate) const TICK: Micros = 50 * MILLISECOND;

/// The planned events, ordered by (time, sequence).
pub(crate) struct Agenda<E> {
    heap: BinaryHeap<Reverse<Item<E>>>,
    sequence: u64,
    now: Micros,
}

struct Item<E> {
    at: Micros,
    sequence: u64,
    event: E,
}

impl<E> Agenda<E> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new(), sequence: 0, now: 0 }
    }

    /// The time of the last event taken.
    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    /// Plans an event `delay` from now.
    pub(crate) fn after(&mut self, delay: Micros, event: E) {
        self.sequence += 1;
        self.heap.push(Reverse(Item { at: self.now + delay, sequence: self.sequence, event }));
    }

    /// Plans an event at a time, or now if that time has passed.
    pub(crate) fn at(&mut self, at: Micros, event: E) {
        self.after(at.saturating_sub(self.now), event);
    }

    /// Moves time to the next event and returns it; `None` if no event is planned.
    pub(crate) fn next(&mut self) -> Option<E> {
        let Reverse(item) = self.heap.pop()?;
        self.now = item.at;
        Some(item.event)
    }
}

impl<E> PartialEq for Item<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Item<E> {}

impl<E> PartialOrd for Item<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Item<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

impl<E> Item<E> {
    fn key(&self) -> (Micros, u64) {
        (self.at, self.sequence)
    }
}
