//! Latencies of one run: each kept in microseconds, sorted once at the end.

use std::time::Duration;

/// All latencies of one run.
#[derive(Default, Clone)]
pub(crate) struct Latencies {
    micros: Vec<u32>,
}

impl Latencies {
    pub(crate) fn record(&mut self, took: Duration) {
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.micros.extend(other.micros);
    }

    pub(crate) fn len(&self) -> usize {
        self.micros.len()
    }

    /// The quantile of this share, in milliseconds; 0 without operations.
    pub(crate) fn quantile_ms(&mut self, share: f64) -> f64 {
        if self.micros.is_empty() {
            return 0.0;
        }
        self.micros.sort_unstable();
        let rank = (share * self.micros.len() as f64).ceil().max(1.0) as usize;
        f64::from(self.micros[rank.min(self.micros.len()) - 1]) / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, Latencies};

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let mut latencies = Latencies::default();
        for milliseconds in (1..=100).rev() {
            latencies.record(Duration::from_millis(milliseconds));
        }
        assert!((latencies.quantile_ms(0.5) - 50.0).abs() < 1e-9);
        assert!((latencies.quantile_ms(0.99) - 99.0).abs() < 1e-9);
        assert!((latencies.quantile_ms(1.0) - 100.0).abs() < 1e-9);
    }
}
