//! How many watches of the topology may be open here, and how many are.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Watches served at once: every node and gateway has one on some replica.
pub(crate) const WATCHES_MAX: usize = 10_000;

/// The places of watches; clones share them.
#[derive(Clone)]
pub(crate) struct Watches {
    places: Arc<Semaphore>,
}

impl Watches {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(WATCHES_MAX)) }
    }

    /// A place for one more, until dropped; `None` when all are taken.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// How many are open.
    pub(crate) fn open(&self) -> usize {
        WATCHES_MAX - self.places.available_permits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_counts_while_it_is_open() {
        let watches = Watches::new();
        let (first, _second) = (watches.enter().unwrap(), watches.enter().unwrap());
        assert_eq!(watches.open(), 2);
        drop(first);
        assert_eq!(watches.open(), 1);
    }
}
