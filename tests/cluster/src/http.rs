//! An HTTP client of a gateway for tests: never retries, never interprets a response.

use std::time::Duration;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use reqwest::header::HeaderMap;
use reqwest::{Method, RequestBuilder};

/// Longer than the gateway's own deadline of 5 s, so that the gateway's answer arrives first.
const ANSWER: Duration = Duration::from_secs(15);

/// All but letters, digits and the slash: slashes of a key stay unescaped in the path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/');

/// The form of a key in the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathForm {
    /// `/kv/{percent-encoded key}`
    Path,
    /// `/kv?key_b64=…`
    Base64,
}

/// An answer with any status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Answer {
    /// A header as text; empty if it is absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The revision in `KV-Revision`.
    ///
    /// # Errors
    /// The header is absent.
    pub fn revision(&self) -> anyhow::Result<u64> {
        self.header("kv-revision").parse().with_context(|| format!("KV-Revision of {self:?}"))
    }

    /// Whether the status is 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// Fails unless the status is `status`.
    ///
    /// # Errors
    /// The status differs; the message shows the answer.
    pub fn expect(self, status: u16) -> anyhow::Result<Self> {
        ensure!(self.status == status, "expected {status}, got {}", self.shown());
        Ok(self)
    }

    /// Status and the beginning of the body, for messages.
    pub fn shown(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        format!("{} {body}", self.status)
    }
}

/// A client of one gateway.
#[derive(Clone)]
pub struct Gateway {
    http: reqwest::Client,
    pub address: String,
}

impl Gateway {
    /// A client of the gateway at `address` (`host:port`).
    ///
    /// # Errors
    /// The client cannot be created.
    pub fn new(address: &str) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(ANSWER).no_proxy().build()?;
        Ok(Self { http, address: address.to_owned() })
    }

    /// A request on `key`. HTTP libraries normalize `.` and `..` in paths, so such keys are sent in
    /// base64.
    pub fn on_key(&self, method: Method, key: &[u8], form: PathForm) -> RequestBuilder {
        let folds = key.split(|byte| *byte == b'/').any(|part| part == b"." || part == b"..");
        let path = if folds || form == PathForm::Base64 {
            format!("?key_b64={}", URL_SAFE_NO_PAD.encode(key))
        } else {
            format!("/{}", percent_encode(key, ESCAPED))
        };
        self.http.request(method, format!("http://{}/kv{path}", self.address))
    }

    /// A request on any path.
    pub fn on_path(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("http://{}{path}", self.address))
    }

    /// Writes.
    ///
    /// # Errors
    /// No answer arrived.
    pub async fn put(&self, key: &[u8], value: impl Into<Bytes>) -> anyhow::Result<Answer> {
        send(self.on_key(Method::PUT, key, PathForm::Path).body(value.into())).await
    }

    /// Reads.
    ///
    /// # Errors
    /// No answer arrived.
    pub async fn get(&self, key: &[u8]) -> anyhow::Result<Answer> {
        send(self.on_key(Method::GET, key, PathForm::Path)).await
    }
}

/// Sends a request and reads the whole answer.
///
/// # Errors
/// No answer arrived.
pub async fn send(request: RequestBuilder) -> anyhow::Result<Answer> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    Ok(Answer { status, headers, body: response.bytes().await? })
}
