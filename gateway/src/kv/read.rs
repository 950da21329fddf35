//! `GET` and `HEAD` of a key.

use http::{HeaderMap, Request};
use hyper::body::Incoming;
use ringkv_client::{CallOptions, ErrorKind, GetOptions, Record};

use super::Keys;
use super::conditions::Conditions;
use super::target::{self, Place, Target, Use};
use super::{headers, record};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::trace::RequestTrace;

pub(super) async fn get(
    keys: &Keys,
    place: Place,
    request: &Request<Incoming>,
    trace: &mut RequestTrace<'_>,
) -> Result<Reply, Problem> {
    let target = target::parse(request.uri(), place, Use::Read)?;
    let found = find(keys, &target, request.headers(), false, trace).await?;
    let record = match found {
        Found::Known(record) => return Ok(record::not_modified(&record)),
        Found::New(record) => record,
    };
    keys.metrics.value_out(record.value.len());
    let json = headers::wants_json(request.headers());
    Ok(if json { record::envelope(&target.key, &record) } else { record::raw(record) })
}

pub(super) async fn head(
    keys: &Keys,
    place: Place,
    request: &Request<Incoming>,
    trace: &mut RequestTrace<'_>,
) -> Result<Reply, Problem> {
    let target = target::parse(request.uri(), place, Use::Read)?;
    Ok(match find(keys, &target, request.headers(), true, trace).await? {
        Found::Known(record) => record::not_modified(&record),
        Found::New(record) => record::head(&record),
    })
}

enum Found {
    /// The reader named this revision: it has the value.
    Known(Record),
    New(Record),
}

async fn find(
    keys: &Keys,
    target: &Target,
    headers: &HeaderMap,
    without_value: bool,
    trace: &mut RequestTrace<'_>,
) -> Result<Found, Problem> {
    let conditions = Conditions::parse(headers)?;
    let timeout = headers::timeout(headers, &keys.limits)?;
    let call = CallOptions { timeout, trace: trace.call() };
    let options = GetOptions { without_value, call };
    let found = keys.client.get(target.key.clone(), options).await;
    trace.timed(found.as_ref().map_or_else(|error| error.timing, |found| found.timing));
    let found = found.map_err(|error| Problem::from_client(error, false))?.result;
    if !conditions.match_holds(found.as_ref().map(|record| record.revision)) {
        let revision = found.map_or(0, |record| record.revision);
        let problem = Problem::new(ErrorKind::PreconditionFailed, "If-Match does not hold");
        return Err(problem.with_current(revision));
    }
    match found {
        None => Err(Problem::new(ErrorKind::KeyNotFound, "there is no record under this key")),
        Some(record) if conditions.is_known(record.revision) => Ok(Found::Known(record)),
        Some(record) => Ok(Found::New(record)),
    }
}
