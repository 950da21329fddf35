//! The clocks the shell reads for the poller, which has none.

use std::time::{SystemTime, UNIX_EPOCH};

use ringkv_consensus::Now;
use rustix::time::{ClockId, clock_gettime};

/// Both clocks now.
pub(crate) fn now() -> Now {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Now { wall_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX), boot_us: boot_us() }
}

/// Microseconds on the clock of [`Now::boot_us`]. Costs no system call.
pub fn boot_us() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds * 1_000_000 + nanos / 1_000
}
