//! The page is read back by a parser that takes nothing the specification forbids.

mod parser;

use opentelemetry::TraceId;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

use super::*;
use parser::{Family, parse};

fn requests() -> HistogramVec {
    let options = HistogramOpts::new("t_request_seconds", "Time, in seconds.");
    HistogramVec::new(options.buckets(vec![0.000_05, 0.5, 1.0]), &["method"]).unwrap()
}

fn page(registry: &Registry, exemplars: &Exemplars) -> Vec<Family> {
    let text = encode(&registry.gather(), exemplars);
    parse(&text).unwrap_or_else(|error| panic!("{error} in\n{text}"))
}

#[test]
fn every_kind_of_series_is_read_back() {
    let registry = Registry::new();
    let counters =
        IntCounterVec::new(Opts::new("t_lost_total", "Lost \\ \"all\"\nof it."), &["why"]).unwrap();
    counters.with_label_values(&["a \"b\"\\\nc"]).inc_by(3);
    let gauge = IntGauge::new("t_lag_entries", "Lag.").unwrap();
    gauge.set(-7);
    let requests = requests();
    requests.with_label_values(&["GET"]).observe(0.7);
    for collector in [
        Box::new(counters) as Box<dyn prometheus::core::Collector>,
        Box::new(gauge),
        Box::new(requests),
    ] {
        registry.register(collector).unwrap();
    }
    let families = page(&registry, &Exemplars::default());
    let shown: Vec<_> = families.iter().map(|one| (one.name.as_str(), one.kind.as_str())).collect();
    assert_eq!(
        shown,
        [("t_lag_entries", "gauge"), ("t_lost", "counter"), ("t_request_seconds", "histogram")]
    );
    let [lag, lost, seconds] = families.try_into().unwrap();
    assert_eq!(lag.samples[0].value, -7.0);
    assert_eq!((lost.help.as_str(), lost.samples[0].value), ("Lost \\ \"all\"\nof it.", 3.0));
    assert_eq!(lost.samples[0].label("why"), Some("a \"b\"\\\nc"));
    let les: Vec<_> = seconds.samples.iter().filter_map(|one| one.label("le")).collect();
    assert_eq!(les, ["0.00005", "0.5", "1.0", "+Inf"]);
}

#[test]
fn a_bucket_shows_the_trace_of_its_last_traced_request() {
    let registry = Registry::new();
    let (requests, exemplars) = (requests(), Exemplars::default());
    registry.register(Box::new(requests.clone())).unwrap();
    let get = exemplars.of(requests.with_label_values(&["GET"]));
    let put = exemplars.of(requests.with_label_values(&["PUT"]));
    get.observe(0.7, Some(TraceId::from(0xab)));
    get.observe(0.6, None);
    put.observe(30.0, Some(TraceId::from(0xcd)));
    let families = page(&registry, &exemplars);
    let shown: Vec<_> = families[0]
        .samples
        .iter()
        .filter_map(|one| {
            let (trace, value) = one.exemplar.clone()?;
            Some((one.label("method")?, one.label("le")?, trace, value))
        })
        .collect();
    let trace = |id: u128| format!("{id:032x}");
    assert_eq!(shown, [("GET", "1.0", trace(0xab), 0.7), ("PUT", "+Inf", trace(0xcd), 30.0)]);
}

#[test]
fn values_that_are_no_numbers_are_written_as_the_format_has_them() {
    let registry = Registry::new();
    let options = HistogramOpts::new("t_odd_seconds", "Odd.").buckets(vec![1.0]);
    let histogram = Histogram::with_opts(options).unwrap();
    registry.register(Box::new(histogram.clone())).unwrap();
    histogram.observe(f64::INFINITY);
    assert!(encode(&registry.gather(), &Exemplars::default()).contains("t_odd_seconds_sum +Inf\n"));
}

#[test]
fn the_format_is_for_those_who_want_it_most() {
    for wanted in [
        "application/openmetrics-text",
        "text/plain, application/openmetrics-text",
        "Application/OpenMetrics-text; version=1.0.0",
        // Prometheus 2 and 3.
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
         q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
         application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
    ] {
        assert!(is_wanted(wanted), "{wanted}");
    }
    for other in [
        "",
        "*/*",
        "text/html, */*;q=0.1",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;version=0.0.1",
        "application/openmetrics-text;q=0.2, text/plain",
        "application/openmetrics-text;q=much",
    ] {
        assert!(!is_wanted(other), "{other}");
    }
}

#[test]
fn the_parser_refuses_what_the_specification_forbids() {
    let good = "# HELP a A.\n# TYPE a counter\na_total{b=\"c\"} 1\n# EOF\n";
    parse(good).unwrap();
    let histogram = "# HELP h H.\n# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {trace_id=\"x\"} 0.5 \
                     1.0\nh_bucket{le=\"+Inf\"} 1\nh_sum 1\nh_count 1\n# EOF\n";
    parse(histogram).unwrap();
    for (text, from, to) in [
        (good, "# EOF\n", ""),
        (good, "# EOF\n", "# EOF"),
        (good, "# EOF\n", "\n# EOF\n"),
        (good, "a_total", "a"),
        (good, "a_total", "b_total"),
        (good, "} 1", "} -1"),
        (good, "\"c\"", "\"c"),
        (good, "\"c\"", "\"c\",b=\"d\""),
        (good, "} 1\n", "} 1\na_total{b=\"c\"} 2\n"),
        (good, "# EOF", "# HELP a A.\n# TYPE a counter\n# EOF"),
        (good, "# EOF", "# HELP a_total A.\n# TYPE a_total gauge\n# EOF"),
        (histogram, "\"1.0\"} 1", "\"1.0\"} 2"),
        (histogram, "h_count 1", "h_count 2"),
        (histogram, "h_bucket{le=\"+Inf\"} 1\n", ""),
        (histogram, "} 0.5", "} 1.5"),
        (histogram, "h_sum 1", "h_sum 1 # {trace_id=\"x\"} 0.5"),
        (histogram, "h_sum 1\n", ""),
    ] {
        let bad = text.replacen(from, to, 1);
        assert!(parse(&bad).is_err(), "{from:?} as {to:?} was taken");
    }
}
