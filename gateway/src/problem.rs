//! Every error a client of the gateway can see, as `application/problem+json` (RFC 9457).
//!
//! Owns the vocabulary ([`Kind`]) and its status codes. The rule behind the statuses: 503 means
//! not applied, 504 means unknown, never 200 for a failure, never 500 for a user's mistake.
//! Details name headers, limits and ranges, never an address, a path on disk or a value.

mod from_client;

use http::header::{self, HeaderValue};
use http::{HeaderName, StatusCode};
use ringkv_client::Outcome;
use ringkv_telemetry::trace::TraceId;
use serde::Serialize;

use crate::reply::{self, Reply};

/// As much of a request's path as a problem repeats, in bytes.
const INSTANCE_BYTES_MAX: usize = 1024;

/// What went wrong: slug, title and status go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    BadKey,
    BadParameter,
    BadHeader,
    BodyIncomplete,
    Invalid,
    KeyNotFound,
    RouteNotFound,
    MethodNotAllowed,
    BodyTooSlow,
    IdempotencyKeyReused,
    PreconditionFailed,
    ValueTooLarge,
    HeadersTooLarge,
    Internal,
    Overloaded,
    NotReady,
    NoLeader,
    OutcomeUnknown,
    NoSpace,
}

impl Kind {
    /// Every kind, for the pages that list them.
    pub(crate) const ALL: [Self; 19] = [
        Self::BadKey,
        Self::BadParameter,
        Self::BadHeader,
        Self::BodyIncomplete,
        Self::Invalid,
        Self::KeyNotFound,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::BodyTooSlow,
        Self::IdempotencyKeyReused,
        Self::PreconditionFailed,
        Self::ValueTooLarge,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Overloaded,
        Self::NotReady,
        Self::NoLeader,
        Self::OutcomeUnknown,
        Self::NoSpace,
    ];

    fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadKey => (400, "bad-key", "The key is not one"),
            Self::BadParameter => (400, "bad-parameter", "A query parameter is not valid"),
            Self::BadHeader => (400, "bad-header", "A header is not valid"),
            Self::BodyIncomplete => (400, "body-incomplete", "The body ended early"),
            Self::Invalid => (400, "invalid", "The request is not valid"),
            Self::KeyNotFound => (404, "key-not-found", "The key is absent"),
            Self::RouteNotFound => (404, "route-not-found", "There is nothing at this path"),
            Self::MethodNotAllowed => (405, "method-not-allowed", "Not a method of this path"),
            Self::BodyTooSlow => (408, "body-too-slow", "The body did not arrive in time"),
            Self::IdempotencyKeyReused => {
                (409, "idempotency-key-reused", "The Idempotency-Key belongs to another request")
            }
            Self::PreconditionFailed => (412, "precondition-failed", "The condition does not hold"),
            Self::ValueTooLarge => (413, "value-too-large", "The value is too large"),
            Self::HeadersTooLarge => (431, "headers-too-large", "The headers are too large"),
            Self::Internal => (500, "internal", "The server failed on this request"),
            Self::Overloaded => (503, "overloaded", "Too busy: not applied"),
            Self::NotReady => (503, "not-ready", "The cluster is not formed yet: not applied"),
            Self::NoLeader => (503, "no-leader", "The key's group has no leader: not applied"),
            Self::OutcomeUnknown => (504, "outcome-unknown", "The write may have applied"),
            Self::NoSpace => (507, "no-space", "The storage is full: not applied"),
        }
    }

    /// The status it is answered with.
    pub(crate) fn status(self) -> StatusCode {
        StatusCode::from_u16(self.row().0).expect("the table holds statuses")
    }

    /// The last part of its `type`.
    pub(crate) fn slug(self) -> &'static str {
        self.row().1
    }

    /// A short sentence, the same for every occurrence.
    pub(crate) fn title(self) -> &'static str {
        self.row().2
    }

    /// Whether the same request can succeed later, and after how long it is worth a try.
    fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Overloaded => Some(100),
            Self::NoLeader => Some(500),
            Self::NotReady | Self::OutcomeUnknown => Some(1000),
            _ => None,
        }
    }
}

/// One error, ready to be answered.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
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
    pub(crate) fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            outcome: Outcome::NotApplied,
            retryable: kind.retry_after_ms().is_some(),
            limit: None,
            current_revision: None,
            group: None,
            allow: None,
            close: false,
        }
    }

    /// A header that cannot be taken: which, and what it may be.
    pub(crate) fn header(name: &str, allowed: impl std::fmt::Display) -> Self {
        Self::new(Kind::BadHeader, format!("{name} must be {allowed}"))
    }

    /// A method the path does not have; `allow` lists those it has.
    pub(crate) fn method(allow: &'static str) -> Self {
        let detail = format!("this path has the methods {allow}");
        Self { allow: Some(allow), ..Self::new(Kind::MethodNotAllowed, detail) }
    }

    /// Nothing at this path.
    pub(crate) fn route() -> Self {
        Self::new(Kind::RouteNotFound, "see /openapi.json for what there is")
    }

    /// The revision found when a condition failed; 0 for an absent key.
    pub(crate) fn with_current(self, revision: u64) -> Self {
        Self { current_revision: Some(revision), ..self }
    }

    /// The limit that was passed, in bytes unless the detail says otherwise.
    pub(crate) fn with_limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// The rest of the request cannot be read: the connection ends after the answer.
    pub(crate) fn closing(self) -> Self {
        Self { close: true, ..self }
    }

    /// What went wrong.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the request applied all the same.
    pub(crate) fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The detail, for the log.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The group of the key, as far as it was found.
    pub(crate) fn group(&self) -> Option<u64> {
        self.group
    }

    /// The answer to a request of this path; `trace` names it in traces and logs.
    pub(crate) fn into_reply(self, path: &str, trace: TraceId) -> Reply {
        let instance = path.get(..INSTANCE_BYTES_MAX).unwrap_or(path);
        let status = self.kind.status();
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
            code: self.kind.slug().replace('-', "_"),
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
