//! Admission: how much may be on its way into the engine at once.
//!
//! A gate counts what is inside against a bound. What does not fit is turned away at the door, so
//! that no queue behind it needs a bound of its own.

use std::sync::atomic::{AtomicUsize, Ordering};

/// One bound and what is inside.
#[derive(Debug)]
pub(crate) struct Gate {
    inside: AtomicUsize,
    max: usize,
}

impl Gate {
    pub(crate) fn new(max: usize) -> Self {
        Self { inside: AtomicUsize::new(0), max }
    }

    /// What something counts for. A single thing larger than the whole bound fills the gate, so
    /// that it gets in when there is nothing else, as it never would otherwise.
    pub(crate) fn weight(&self, bytes: usize) -> usize {
        bytes.min(self.max)
    }

    /// Takes in all of `amount` or nothing.
    pub(crate) fn enter(&self, amount: usize) -> bool {
        let before = self.inside.fetch_add(amount, Ordering::Relaxed);
        let fits = before.saturating_add(amount) <= self.max;
        if !fits {
            self.leave(amount);
        }
        fits
    }

    /// Lets out what was taken in.
    pub(crate) fn leave(&self, amount: usize) {
        let before = self.inside.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "left the gate without having entered");
    }

    /// What is inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_turns_away_and_opens_again() {
        let gate = Gate::new(10);
        assert!(gate.enter(6));
        assert!(!gate.enter(5));
        assert_eq!(gate.inside(), 6);
        assert!(gate.enter(4));
        gate.leave(6);
        assert!(gate.enter(5));
    }

    #[test]
    fn one_thing_larger_than_the_bound_gets_in_alone() {
        let gate = Gate::new(10);
        let weight = gate.weight(100);
        assert!(gate.enter(weight));
        assert!(!gate.enter(1));
        gate.leave(weight);
        assert!(gate.enter(1));
        assert!(!gate.enter(weight));
    }
}
