//! Series of the disk under the data directory: what this node takes of it, and what is left.

use std::io;
use std::path::{Path, PathBuf};

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};

use crate::disk_watch::DiskWatch;
use crate::layout;

/// The collector; walks three small directories at each scrape.
pub(crate) struct DiskSeries {
    bytes: IntGaugeVec,
    full: IntGauge,
    data_dir: PathBuf,
    watch: DiskWatch,
}

impl DiskSeries {
    /// Adds `ringkv_disk_bytes{kind}` and `ringkv_disk_full` to the registry.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(
        registry: &Registry,
        data_dir: &Path,
        watch: DiskWatch,
    ) -> prometheus::Result<()> {
        let bytes = IntGaugeVec::new(
            Opts::new(
                "ringkv_disk_bytes",
                "Bytes of disk: taken by raft (log), data (state) and snapshots; free and total \
                 of the file system they are on.",
            ),
            &["kind"],
        )?;
        let full = IntGauge::new(
            "ringkv_disk_full",
            "Whether puts are refused because the disk is nearly full: 1 yes, 0 no.",
        )?;
        registry.register(Box::new(Self { bytes, full, data_dir: data_dir.to_owned(), watch }))
    }

    fn refresh(&self) {
        self.full.set(self.watch.is_full().into());
        let dir = &self.data_dir;
        for (kind, folder) in [
            ("raft", layout::raft(dir)),
            ("data", layout::data(dir)),
            ("snapshots", layout::snapshots(dir)),
        ] {
            self.set(kind, bytes_under(&folder).unwrap_or(0));
        }
        if let Ok(stat) = rustix::fs::statvfs(&self.data_dir) {
            self.set("free", stat.f_bavail.saturating_mul(stat.f_frsize));
            self.set("total", stat.f_blocks.saturating_mul(stat.f_frsize));
        }
    }

    fn set(&self, kind: &str, bytes: u64) {
        self.bytes.with_label_values(&[kind]).set(i64::try_from(bytes).unwrap_or(i64::MAX));
    }
}

impl Collector for DiskSeries {
    fn desc(&self) -> Vec<&Desc> {
        [self.bytes.desc(), self.full.desc()].concat()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        [self.bytes.collect(), self.full.collect()].concat()
    }
}

/// Bytes of all files under a directory. Files that go while it is walked count nothing.
pub(crate) fn bytes_under(dir: &Path) -> io::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_under(&entry.path()).unwrap_or(0),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_all_depths_are_summed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("deep")).unwrap();
        std::fs::write(dir.path().join("a"), [0; 10]).unwrap();
        std::fs::write(dir.path().join("deep/b"), [0; 32]).unwrap();
        assert_eq!(bytes_under(dir.path()).unwrap(), 42);
        assert!(bytes_under(&dir.path().join("absent")).is_err());
    }
}
