//! How many snapshots are taken in at a time, and whether the disk has room for another one.

use std::io;
use std::path::Path;

use crate::snapshot_dir::ReceiveError;

/// The most snapshots received at once: each has a file open and its sender waiting.
const RECEIVING_MAX: usize = 4;
/// What a snapshot takes of the disk until its install is over, in times its size: the files as they
/// are received, and the store's copy of them.
const COPIES: u64 = 2;

/// Asks how many bytes more the file system of a directory takes.
pub(crate) type DiskRoom = fn(&Path) -> io::Result<u64>;

/// The snapshots that are being received.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    receiving: usize,
    bytes: u64,
}

impl Admission {
    /// Counts a snapshot of this size as being received if `room`, the bytes that the disk still
    /// takes, is enough for it and for the others. Each counts whole until its end, although a part
    /// of it is on the disk already.
    pub(crate) fn admit(&mut self, bytes: u64, room: u64) -> Result<(), ReceiveError> {
        if self.receiving >= RECEIVING_MAX {
            return Err(ReceiveError::Busy { receiving: self.receiving });
        }
        let needed = self.bytes.saturating_add(bytes).saturating_mul(COPIES);
        if needed > room {
            return Err(ReceiveError::NoRoom { bytes, needed, room });
        }
        self.receiving += 1;
        self.bytes += bytes;
        Ok(())
    }

    /// A snapshot of this size is whole, or given up.
    pub(crate) fn end(&mut self, bytes: u64) {
        self.receiving -= 1;
        self.bytes -= bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_admitted_if_the_disk_has_room_for_two_copies_of_all_under_way() {
        let mut admission = Admission::default();
        assert!(admission.admit(50, 100).is_ok());
        let refused = admission.admit(1, 100).expect_err("the other one may still take all of it");
        assert!(matches!(refused, ReceiveError::NoRoom { bytes: 1, needed: 102, room: 100 }));
        assert!(admission.admit(1, 102).is_ok());
        admission.end(50);
        assert!(admission.admit(49, 100).is_ok());
        let refused = Admission::default().admit(u64::MAX, u64::MAX - 1).expect_err("no overflow");
        assert!(refused.to_string().contains(&u64::MAX.to_string()), "{refused}");
    }

    #[test]
    fn a_fifth_snapshot_waits_for_the_end_of_another() {
        let mut admission = Admission::default();
        for _ in 0..RECEIVING_MAX {
            assert!(admission.admit(0, 0).is_ok());
        }
        let refused = admission.admit(0, 0).expect_err("too many");
        assert_eq!(refused.to_string(), "4 snapshots are being received, the most at a time");
        admission.end(0);
        assert!(admission.admit(0, 0).is_ok());
    }
}
