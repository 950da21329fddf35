//! Exemplars: for each bucket of a histogram the last traced request that fell into it.
//!
//! Owns what the `prometheus` crate has no place for; the OpenMetrics page shows it next to the
//! buckets. An observation of a request that is not traced has no cost here. One that is
//! traced takes the lock of its bucket, or is not kept if that is taken.

use std::sync::Arc;
use std::time::SystemTime;

use opentelemetry::TraceId;
use parking_lot::Mutex;
use prometheus::Histogram;
use prometheus::core::{Collector as _, Metric as _};
use prometheus::proto::LabelPair;

/// The exemplars of one service's histograms; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Exemplars {
    series: Arc<Mutex<Vec<Series>>>,
}

/// A histogram whose buckets remember their last traced request.
#[derive(Clone, Debug)]
pub struct ExemplarHistogram {
    histogram: Histogram,
    buckets: Arc<Buckets>,
}

/// A request that fell into a bucket.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Exemplar {
    pub(crate) trace: TraceId,
    pub(crate) value: f64,
    pub(crate) at: SystemTime,
}

#[derive(Debug)]
struct Series {
    family: String,
    labels: Vec<LabelPair>,
    buckets: Arc<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    /// Upper bounds, ascending; the last bucket has none.
    bounds: Vec<f64>,
    /// One more than there are bounds.
    last: Vec<Mutex<Option<Exemplar>>>,
}

impl Exemplars {
    /// Remembers exemplars of `histogram`, a registered one, from now on.
    pub fn of(&self, histogram: Histogram) -> ExemplarHistogram {
        let metric = histogram.metric();
        let bounds: Vec<f64> =
            metric.get_histogram().get_bucket().iter().map(|bucket| bucket.upper_bound()).collect();
        let last = (0..=bounds.len()).map(|_| Mutex::default()).collect();
        let buckets = Arc::new(Buckets { bounds, last });
        self.series.lock().push(Series {
            family: histogram.desc().first().map(|desc| desc.fq_name.clone()).unwrap_or_default(),
            labels: metric.get_label().to_vec(),
            buckets: Arc::clone(&buckets),
        });
        ExemplarHistogram { histogram, buckets }
    }

    /// The exemplar of each bucket, without bound last; empty for a series that keeps none.
    pub(crate) fn get(&self, family: &str, labels: &[LabelPair]) -> Vec<Option<Exemplar>> {
        let series = self.series.lock();
        let found = series.iter().find(|one| one.family == family && one.labels == labels);
        found
            .map_or_else(Vec::new, |one| one.buckets.last.iter().map(|last| *last.lock()).collect())
    }
}

impl ExemplarHistogram {
    /// Counts an observation; `trace` is that of a request whose spans are recorded.
    pub fn observe(&self, value: f64, trace: Option<TraceId>) {
        self.histogram.observe(value);
        if let Some(trace) = trace {
            self.buckets.remember(Exemplar { trace, value, at: SystemTime::now() });
        }
    }
}

impl Buckets {
    /// Another request in the same bucket at the same moment is as good an example.
    fn remember(&self, exemplar: Exemplar) {
        let bucket = self.bounds.partition_point(|bound| *bound < exemplar.value);
        if let Some(mut last) = self.last[bucket].try_lock() {
            *last = Some(exemplar);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::HistogramOpts;

    fn traces(exemplars: &Exemplars) -> Vec<Option<u128>> {
        let kept = exemplars.get("t_seconds", &[]);
        let trace = |one: Exemplar| u128::from_be_bytes(one.trace.to_bytes());
        kept.into_iter().map(|one| one.map(trace)).collect()
    }

    #[test]
    fn each_bucket_keeps_its_last_traced_request() {
        let options = HistogramOpts::new("t_seconds", "T.").buckets(vec![1.0, 2.0]);
        let exemplars = Exemplars::default();
        let histogram = exemplars.of(Histogram::with_opts(options).unwrap());
        histogram.observe(0.5, None);
        assert_eq!(traces(&exemplars), [None, None, None]);
        // A bound belongs to the bucket below it, as in the histogram.
        for (value, trace) in [(0.5, 1), (1.0, 2), (1.5, 3), (9.0, 4), (f64::INFINITY, 5)] {
            histogram.observe(value, Some(TraceId::from(trace)));
        }
        assert_eq!(traces(&exemplars), [Some(2), Some(3), Some(5)]);
        assert_eq!(histogram.histogram.get_sample_count(), 6);
        assert_eq!(exemplars.get("other_seconds", &[]), []);
    }
}
