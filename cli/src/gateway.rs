//! A gateway's HTTP as the commands use it.
//!
//! Owns how a key travels (always base64url in `?key_b64=`, since HTTP libraries rewrite paths
//! with dots or empty segments), and what an answer or its absence means for the three outcomes.
//! One request per call: the gateway does the retrying, under one request id.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode};

use crate::failure::{Applied, Exit, Failure};

/// How long the command waits after the request's own deadline for the gateway's answer, which
/// contains the outcome of the write.
const GRACE: Duration = Duration::from_secs(1);

/// Which gateway, and how long to wait.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct GatewayArgs {
    /// Base URL of a gateway.
    #[arg(
        long,
        env = "RINGKV_GATEWAY",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL"
    )]
    pub gateway: String,

    /// Deadline of the request in milliseconds, 1 to 30000, retries inside the cluster included.
    #[arg(long, env = "RINGKV_TIMEOUT_MS", default_value_t = 5000, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=30_000))]
    pub timeout_ms: u32,
}

/// What a request does, which decides what a lost answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    Read,
    Write,
}

/// A successful (2xx) answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Reply {
    /// A header as text, if it is there and is text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The revision in `KV-Revision`.
    pub(crate) fn revision(&self) -> Option<u64> {
        self.header("kv-revision")?.parse().ok()
    }
}

/// Speaks to one gateway.
pub(crate) struct Gateway {
    http: reqwest::Client,
    base: String,
    timeout_ms: u32,
}

impl Gateway {
    /// A client for the gateway named by `args`; connects on first use.
    ///
    /// # Errors
    /// The URL is not one.
    pub(crate) fn new(args: &GatewayArgs) -> Result<Self, Failure> {
        let base = args.gateway.trim_end_matches('/').to_owned();
        let parsed = reqwest::Url::parse(&base);
        if !parsed.is_ok_and(|url| url.scheme() == "http" && url.has_host()) {
            return Err(Failure::new(
                Exit::Usage,
                format!("--gateway {:?} is not an http:// URL", args.gateway),
                "use http://host:port",
            ));
        }
        let http = reqwest::Client::builder()
            .timeout(Duration::from_millis(args.timeout_ms.into()) + GRACE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(|error| {
                Failure::new(Exit::NotApplied, format!("cannot start HTTP: {}", chain(&error)), "")
            })?;
        Ok(Self { http, base, timeout_ms: args.timeout_ms })
    }

    /// A request on `key`, deadline included; the caller adds headers and body.
    pub(crate) fn on_key(&self, method: Method, key: &OsStr) -> RequestBuilder {
        let key = URL_SAFE_NO_PAD.encode(key.as_bytes());
        self.http
            .request(method, format!("{}/kv?key_b64={key}", self.base))
            .header("kv-timeout-ms", HeaderValue::from(self.timeout_ms))
    }

    /// A GET of a path of the gateway's own.
    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.base))
    }

    /// Sends a request and classifies its answer.
    ///
    /// # Errors
    /// Anything but 2xx, with the exit code and the outcome the answer implies.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        effect: Effect,
    ) -> Result<Reply, Failure> {
        let lost = |error| self.no_answer(&error, effect);
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let headers = response.headers().clone();
        let body = match response.bytes().await {
            Ok(body) => body,
            // The status line alone proves that a write applied, but not what a failure says.
            Err(error) => return Err(lost(error)),
        };
        if status.is_success() {
            return Ok(Reply { status, headers, body });
        }
        Err(Problem::parse(status, &body).into_failure(effect))
    }

    fn no_answer(&self, error: &reqwest::Error, effect: Effect) -> Failure {
        if error.is_connect() {
            let applied = if effect == Effect::Write { Applied::No } else { Applied::NotAWrite };
            return Failure::new(
                Exit::NotApplied,
                format!("no gateway answers at {}: {}", self.base, chain(error)),
                "check --gateway (RINGKV_GATEWAY); `ringkv dev` starts a cluster here",
            )
            .applied(applied);
        }
        let happened = format!("no answer from the gateway: {}", chain(error));
        match effect {
            Effect::Read => Failure::new(Exit::NotApplied, happened, "retry"),
            Effect::Write => {
                Failure::new(Exit::Unknown, happened, UNKNOWN_NEXT).applied(Applied::Unknown)
            }
        }
    }
}

const UNKNOWN_NEXT: &str = "read the key to see; a write with --idempotency-key can be repeated \
                            safely with the same id";

