//! The node's calls to placement: registration, heartbeats, and the topology as it changes.
//!
//! Owns the connections to the placement replicas and which of them leads. A node that has its
//! identity and a topology serves without any of this: everything here retries, with a bounded
//! pause. It ends the node in one case: the placement of its own cluster says that this process is
//! not, or no longer, the node. Placement of another cluster raises an alarm.

mod client;
mod foreign;
mod heartbeat;
mod register;
mod watch;

pub(crate) use client::{CallError, PlacementClient};
pub(crate) use foreign::ForeignPlacement;
pub(crate) use heartbeat::{Member, Report, beat};
pub(crate) use register::{Registration, confirm, obtain};
pub(crate) use watch::follow;

use std::time::Duration;

/// The pause before try number `failures + 1`: 100 ms doubling to 2 s, plus or minus a quarter, so
/// that the nodes do not all call a restarted placement at the same moment.
pub(crate) fn pause(failures: u32) -> Duration {
    let whole = 100 * (1 << failures.min(5));
    let whole = f64::from(whole.min(2_000_u32));
    Duration::from_secs_f64(whole / 1_000.0 * rand::random_range(0.75..1.25))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        for failures in 0..40 {
            let pause = pause(failures);
            assert!(pause >= Duration::from_millis(75) && pause <= Duration::from_millis(2_500));
        }
        assert!(pause(0) < pause(9));
    }
}
