//! Counts the open watches of the topology and limits their number.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum number of open watches: every node and every gateway has one, on some replica.
pub(crate) const WATCHES_MAX: usize = 10_000;

/// The permits for watches; clones share them.
#[derive(Clone)]
pub(crate) struct Watches {
    permits: Arc<Semaphore>,
}

impl Watches {
    pub(crate) fn new() -> Self {
        Self { permits: Arc::new(Semaphore::new(WATCHES_MAX)) }
    }

    /// Takes a permit for one more watch, released on drop; `None` at the limit.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// The number of open watches.
    pub(crate) fn open(&self) -> usize {
        WATCHES_MAX - self.permits.available_permits()
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