/// An error body of the gateway (RFC 9457), as far as the commands use it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Problem {
    #[serde(skip)]
    status: u16,
    title: String,
    detail: String,
    code: String,
    outcome: String,
    retryable: bool,
    retry_after_ms: Option<u64>,
    current_etag: Option<String>,
}

impl Problem {
    fn parse(status: StatusCode, body: &[u8]) -> Self {
        let parsed = serde_json::from_slice(body).unwrap_or_default();
        Self { status: status.as_u16(), ..parsed }
    }

    fn into_failure(self, effect: Effect) -> Failure {
        let unknown = effect == Effect::Write && self.is_unknown();
        let exit = match self.status {
            _ if unknown => Exit::Unknown,
            404 if self.code == "key_not_found" => Exit::Negative,
            412 => Exit::Negative,
            // 408 and 429 ask for a retry; for every other 4xx the request is wrong.
            400..=499 if !matches!(self.status, 408 | 429) => Exit::Usage,
            _ => Exit::NotApplied,
        };
        let applied = match (effect, unknown) {
            (Effect::Read, _) => Applied::NotAWrite,
            (Effect::Write, true) => Applied::Unknown,
            (Effect::Write, false) => Applied::No,
        };
        let next = self.next(exit);
        Failure::new(exit, self.happened(), next).applied(applied)
    }

    /// A 5xx answer without an outcome may come from a proxy: the write may have applied.
    fn is_unknown(&self) -> bool {
        self.outcome == "unknown" || (self.outcome.is_empty() && self.status >= 500)
    }

    fn happened(&self) -> String {
        let what = [&self.title, &self.detail, &self.code]
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(String::as_str)
            .take(2)
            .collect::<Vec<_>>();
        if what.is_empty() {
            return format!("the gateway answered HTTP {} without a reason", self.status);
        }
        format!("{} (HTTP {})", what.join(": "), self.status)
    }

    fn next(&self, exit: Exit) -> String {
        match (exit, &self.current_etag) {
            (Exit::Unknown, _) => UNKNOWN_NEXT.to_owned(),
            (Exit::Negative, Some(etag)) => {
                format!("the key is at revision {}: read it, then decide", etag.trim_matches('"'))
            }
            (Exit::NotApplied, _) if self.retryable => match self.retry_after_ms {
                Some(wait) => format!("retry after {wait} ms"),
                None => "retry".to_owned(),
            },
            _ => String::new(),
        }
    }
}

/// An error with its causes, outermost first.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str, effect: Effect) -> Failure {
        let status = StatusCode::from_u16(status).expect("valid status");
        Problem::parse(status, body.as_bytes()).into_failure(effect)
    }

    #[test]
    fn unknown_outcome_of_a_write_is_exit_4() {
        let body = r#"{"title":"Timed out","code":"deadline","outcome":"unknown"}"#;
        let failure = failure(504, body, Effect::Write);
        assert_eq!((failure.exit, failure.applied), (Exit::Unknown, Applied::Unknown));
    }

    #[test]
    fn server_error_without_outcome_is_unknown_for_a_write_only() {
        assert_eq!(failure(502, "<html>", Effect::Write).exit, Exit::Unknown);
        assert_eq!(failure(502, "<html>", Effect::Read).exit, Exit::NotApplied);
    }

    #[test]
    fn absent_key_is_a_negative_but_an_unknown_route_is_usage() {
        let body = r#"{"code":"key_not_found","outcome":"not_applied"}"#;
        assert_eq!(failure(404, body, Effect::Read).exit, Exit::Negative);
        assert_eq!(failure(404, "", Effect::Read).exit, Exit::Usage);
    }

    #[test]
    fn failed_precondition_names_the_present_revision() {
        let body =
            r#"{"title":"The key changed","outcome":"not_applied","current_etag":"\"812\""}"#;
        let failure = failure(412, body, Effect::Write);
        assert_eq!(failure.exit, Exit::Negative);
        assert!(failure.next.contains("812"), "{}", failure.next);
    }

    #[test]
    fn busy_tells_when_to_retry() {
        let body =
            r#"{"title":"Busy","outcome":"not_applied","retryable":true,"retry_after_ms":50}"#;
        let failure = failure(503, body, Effect::Write);
        assert_eq!((failure.exit, failure.applied), (Exit::NotApplied, Applied::No));
        assert_eq!(failure.next, "retry after 50 ms");
    }
}
