//! Reads the free space of the disk at an interval, so that a request only reads a flag.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::disk_space::DiskSpace;

/// A fast disk takes some hundred MiB in this time, less than the margin of a disk of 10 GiB.
const INTERVAL: Duration = Duration::from_millis(500);

/// The last look; clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct DiskWatch {
    full: Arc<AtomicBool>,
}

impl DiskWatch {
    /// Whether writes that grow the data are to be refused.
    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    /// Looks at the interval until dropped.
    pub(crate) async fn watch(&self, dir: PathBuf) {
        loop {
            match DiskSpace::of(&dir) {
                Ok(space) => self.note(space),
                Err(error) => tracing::warn!(%error, "cannot read the free space of the disk"),
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }

    fn note(&self, space: DiskSpace) {
        let full = !space.takes_growth();
        if self.full.swap(full, Ordering::Relaxed) == full {
            return;
        }
        let DiskSpace { total, available } = space;
        if full {
            tracing::error!(total, available, "disk nearly full; refusing puts");
        } else {
            tracing::info!(total, available, "disk has room again; accepting puts");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_full_only_as_long_as_the_disk_is() {
        let watch = DiskWatch::default();
        assert!(!watch.is_full());
        watch.note(DiskSpace { total: 1_000, available: 1 });
        assert!(watch.is_full());
        watch.note(DiskSpace { total: 1_000, available: 900 });
        assert!(!watch.is_full());
    }
}
