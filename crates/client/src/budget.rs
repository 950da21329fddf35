//! The bound on open calls and on the bytes they hold; one for all links together.

use std::sync::atomic::{AtomicUsize, Ordering};

/// What is in use of a fixed number of calls and bytes.
pub(crate) struct Budget {
    calls_max: usize,
    bytes_max: usize,
    calls: AtomicUsize,
    bytes: AtomicUsize,
}

impl Budget {
    pub(crate) fn new(calls_max: usize, bytes_max: usize) -> Self {
        Self { calls_max, bytes_max, calls: AtomicUsize::new(0), bytes: AtomicUsize::new(0) }
    }

    /// A call's share until dropped; `None` when there is no room. A single call is let in
    /// whatever its size, so that the bytes bound never refuses a request for good.
    pub(crate) fn take(&self, bytes: usize) -> Option<Share<'_>> {
        let calls = self.calls.fetch_add(1, Ordering::Relaxed);
        let in_use = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let share = Share { budget: self, bytes };
        let fits = in_use == 0 || in_use + bytes <= self.bytes_max;
        (calls < self.calls_max && fits).then_some(share)
    }
}

pub(crate) struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.calls.fetch_sub(1, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_and_bytes_are_both_bounded_and_come_back() {
        let budget = Budget::new(2, 10);
        let first = budget.take(20).expect("the first is let in whatever its size");
        assert!(budget.take(1).is_none(), "no bytes are left");
        drop(first);
        let (_one, two) = (budget.take(5).unwrap(), budget.take(5).unwrap());
        assert!(budget.take(0).is_none(), "no call is left");
        drop(two);
        assert!(budget.take(5).is_some());
    }
}
