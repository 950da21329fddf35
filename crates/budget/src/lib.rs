//! A bounded amount that many threads take from: requests, bytes, calls.
//!
//! Owns the count. It never waits: what does not fit is refused at once, so that no queue behind it
//! needs a bound of its own. Invariant: what has been taken is never more than the bound, but for
//! the moment in which one too many is being refused.
#![warn(missing_docs)]

use std::sync::atomic::{AtomicUsize, Ordering};

/// A bound and how much of it is in use.
#[derive(Debug)]
pub struct Budget {
    max: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `max`, none of it in use.
    pub fn new(max: usize) -> Self {
        Self { max, used: AtomicUsize::new(0) }
    }

    /// How much is in use.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What `amount` counts for: one thing larger than the whole budget counts as all of it. So it
    /// fits when nothing else is in use; otherwise it never would.
    pub fn weight(&self, amount: usize) -> usize {
        amount.min(self.max)
    }

    /// Takes all of `amount`, or nothing and returns false. The caller returns it later.
    #[must_use = "what was not taken must not be used"]
    pub fn take(&self, amount: usize) -> bool {
        let before = self.used.fetch_add(amount, Ordering::Relaxed);
        let fits = before.saturating_add(amount) <= self.max;
        if !fits {
            self.used.fetch_sub(amount, Ordering::Relaxed);
        }
        fits
    }

    /// Returns what was taken.
    pub fn give_back(&self, amount: usize) {
        let before = self.used.fetch_sub(amount, Ordering::Relaxed);
        debug_assert!(before >= amount, "more is given back than was taken");
    }

    /// An empty share, to grow.
    pub fn share(&self) -> Share<'_> {
        Share { budget: self, amount: 0 }
    }

    /// A share of `amount`; `None` if that is not left.
    pub fn take_share(&self, amount: usize) -> Option<Share<'_>> {
        let mut share = self.share();
        share.grow(amount).then_some(share)
    }
}

/// What one request has taken; returned to the budget when it is dropped.
#[derive(Debug)]
pub struct Share<'a> {
    budget: &'a Budget,
    amount: usize,
}

impl Share<'_> {
    /// Takes `more`; false, and nothing taken, if that is not left.
    #[must_use = "what was not taken must not be used"]
    pub fn grow(&mut self, more: usize) -> bool {
        let grown = self.budget.take(more);
        self.amount += if grown { more } else { 0 };
        grown
    }

    /// How much this share holds.
    pub fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.give_back(self.amount);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_full_budget_refuses_and_what_is_given_back_can_be_taken_again() {
        let budget = Budget::new(10);
        assert!(budget.take(6));
        assert!(!budget.take(5));
        assert_eq!(budget.used(), 6);
        assert!(budget.take(4));
        budget.give_back(6);
        assert!(budget.take(5));
    }

    #[test]
    fn one_thing_larger_than_the_budget_fits_alone() {
        let budget = Budget::new(10);
        let weight = budget.weight(100);
        assert!(budget.take(weight));
        assert!(!budget.take(1));
        budget.give_back(weight);
        assert!(budget.take(1));
        assert!(!budget.take(weight));
    }

    #[test]
    fn a_share_grows_within_the_budget_and_is_given_back_when_dropped() {
        let budget = Budget::new(10);
        let mut share = budget.take_share(6).unwrap();
        assert!(budget.take_share(5).is_none());
        assert!(share.grow(4) && !share.grow(1));
        assert_eq!((share.amount(), budget.used()), (10, 10));
        drop(share);
        assert!(budget.take_share(10).is_some());
    }
}
