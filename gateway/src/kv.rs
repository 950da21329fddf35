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

use http::{Method, Request};
use hyper::body::Incoming;

pub(crate) use target::{Place, place};

use crate::problem::Problem;
use crate::reply::Reply;
use crate::service::Service;
use crate::trace::RequestTrace;

/// The methods of a key.
pub(crate) const METHODS: &str = "GET, HEAD, PUT, DELETE";

/// Answers a request for a key at `place`.
pub(crate) async fn handle(
    service: &Service,
    place: Place,
    request: Request<Incoming>,
    trace: &mut RequestTrace<'_>,
) -> Result<Reply, Problem> {
    match *request.method() {
        Method::GET => read::get(service, place, &request, trace).await,
        Method::HEAD => read::head(service, place, &request, trace).await,
        Method::PUT => write::put(service, place, request, trace).await,
        Method::DELETE => write::delete(service, place, &request, trace).await,
        _ => Err(Problem::method(METHODS)),
    }
}
