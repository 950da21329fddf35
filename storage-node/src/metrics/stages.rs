//! Where requests spend their time in the engine: one observation per stage of each log entry
//! proposed here, and one per read.
//!
//! The stages have the names they have in traces. Per entry and not per write: the writes of an
//! entry share its stages, and the hot path has none of this to do.

use prometheus::{Histogram, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};
use ringkv_consensus::EntryTimes;

use super::seconds;

/// The histograms of the stages and the counter of reads.
pub(crate) struct StageSeries {
    propose_wait: Histogram,
    fsync: Histogram,
    replicate: Histogram,
    apply_wait: Histogram,
    apply: Histogram,
    read_index: Histogram,
    reads_by_index: IntCounter,
    reads_by_lease: IntCounter,
}

impl StageSeries {
    /// Makes the series and adds them to the registry.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(super) fn register(registry: &Registry) -> prometheus::Result<Self> {
        let stages = HistogramVec::new(
            seconds(
                "ringkv_raft_stage_seconds",
                "Time a log entry proposed here (read_index: a read) spent in a stage, in seconds.",
            )?,
            &["stage"],
        )?;
        registry.register(Box::new(stages.clone()))?;
        let reads = IntCounterVec::new(
            Opts::new("ringkv_raft_reads_total", "Reads let go ahead, by how it was made certain."),
            &["mode"],
        )?;
        registry.register(Box::new(reads.clone()))?;
        let stage = |name: &str| stages.with_label_values(&[name]);
        Ok(Self {
            propose_wait: stage("propose_wait"),
            fsync: stage("fsync"),
            replicate: stage("replicate"),
            apply_wait: stage("apply_wait"),
            apply: stage("apply"),
            read_index: stage("read_index"),
            reads_by_index: reads.with_label_values(&["read_index"]),
            reads_by_lease: reads.with_label_values(&["lease"]),
        })
    }

    /// An entry proposed here is applied.
    pub(super) fn entry(&self, times: &EntryTimes) {
        let EntryTimes {
            queued_us,
            proposed_us,
            persisted_us,
            committed_us,
            apply_began_us,
            applied_us,
        } = *times;
        let stages = [
            (&self.propose_wait, queued_us, proposed_us),
            (&self.fsync, proposed_us, persisted_us),
            (&self.replicate, proposed_us, committed_us),
            (&self.apply_wait, committed_us, apply_began_us),
            (&self.apply, apply_began_us, applied_us),
        ];
        for (stage, from_us, to_us) in stages {
            // Zero: not passed, or not seen.
            if from_us > 0 && to_us >= from_us {
                stage.observe((to_us - from_us) as f64 / 1e6);
            }
        }
    }

    /// A read may go ahead, after a round with a quorum that took so long.
    pub(crate) fn read_by_index(&self, took_us: u64) {
        self.reads_by_index.inc();
        self.read_index.observe(took_us as f64 / 1e6);
    }

    /// A read may go ahead at once.
    pub(crate) fn read_by_lease(&self) {
        self.reads_by_lease.inc();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_that_were_not_seen_are_not_observed() {
        let series = StageSeries::register(&Registry::new()).unwrap();
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
        let seen = |stage: &Histogram| (stage.get_sample_count(), stage.get_sample_sum());
        assert_eq!(seen(&series.propose_wait), (1, 20e-6));
        assert_eq!(seen(&series.fsync), (0, 0.0));
        assert_eq!(seen(&series.replicate), (1, 1e-3));
        assert_eq!(seen(&series.apply_wait), (1, 10e-6));
        assert_eq!(seen(&series.apply), (1, 50e-6));
    }
}
