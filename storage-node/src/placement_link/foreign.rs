//! The alarm that the placement this node reaches is of another cluster.
//!
//! Such a node serves on from the topology that it has: its data is intact, and its own placement
//! may come back. Only an operator can say which of the two is wrong.

use std::time::{Duration, Instant};

use parking_lot::Mutex;
use prometheus::IntGauge;

/// Between two log lines while the alarm is on.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The alarm, on or off.
#[derive(Debug)]
pub(crate) struct ForeignPlacement {
    gauge: IntGauge,
    logged: Mutex<Option<Instant>>,
}

impl ForeignPlacement {
    /// The alarm, off; the gauge shows it.
    pub(crate) fn new(gauge: IntGauge) -> Self {
        Self { gauge, logged: Mutex::new(None) }
    }

    /// Placement has said that it is of another cluster.
    pub(crate) fn raise(&self, said: &str) {
        self.gauge.set(1);
        let mut logged = self.logged.lock();
        if logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) {
            *logged = Some(Instant::now());
            tracing::error!(
                reason = said,
                "placement is not of this node's cluster; serving without it: check --placement \
                 and placement's data directories"
            );
        }
    }

    /// Placement of this cluster has answered.
    pub(crate) fn clear(&self) {
        self.gauge.set(0);
        if self.logged.lock().take().is_some() {
            tracing::info!("placement of this node's cluster answers");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_one_while_placement_is_foreign() {
        let gauge = IntGauge::new("foreign", "help").unwrap();
        let alarm = ForeignPlacement::new(gauge.clone());
        assert_eq!(gauge.get(), 0);
        alarm.raise("another cluster");
        alarm.raise("another cluster");
        assert_eq!(gauge.get(), 1);
        alarm.clear();
        assert_eq!(gauge.get(), 0);
    }
}
