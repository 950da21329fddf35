//! The pages for operators: /metrics, /livez, /readyz and /healthz.
//!
//! Owns the answers, not the port: two services have one of their own for these pages (`http`), the
//! gateway shows them on its only one.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

use crate::exemplars::Exemplars;
use crate::health::Health;
use crate::{build_info, openmetrics, process};

/// The metrics and the health of one service; clones share them.
#[derive(Clone, Default)]
pub struct OperatorPages {
    pub registry: Registry,
    pub exemplars: Exemplars,
    pub health: Health,
}

impl OperatorPages {
    /// Pages with the series that every service has.
    ///
    /// # Errors
    /// Never, for a new registry; the `prometheus` crate allows for it.
    pub fn new(component: &str, health: Health) -> prometheus::Result<Self> {
        let pages = Self { health, ..Self::default() };
        build_info::register(&pages.registry, component)?;
        process::register(&pages.registry)?;
        pages.health.register(&pages.registry)?;
        Ok(pages)
    }

    /// The answer to a GET of `path`; `None` when it is none of these pages.
    pub fn answer(&self, path: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
        match path {
            "/metrics" => Some(self.metrics(headers)),
            "/livez" | "/healthz" => Some(match self.health.live() {
                Ok(()) => plain(StatusCode::OK, "ok\n"),
                Err(reason) => plain(StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
            }),
            "/readyz" => Some(match self.health.readiness() {
                Ok(()) => plain(StatusCode::OK, "ok\n"),
                Err(reasons) => plain(StatusCode::SERVICE_UNAVAILABLE, reasons.join("\n") + "\n"),
            }),
            _ => None,
        }
    }

    fn metrics(&self, headers: &HeaderMap) -> Response<Bytes> {
        let families = self.registry.gather();
        let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
        if accept.is_some_and(openmetrics::is_wanted) {
            let page = openmetrics::encode(&families, &self.exemplars);
            return with_type(StatusCode::OK, openmetrics::FORMAT, page);
        }
        match TextEncoder::new().encode_to_string(&families) {
            Ok(text) => with_type(StatusCode::OK, TEXT_FORMAT, text),
            Err(error) => {
                tracing::error!(%error, "cannot encode the metrics");
                plain(StatusCode::INTERNAL_SERVER_ERROR, "cannot encode the metrics\n")
            }
        }
    }
}

/// An answer of plain text.
pub(crate) fn plain(status: StatusCode, body: impl Into<Bytes>) -> Response<Bytes> {
    with_type(status, "text/plain; charset=utf-8", body)
}

fn with_type(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
