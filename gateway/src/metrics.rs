//! The gateway's own series, resolved before the first request.
//!
//! A request costs some atomic additions: no label is looked up or formatted for it. Values that
//! other code keeps are read at a scrape (`metrics/scraped`).

mod scraped;

use std::sync::OnceLock;
use std::time::Duration;

use http::StatusCode;
use prometheus::{HistogramOpts, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts};
use ringkv_client::{Observer, Outcome, RetryReason};
use ringkv_telemetry::exemplars::ExemplarHistogram;
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::series::Series;
use ringkv_telemetry::trace::TraceId;
use ringkv_topology::Epoch;

pub(crate) use scraped::register as register_scraped;

/// Bounds of the request-time buckets, in seconds: a quarter of a millisecond to the longest
/// deadline.
const BUCKETS: [f64; 15] = [
    0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
    30.0,
];

/// Statuses this gateway answers with; any other counts under its class's last place.
const STATUSES: [u16; 18] =
    [200, 201, 204, 304, 400, 404, 405, 408, 409, 412, 413, 431, 500, 503, 504, 507, 499, 599];

/// What a request was for, as far as metrics tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Kv,
    Page,
    Unknown,
}

/// A method by what metrics tell; anything unusual is `Other`, so that labels stay bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    Put,
    Delete,
    Other,
}

/// What a request was refused for before anything was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    Requests,
    BodyBytes,
    Connections,
}

const ROUTES: [&str; 3] = ["kv", "page", "unknown"];
const METHODS: [&str; 5] = ["GET", "HEAD", "PUT", "DELETE", "other"];
const SHEDS: [&str; 3] = ["requests", "body_bytes", "connections"];
const OUTCOMES: [Outcome; 3] = [Outcome::Applied, Outcome::NotApplied, Outcome::Unknown];

pub(crate) struct Metrics {
    requests: IntCounterVec,
    /// The counters of `requests` met so far, by route, method and status.
    cells: Vec<OnceLock<IntCounter>>,
    seconds: [ExemplarHistogram; METHODS.len()],
    retries: [IntCounter; RetryReason::ALL.len()],
    shed: [IntCounter; SHEDS.len()],
    outcomes: [IntCounter; OUTCOMES.len()],
    request_bytes: IntCounter,
    response_bytes: IntCounter,
    pub(crate) in_flight: IntGauge,
    pub(crate) connections: IntGauge,
    epoch: IntGauge,
}

impl Metrics {
    /// Makes the series and adds them to the pages.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(pages: &OperatorPages) -> prometheus::Result<Self> {
        let series = Series::of(&pages.registry);
        let requests = series.counters(
            &["route", "method", "code"],
            "ringkv_gateway_requests_total",
            "Requests answered, by route, method and status.",
        )?;
        let retries = series.counters(
            &["reason"],
            "ringkv_gateway_retries_total",
            "Attempts that were followed by another.",
        )?;
        let shed = series.counters(
            &["reason"],
            "ringkv_gateway_shed_total",
            "Requests and connections refused because a bound of this gateway was reached.",
        )?;
        let outcomes = series.counters(
            &["outcome"],
            "ringkv_gateway_outcomes_total",
            "Writes answered, by whether they applied as far as the answer could say.",
        )?;
        let seconds = series.histograms(&["method"], seconds())?;
        let epoch = series.add(IntGaugeVec::new(
            Opts::new("ringkv_ring_epoch", "Epoch of the topology in use."),
            &["component"],
        )?)?;
        let cells = ROUTES.len() * METHODS.len() * STATUSES.len();
        Ok(Self {
            requests,
            cells: (0..cells).map(|_| OnceLock::new()).collect(),
            seconds: METHODS.map(|method| pages.exemplars.of(seconds.with_label_values(&[method]))),
            retries: RetryReason::ALL.map(|reason| retries.with_label_values(&[reason.slug()])),
            shed: SHEDS.map(|reason| shed.with_label_values(&[reason])),
            outcomes: OUTCOMES.map(|outcome| outcomes.with_label_values(&[outcome.slug()])),
            request_bytes: series
                .counter("ringkv_gateway_request_bytes_total", "Bytes of values taken in.")?,
            response_bytes: series
                .counter("ringkv_gateway_response_bytes_total", "Bytes of values given out.")?,
            in_flight: series
                .gauge("ringkv_gateway_in_flight", "Key requests that wait for their answer.")?,
            connections: series.gauge("ringkv_gateway_connections", "Open client connections.")?,
            epoch: epoch.with_label_values(&["gateway"]),
        })
    }

    /// Counts one answer.
    pub(crate) fn answered(&self, route: Route, method: Method, status: StatusCode) {
        let code = code_of(status);
        let cell = (route as usize * METHODS.len() + method as usize) * STATUSES.len() + code;
        self.cells[cell]
            .get_or_init(|| {
                let labels =
                    [ROUTES[route as usize], METHODS[method as usize], &STATUSES[code].to_string()];
                self.requests.with_label_values(&labels)
            })
            .inc();
    }

    /// Notes how long a key request took; `trace` only of a traced one.
    pub(crate) fn took(&self, method: Method, time: Duration, trace: Option<TraceId>) {
        self.seconds[method as usize].observe(time.as_secs_f64(), trace);
    }

    /// Counts a request or connection refused because a bound was reached.
    pub(crate) fn shed(&self, what: Shed) {
        self.shed[what as usize].inc();
    }

    /// Counts what became of a write.
    pub(crate) fn outcome(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].inc();
    }

    /// A value came in whole.
    pub(crate) fn value_in(&self, bytes: usize) {
        self.request_bytes.inc_by(bytes as u64);
    }

    /// A value goes out.
    pub(crate) fn value_out(&self, bytes: usize) {
        self.response_bytes.inc_by(bytes as u64);
    }
}

