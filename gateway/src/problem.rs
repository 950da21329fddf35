//! Every error a client of the gateway can see, as `application/problem+json` (RFC 9457).
//!
//! Owns the form; the vocabulary, with its statuses, is [`ErrorKind`]. Details name headers, limits
//! and ranges, never an address, a path on disk or a value.

mod from_client;

use http::header::{self, HeaderValue};
use http::{HeaderName, StatusCode};
use ringkv_client::{ErrorKind, Outcome};
use ringkv_telemetry::trace::TraceId;
use serde::Serialize;

use crate::reply::{self, Reply};

/// As much of a request's path as a problem repeats, in bytes.
const INSTANCE_BYTES_MAX: usize = 1024;

/// The status that a kind is answered with.
pub(crate) fn status(kind: ErrorKind) -> StatusCode {
    StatusCode::from_u16(kind.status()).expect("every kind has a valid status")
}

/// The `code` of a kind.
pub(crate) fn code(kind: ErrorKind) -> String {
    kind.slug().replace('-', "_")
}

/// One error, ready to be answered.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: ErrorKind,
    detail: String,
    outcome: Outcome,
    retryable: bool,
    limit: Option<u64>,
    /// The revision that is there; 0 for an absent key.
    current_revision: Option<u64>,
    group: Option<u64>,
    allow: Option<&'static str>,
    close: bool,
}

#[derive(Serialize)]
struct Body<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    trace_id: String,
    code: String,
    retryable: bool,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    current_etag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<u64>,
}

impl Problem {
    /// A problem of a request that did not apply.
    pub(crate) fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            outcome: Outcome::NotApplied,
            retryable: kind.is_retryable(),
            limit: None,
            current_revision: None,
            group: None,
            allow: None,
            close: false,
        }
    }

    /// A header whose value is not allowed: which one, and what it may be.
    pub(crate) fn header(name: &str, allowed: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::BadHeader, format!("{name} must be {allowed}"))
    }

    /// A method the path does not have; `allow` lists those it has.
    pub(crate) fn method(allow: &'static str) -> Self {
        let detail = format!("this path takes {allow}");
        Self { allow: Some(allow), ..Self::new(ErrorKind::MethodNotAllowed, detail) }
    }

    /// Nothing at this path.
    pub(crate) fn route() -> Self {
        Self::new(ErrorKind::RouteNotFound, "/openapi.json lists every path")
    }

    /// The revision found when a condition failed; 0 for an absent key.
    pub(crate) fn with_current(self, revision: u64) -> Self {
        Self { current_revision: Some(revision), ..self }
    }

    /// The limit that was exceeded, in bytes unless the detail says otherwise.
    pub(crate) fn with_limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The rest of the request cannot be read: the connection ends after the answer.
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// What went wrong.
    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Whether the request applied nevertheless.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The detail, for the log.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The group of the key, if it is known.
    pub(crate) fn group(&self) -> Option<u64> {
        self.group
    }

    /// The answer to a request of this path; `trace` names it in traces and logs.
    pub(crate) fn into_reply(self, path: &str, trace: TraceId) -> Reply {
        let instance = path.get(..INSTANCE_BYTES_MAX).unwrap_or(path);
        let status = status(self.kind);
        let retry_after_ms = self.kind.retry_after_ms().filter(|_| self.retryable);
        let current_etag =
            self.current_revision.filter(|revision| *revision != 0).map(|r| format!("\"{r}\""));
        let body = Body {
            r#type: format!("/problems/{}", self.kind.slug()),
            title: self.kind.title(),
            status: status.as_u16(),
            detail: &self.detail,
            instance,
            trace_id: trace.to_string(),
            code: code(self.kind),
            retryable: self.retryable,
            outcome: self.outcome.slug(),
            retry_after_ms,
            limit: self.limit,
            current_etag: current_etag.clone(),
            group: self.group,
        };
        let body = serde_json::to_vec(&body).expect("strings and numbers are JSON");
        let mut reply = reply::json(status, "application/problem+json", body);
        let headers = reply.headers_mut();
        let mut set = |name: HeaderName, value: HeaderValue| headers.insert(name, value);
        if let Some(ms) = retry_after_ms {
            set(header::RETRY_AFTER, HeaderValue::from(ms.div_ceil(1000)));
        }
        if let Some(etag) = current_etag.and_then(|etag| HeaderValue::from_str(&etag).ok()) {
            set(header::ETAG, etag);
        }
        if let Some(allow) = self.allow {
            set(header::ALLOW, HeaderValue::from_static(allow));
        }
        if self.close {
            set(header::CONNECTION, HeaderValue::from_static("close"));
        }
        reply
    }
}
