//! Pure. The OpenMetrics 1.0 text format: what a registry gathered, with exemplars.
//!
//! The plain text format of the `prometheus` crate has no place for exemplars; this one has. The
//! names of series are the same in both, so a scraper may change between them.

use std::time::UNIX_EPOCH;

use prometheus::proto::{LabelPair, Metric, MetricFamily, MetricType};

use crate::exemplars::{Exemplar, Exemplars};

/// The content type of [`encode`]'s text.
pub(crate) const FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether an `Accept` header wants this format at least as much as plain text.
pub(crate) fn is_wanted(accept: &str) -> bool {
    let (mut ours, mut text) = (0.0_f64, 0.0_f64);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        let find = |name: &str| parameters.iter().find(|(n, _)| *n == name).map(|(_, v)| *v);
        let quality = find("q").map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
        match kind.as_str() {
            "application/openmetrics-text" if find("version").is_none_or(|v| v == "1.0.0") => {
                ours = ours.max(quality);
            }
            "text/plain" | "text/*" | "*/*" => text = text.max(quality),
            _ => {}
        }
    }
    ours > 0.0 && ours >= text
}

/// The page of these families.
pub(crate) fn encode(families: &[MetricFamily], exemplars: &Exemplars) -> String {
    let mut page = Page::default();
    for family in families {
        page.family(family, exemplars);
    }
    page.text.push_str("# EOF\n");
    page.text
}

#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    fn family(&mut self, family: &MetricFamily, exemplars: &Exemplars) {
        let full = family.name();
        let (name, kind) = match family.get_field_type() {
            // A counter's family has its name without the ending, which its sample has.
            MetricType::COUNTER => (full.strip_suffix("_total").unwrap_or(full), "counter"),
            MetricType::GAUGE => (full, "gauge"),
            MetricType::HISTOGRAM => (full, "histogram"),
            // No service has one.
            MetricType::SUMMARY | MetricType::UNTYPED => return,
        };
        self.push(&["# HELP ", name, " ", &escaped(family.help()), "\n"]);
        self.push(&["# TYPE ", name, " ", kind, "\n"]);
        for metric in family.get_metric() {
            let labels = metric.get_label();
            match family.get_field_type() {
                MetricType::COUNTER => {
                    self.sample((name, "_total"), labels, metric.get_counter().get_value());
                }
                MetricType::GAUGE => {
                    self.sample((name, ""), labels, metric.get_gauge().get_value());
                }
                _ => self.histogram(name, metric, &exemplars.get(full, labels)),
            }
        }
    }

    fn histogram(&mut self, name: &str, metric: &Metric, exemplars: &[Option<Exemplar>]) {
        let (labels, histogram) = (metric.get_label(), metric.get_histogram());
        let count = histogram.get_sample_count();
        let buckets = histogram.get_bucket().iter();
        let buckets = buckets.map(|bucket| (bucket.upper_bound(), bucket.cumulative_count()));
        for (place, (bound, count)) in buckets.chain([(f64::INFINITY, count)]).enumerate() {
            let exemplar = exemplars.get(place).copied().flatten();
            self.series((name, "_bucket"), labels, Some(&canonical(bound)));
            self.push(&[&count.to_string()]);
            if let Some(exemplar) = exemplar {
                self.exemplar(&exemplar);
            }
            self.push(&["\n"]);
        }
        self.sample((name, "_sum"), labels, histogram.get_sample_sum());
        self.sample((name, "_count"), labels, count as f64);
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        let Exemplar { trace, value, at } = exemplar;
        let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let at = format!("{}.{:03}", at.as_secs(), at.subsec_millis());
        let trace = trace.to_string();
        self.push(&[" # {trace_id=\"", &trace, "\"} ", &number(*value), " ", &at]);
    }

    fn sample(&mut self, name: (&str, &str), labels: &[LabelPair], value: f64) {
        self.series(name, labels, None);
        self.push(&[&number(value), "\n"]);
    }

    /// Name and labels of a sample, and the space behind them.
    fn series(&mut self, (name, ending): (&str, &str), labels: &[LabelPair], le: Option<&str>) {
        self.push(&[name, ending]);
        let mut before = "{";
        for label in labels {
            self.push(&[before, label.name(), "=\"", &escaped(label.value()), "\""]);
            before = ",";
        }
        if let Some(le) = le {
            self.push(&[before, "le=\"", le, "\""]);
            before = ",";
        }
        self.text.push_str(if before == "," { "} " } else { " " });
    }

    fn push(&mut self, parts: &[&str]) {
        self.text.extend(parts.iter().copied());
    }
}

fn number(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    value.to_string()
}

/// A bucket's bound, which is a label: every exporter writes 1 as `1.0`.
fn canonical(bound: f64) -> String {
    let is_whole = bound.is_finite() && bound.fract() == 0.0;
    number(bound) + if is_whole { ".0" } else { "" }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

#[cfg(test)]
mod tests;