fn seconds() -> HistogramOpts {
    let options = HistogramOpts::new(
        "ringkv_gateway_request_seconds",
        "Time from a key request's head to its answer's head, in seconds.",
    );
    options.buckets(BUCKETS.to_vec())
}

fn code_of(status: StatusCode) -> usize {
    let known = STATUSES.iter().position(|known| *known == status.as_u16());
    let rest = if status.is_server_error() { 1 } else { 2 };
    known.unwrap_or(STATUSES.len() - rest)
}

impl Method {
    /// As OpenTelemetry names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Other => "_OTHER",
            known => METHODS[known as usize],
        }
    }

    /// The name of a span for a key request: never the key.
    pub(crate) fn span_name(self) -> &'static str {
        match self {
            Self::Get => "GET /kv/{key}",
            Self::Head => "HEAD /kv/{key}",
            Self::Put => "PUT /kv/{key}",
            Self::Delete => "DELETE /kv/{key}",
            Self::Other => "HTTP /kv/{key}",
        }
    }
}

impl From<&http::Method> for Method {
    fn from(method: &http::Method) -> Self {
        match *method {
            http::Method::GET => Self::Get,
            http::Method::HEAD => Self::Head,
            http::Method::PUT => Self::Put,
            http::Method::DELETE => Self::Delete,
            _ => Self::Other,
        }
    }
}

impl Observer for Metrics {
    fn retried(&self, reason: RetryReason) {
        self.retries[reason as usize].inc();
    }

    fn topology(&self, epoch: Epoch) {
        self.epoch.set(i64::try_from(epoch.0).unwrap_or(i64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_under_its_own_labels_and_an_odd_status_under_its_class() {
        let metrics = Metrics::register(&OperatorPages::default()).unwrap();
        metrics.answered(Route::Kv, Method::Put, StatusCode::CREATED);
        metrics.answered(Route::Kv, Method::Put, StatusCode::CREATED);
        metrics.answered(Route::Page, Method::Other, StatusCode::IM_A_TEAPOT);
        let count = |labels: [&str; 3]| metrics.requests.with_label_values(&labels).get();
        assert_eq!(count(["kv", "PUT", "201"]), 2);
        assert_eq!(count(["page", "other", "499"]), 1);
        assert_eq!(count(["kv", "GET", "201"]), 0);
    }

    #[test]
    fn every_retry_reason_and_outcome_has_its_place() {
        for (place, reason) in RetryReason::ALL.into_iter().enumerate() {
            assert_eq!(place, reason as usize);
        }
        for (place, outcome) in OUTCOMES.into_iter().enumerate() {
            assert_eq!(place, outcome as usize);
        }
    }
}
