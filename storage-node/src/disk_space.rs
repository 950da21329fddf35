//! Whether the disk has room for writes that grow the data.
//!
//! Growing writes are refused while there is still room for deletes, the log and compaction.

use std::path::Path;

/// The used share of the disk from which on growing writes are refused, per cent.
pub const USED_PERCENT_MAX: u64 = 95;

/// The size of a file system and what of it is free to us, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskSpace {
    pub total: u64,
    pub available: u64,
}

impl DiskSpace {
    /// Asks the file system that holds `path`.
    ///
    /// # Errors
    /// What the operating system says.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let stat = rustix::fs::statvfs(path)?;
        let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        Ok(Self { total: bytes(stat.f_blocks), available: bytes(stat.f_bavail) })
    }

    /// Whether a write that grows the data is accepted. A file system that reports no size (0)
    /// accepts every write.
    pub fn takes_growth(self) -> bool {
        let used = self.total.saturating_sub(self.available);
        u128::from(used) * 100 <= u128::from(self.total) * u128::from(USED_PERCENT_MAX)
    }

    /// How many bytes more it takes before writes that grow the data are refused. A file system that
    /// reports no size (0) takes any number.
    pub fn room(self) -> u64 {
        if self.total == 0 {
            return u64::MAX;
        }
        let used = self.total.saturating_sub(self.available);
        let used_max = u128::from(self.total) * u128::from(USED_PERCENT_MAX) / 100;
        u64::try_from(used_max).unwrap_or(u64::MAX).saturating_sub(used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_stops_above_the_watermark_and_not_at_it() {
        let with = |available| DiskSpace { total: 1000, available };
        assert!(with(1000).takes_growth());
        assert!(with(50).takes_growth());
        assert!(!with(49).takes_growth());
        assert!(!with(0).takes_growth());
    }

    #[test]
    fn the_room_ends_where_growth_stops() {
        let with = |available| DiskSpace { total: 1000, available };
        assert_eq!([with(1000).room(), with(51).room(), with(50).room()], [950, 1, 0]);
        assert_eq!([with(49).room(), with(0).room()], [0, 0]);
        assert_eq!(DiskSpace { total: 0, available: 0 }.room(), u64::MAX);
        let huge = DiskSpace { total: u64::MAX, available: u64::MAX };
        assert!(huge.room() > u64::MAX / 100 * 94);
    }

    #[test]
    fn extremes_do_not_overflow_and_an_unknown_size_takes_growth() {
        assert!(!DiskSpace { total: u64::MAX, available: 0 }.takes_growth());
        assert!(DiskSpace { total: 0, available: 0 }.takes_growth());
    }

    #[test]
    fn the_file_system_of_a_directory_can_be_asked() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let space = DiskSpace::of(dir.path()).expect("a file system");
        assert!(space.available <= space.total);
        assert!(DiskSpace::of(&dir.path().join("absent")).is_err());
    }
}
