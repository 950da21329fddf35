//! Where requests spend their time in the engine: one observation per stage of each log entry
//! proposed here, and one per read.
//!
//! The stages have the names they have in traces. Per entry and not per write: the writes of an
//! entry share its stages, and the hot path has none of this to do.

use prometheus::{Histogram, IntCounter};
use ringkv_consensus::{EntryTimes, Stage};
use ringkv_telemetry::series::Series;

use super::seconds;

/// The histograms of the stages and the counter of reads.
pub(crate) struct StageSeries {
    /// By [`Stage`].
    entries: [Histogram; Stage::ALL.len()],
    read_index: Histogram,
    reads_by_index: IntCounter,
    reads_by_lease: IntCounter,
}

impl StageSeries {
    /// Makes the series.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(super) fn register(series: Series<'_>) -> prometheus::Result<Self> {
        let stages = series.histograms(
            &["stage"],
            seconds(
                "ringkv_raft_stage_seconds",
                "Time a log entry proposed here (read_index: a read) spent in a stage, in seconds.",
            )?,
        )?;
        let reads = series.counters(
            &["mode"],
            "ringkv_raft_reads_total",
            "Reads let go ahead, by how it was made certain.",
        )?;
        Ok(Self {
            entries: Stage::ALL.map(|stage| stages.with_label_values(&[stage.name()])),
            read_index: stages.with_label_values(&["read_index"]),
            reads_by_index: reads.with_label_values(&["read_index"]),
            reads_by_lease: reads.with_label_values(&["lease"]),
        })
    }

    /// An entry proposed here is applied.
    pub(super) fn entry(&self, times: &EntryTimes) {
        for (stage, from_us, to_us) in times.stages() {
            self.entries[stage as usize].observe(seconds_of(to_us - from_us));
        }
    }

    /// A read may go ahead, after a round with a quorum that took so long.
    pub(crate) fn read_by_index(&self, took_us: u64) {
        self.reads_by_index.inc();
        self.read_index.observe(seconds_of(took_us));
    }

    /// A read may go ahead at once.
    pub(crate) fn read_by_lease(&self) {
        self.reads_by_lease.inc();
    }
}

fn seconds_of(us: u64) -> f64 {
    us as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use prometheus::Registry;

    use super::*;

    #[test]
    fn stages_that_were_not_seen_are_not_observed() {
        let series = StageSeries::register(Series::of(&Registry::new())).unwrap();
        // It committed by the disks of others, before this one had it.
        let times = EntryTimes {
            queued_us: 10,
            proposed_us: 30,
            persisted_us: 0,
            committed_us: 1_030,
            apply_began_us: 1_040,
            applied_us: 1_090,
        };
        series.entry(&times);
        let seen = |stage: Stage| {
            let histogram = &series.entries[stage as usize];
            (histogram.get_sample_count(), histogram.get_sample_sum())
        };
        assert_eq!(seen(Stage::ProposeWait), (1, 20e-6));
        assert_eq!(seen(Stage::Fsync), (0, 0.0));
        assert_eq!(seen(Stage::Replicate), (1, 1e-3));
        assert_eq!(seen(Stage::ApplyWait), (1, 10e-6));
        assert_eq!(seen(Stage::Apply), (1, 50e-6));
    }
}
