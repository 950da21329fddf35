//! One request: which part answers it, within which bounds, and what is counted.
//!
//! Keys are matched on the raw path here, in front of axum, whose extractors would refuse or
//! rewrite some of them. Key requests beyond the limit are refused at once; pages are not counted
//! against it, so that a gateway under load still reports its health.

use std::sync::Arc;

use http::{HeaderMap, Request};
use http_body_util::Either;
use hyper::body::Incoming;
use prometheus::IntGauge;
use ringkv_budget::{Budget, Share};
use ringkv_client::{ErrorKind, Outcome};
use ringkv_telemetry::pages::OperatorPages;
use ringkv_telemetry::trace::{TraceId, Tracer};
use tower::ServiceExt as _;

use crate::kv::{self, Keys, Place};
use crate::limits::Limits;
use crate::metrics::{Method, Metrics, Route, Shed};
use crate::pages::{self, Pages};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::trace::{self, RequestTrace};

/// What every connection serves.
pub(crate) struct Service {
    pub(crate) metrics: Arc<Metrics>,
    keys: Keys,
    tracer: Tracer,
    requests: Budget,
    pages: axum::Router,
}

impl Service {
    pub(crate) fn new(keys: Keys, tracer: Tracer, operator: OperatorPages) -> Self {
        let (client, limits) = (keys.client.clone(), keys.limits.clone());
        let requests = Budget::new(limits.requests_max);
        let pages = pages::router(Pages { client, limits, operator });
        Self { metrics: Arc::clone(&keys.metrics), keys, tracer, requests, pages }
    }

    /// Answers a request; every failure is a problem body.
    pub(crate) async fn handle(&self, request: Request<Incoming>) -> Reply {
        let method = Method::from(request.method());
        let (route, reply) = match kv::place(request.uri().path()) {
            Some(place) => (Route::Kv, self.key(place, method, request).await),
            None => self.page(request).await,
        };
        self.metrics.answered(route, method, reply.status());
        reply
    }

    async fn key(&self, place: Place, method: Method, request: Request<Incoming>) -> Reply {
        let mut trace = RequestTrace::begin(&self.tracer, method, &request);
        let _in_flight = InFlight::enter(&self.metrics.in_flight);
        let uri = request.uri().clone();
        let answered = match self.admit(request.headers()) {
            Ok(_share) => self.keys.handle(place, request, &mut trace).await,
            Err(problem) => Err(problem),
        };
        if matches!(method, Method::Put | Method::Delete) {
            let outcome = answered.as_ref().map_or_else(Problem::outcome, |_| Outcome::Applied);
            self.metrics.outcome(outcome);
        }
        let (id, sampled) = (trace.id(), trace.sampled_id());
        let mut reply = answered.unwrap_or_else(|problem| {
            log(&problem, id);
            problem.into_reply(uri.path(), id)
        });
        let took = trace.finish(&mut reply);
        self.metrics.took(method, took, sampled);
        tracing::debug!(?method, status = reply.status().as_u16(), ?took, trace_id = %id, "key");
        reply
    }

    fn admit(&self, headers: &HeaderMap) -> Result<Share<'_>, Problem> {
        check_size(headers, &self.keys.limits)?;
        self.requests.take_share(1).ok_or_else(|| {
            self.metrics.shed(Shed::Requests);
            Problem::new(ErrorKind::Overloaded, "too many requests are open at this gateway")
        })
    }

    async fn page(&self, mut request: Request<Incoming>) -> (Route, Reply) {
        let id = trace::id_of(&request);
        let mut reply = match check_size(request.headers(), &self.keys.limits) {
            Err(problem) => problem.into_reply(request.uri().path(), id),
            Ok(()) => {
                request.extensions_mut().insert(id);
                let Ok(reply) = self.pages.clone().oneshot(request).await;
                reply.map(Either::Right)
            }
        };
        trace::name_trace(&mut reply, id);
        let known = reply.status() != http::StatusCode::NOT_FOUND;
        (if known { Route::Page } else { Route::Unknown }, reply)
    }
}

/// Logs what the problem body does not contain: the details of a fault of the server.
fn log(problem: &Problem, id: TraceId) {
    if problem.kind() == ErrorKind::Internal {
        let (detail, group) = (problem.detail(), problem.group());
        tracing::error!(trace_id = %id, group, detail, "internal error on a request");
    }
}

fn check_size(headers: &HeaderMap, limits: &Limits) -> Result<(), Problem> {
    let bytes: usize = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    if bytes > limits.header_bytes_max {
        let max = limits.header_bytes_max;
        let detail = format!("the headers have {bytes} bytes, more than {max}");
        return Err(Problem::new(ErrorKind::HeadersTooLarge, detail).with_limit(max as u64));
    }
    Ok(())
}

struct InFlight<'a> {
    gauge: &'a IntGauge,
}

impl<'a> InFlight<'a> {
    fn enter(gauge: &'a IntGauge) -> Self {
        gauge.inc();
        Self { gauge }
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.gauge.dec();
    }
}
