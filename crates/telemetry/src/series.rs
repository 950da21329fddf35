//! Series that are counted as things happen: made and added to a registry in one step.
//!
//! Owns no series. What a scrape reads from elsewhere is a collector of the service's own.

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
};

/// Makes series for one registry. Every method fails only when the name is taken there.
#[derive(Clone, Copy, Debug)]
pub struct Series<'a> {
    registry: &'a Registry,
}

impl<'a> Series<'a> {
    /// Series for this registry.
    pub fn of(registry: &'a Registry) -> Self {
        Self { registry }
    }

    /// A counter without labels.
    pub fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounter> {
        self.add(IntCounter::new(name, help)?)
    }

    /// A counter for each value of the labels.
    pub fn counters(
        &self,
        labels: &[&str],
        name: &str,
        help: &str,
    ) -> prometheus::Result<IntCounterVec> {
        self.add(IntCounterVec::new(Opts::new(name, help), labels)?)
    }

    /// A gauge without labels.
    pub fn gauge(&self, name: &str, help: &str) -> prometheus::Result<IntGauge> {
        self.add(IntGauge::new(name, help)?)
    }

    /// A histogram without labels.
    pub fn histogram(&self, options: HistogramOpts) -> prometheus::Result<Histogram> {
        self.add(Histogram::with_opts(options)?)
    }

    /// A histogram for each value of the labels.
    pub fn histograms(
        &self,
        labels: &[&str],
        options: HistogramOpts,
    ) -> prometheus::Result<HistogramVec> {
        self.add(HistogramVec::new(options, labels)?)
    }

    /// Adds a series made elsewhere, and returns it.
    pub fn add<C: Collector + Clone + 'static>(&self, series: C) -> prometheus::Result<C> {
        self.registry.register(Box::new(series.clone()))?;
        Ok(series)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_what_the_registry_gathers() {
        let registry = Registry::new();
        let series = Series::of(&registry);
        series.counter("a_total", "A.").unwrap().inc_by(3);
        series.counters(&["kind"], "b_total", "B.").unwrap().with_label_values(&["x"]).inc();
        let gathered = registry.gather();
        let values: Vec<f64> =
            gathered.iter().map(|f| f.get_metric()[0].get_counter().get_value()).collect();
        assert_eq!(values, [3.0, 1.0]);
        assert!(series.gauge("a_total", "Taken.").is_err());
    }
}
