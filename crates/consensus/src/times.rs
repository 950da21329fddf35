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
    /// Its commands were put into one batch and proposed; appends to the followers left with that turn.
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

/// A part of an entry's way. `Fsync` and `Replicate` run side by side, the others one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The command waits for the entry it is in.
    ProposeWait,
    /// The leader's own log is written and synced.
    Fsync,
    /// A majority gets the entry on disk.
    Replicate,
    /// The entry waits for the state machine.
    ApplyWait,
    /// The state machine applies the batch it is in.
    Apply,
}

impl Stage {
    /// All of them, in the order in which they begin.
    pub const ALL: [Self; 5] =
        [Self::ProposeWait, Self::Fsync, Self::Replicate, Self::ApplyWait, Self::Apply];

    /// Its name in metrics and traces.
    pub fn name(self) -> &'static str {
        match self {
            Self::ProposeWait => "propose_wait",
            Self::Fsync => "fsync",
            Self::Replicate => "replicate",
            Self::ApplyWait => "apply_wait",
            Self::Apply => "apply",
        }
    }
}

impl EntryTimes {
    /// The stages that were passed and seen, each with its beginning and end.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, u64, u64)> + use<> {
        let Self { queued_us, proposed_us, persisted_us, committed_us, apply_began_us, applied_us } =
            *self;
        let stages = [
            (Stage::ProposeWait, queued_us, proposed_us),
            (Stage::Fsync, proposed_us, persisted_us),
            (Stage::Replicate, proposed_us, committed_us),
            (Stage::ApplyWait, committed_us, apply_began_us),
            (Stage::Apply, apply_began_us, applied_us),
        ];
        stages.into_iter().filter(|(_, from_us, to_us)| *from_us > 0 && to_us >= from_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_were_not_seen_are_left_out() {
        // It committed by the disks of others, before this one had it.
        let times = EntryTimes {
            queued_us: 10,
            proposed_us: 30,
            persisted_us: 0,
            committed_us: 1_030,
            apply_began_us: 1_040,
            applied_us: 1_090,
        };
        let passed: Vec<_> = times.stages().collect();
        assert_eq!(
            passed,
            [
                (Stage::ProposeWait, 10, 30),
                (Stage::Replicate, 30, 1_030),
                (Stage::ApplyWait, 1_030, 1_040),
                (Stage::Apply, 1_040, 1_090),
            ]
        );
        assert_eq!(EntryTimes::default().stages().count(), 0);
    }

    #[test]
    fn every_stage_has_its_place() {
        for (place, stage) in Stage::ALL.into_iter().enumerate() {
            assert_eq!(place, stage as usize);
        }
    }
}
