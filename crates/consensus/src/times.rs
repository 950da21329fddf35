//! Time as the engine is given it, and the times at which an entry passed its stages.
//!
//! Owns no clock: the shell reads one before each turn of the poller ([`Now`]), the simulation
//! makes one up. Times are compared on the node that took them only.

/// The time of one call of [`crate::Poller::handle`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Wall clock, milliseconds since the Unix epoch: stamps new entries.
    pub wall_ms: u64,
    /// Microseconds since some point before the process began, also while the machine was
    /// suspended (`CLOCK_BOOTTIME`); never falls.
    pub boot_us: u64,
}

/// When an entry passed each stage on the node that proposed it, by [`Now::boot_us`].
///
/// Zero where a stage was not passed or not seen: an entry may commit by the disks of others before
/// it is on the leader's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EntryTimes {
    /// The first of its commands reached the poller.
    pub queued_us: u64,
    /// Its commands were packed and proposed; appends to the followers left with that turn.
    pub proposed_us: u64,
    /// The leader's own log held it, synced.
    pub persisted_us: u64,
    /// A majority held it.
    pub committed_us: u64,
    /// The state machine began with the batch it is in.
    pub apply_began_us: u64,
    /// The state machine had it.
    pub applied_us: u64,
}
