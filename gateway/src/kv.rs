//! One key over HTTP: `GET HEAD PUT DELETE /kv/{key}`.
//!
//! Owns the way from a raw request to a call of the client and back. `target` finds the key in
//! the raw path, `headers` and `conditions` read what else was asked, `body` takes the value in
//! within its bounds, `read` and `write` make the call, `record` writes a record as an answer.

mod body;

mod conditions;

mod headers;

mod read;

mod record;

mod target;

mod write;

use std::sync::Arc;

use http::{Method, Request};
use hyper::body::Incoming;
use ringkv_budget::Budget;
use ringkv_client::Client;

pub(crate) use target::{Place, place};

use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::trace::RequestTrace;

/// The methods of a key.
pub(crate) const METHODS: &str = "GET, HEAD, PUT, DELETE";

/// What it takes to answer requests for keys.
pub(crate) struct Keys {
    pub(crate) client: Client,
    pub(crate) limits: Limits,
    pub(crate) metrics: Arc<Metrics>,
    /// Bytes of request bodies held.
    pub(crate) bodies: Arc<Budget>,
}

impl Keys {
    /// Answers a request for a key at `place`.
    pub(crate) async fn handle(
        &self,
        place: Place,
        request: Request<Incoming>,
        trace: &mut RequestTrace<'_>,
    ) -> Result<Reply, Problem> {
        match *request.method() {
            Method::GET => read::get(self, place, &request, trace).await,
            Method::HEAD => read::head(self, place, &request, trace).await,
            Method::PUT => write::put(self, place, request, trace).await,
            Method::DELETE => write::delete(self, place, &request, trace).await,
            _ => Err(Problem::method(METHODS)),
        }
    }

    /// The largest value a write may carry now, in bytes.
    fn value_bytes_max(&self) -> u64 {
        self.client.value_bytes_max().unwrap_or(self.limits.value_bytes_default)
    }
}
