//! `PUT` and `DELETE` of a key.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use hyper::body::Incoming;
use ringkv_client::{CallOptions, DeleteOptions, Error, PutOptions, Timed, Timing, Written};

use super::Keys;
use super::conditions::Conditions;
use super::target::{self, Place, Use};
use super::{body, headers, record};
use crate::limits::Limits;
use crate::problem::Problem;
use crate::reply::{self, Reply};
use crate::trace::RequestTrace;

const KV_PREVIOUS_REVISION: HeaderName = HeaderName::from_static("kv-previous-revision");
const KV_REPEATED: HeaderName = HeaderName::from_static("kv-repeated");

pub(super) async fn put(
    keys: &Keys,
    place: Place,
    request: Request<Incoming>,
    trace: &mut RequestTrace<'_>,
) -> Result<Reply, Problem> {
    let (head, incoming) = request.into_parts();
    let target = target::parse(&head.uri, place, Use::Write)?;
    let limits = &keys.limits;
    let options = PutOptions {
        content_type: headers::content_type(&head.headers, limits)?,
        metadata: headers::metadata(&head.headers, limits)?,
        condition: Conditions::parse(&head.headers)?.into_condition(),
        return_previous: target.return_previous,
        request_id: headers::request_id(&head.headers, limits)?,
        call: call(&head.headers, limits, trace)?,
    };
    let user_named_it = options.request_id.is_some();
    let max = keys.value_bytes_max();
    let mut share = keys.bodies.share();
    let value = body::read(incoming, max, limits.body_timeout, &mut share, &keys.metrics).await?;
    let written = keys.client.put(target.key.clone(), value, options).await;
    trace.timed(timing(&written));
    let written = written.map_err(|error| Problem::from_client(error, user_named_it))?.result;
    let status = if written.existed { StatusCode::NO_CONTENT } else { StatusCode::CREATED };
    let json = headers::wants_json(&head.headers);
    Ok(answer(keys, &target.key, written, status, json))
}

pub(super) async fn delete(
    keys: &Keys,
    place: Place,
    request: &Request<Incoming>,
    trace: &mut RequestTrace<'_>,
) -> Result<Reply, Problem> {
    let target = target::parse(request.uri(), place, Use::Write)?;
    let (sent, limits) = (request.headers(), &keys.limits);
    let options = DeleteOptions {
        condition: Conditions::parse(sent)?.into_condition(),
        return_previous: target.return_previous,
        request_id: headers::request_id(sent, limits)?,
        call: call(sent, limits, trace)?,
    };
    let user_named_it = options.request_id.is_some();
    let deleted = keys.client.delete(target.key.clone(), options).await;
    trace.timed(timing(&deleted));
    let deleted = deleted.map_err(|error| Problem::from_client(error, user_named_it))?.result;
    let json = headers::wants_json(sent);
    Ok(answer(keys, &target.key, deleted, StatusCode::NO_CONTENT, json))
}

fn call(
    sent: &HeaderMap,
    limits: &Limits,
    trace: &RequestTrace<'_>,
) -> Result<CallOptions, Problem> {
    Ok(CallOptions { timeout: headers::timeout(sent, limits)?, trace: trace.call() })
}

fn timing(written: &Result<Timed<Written>, Error>) -> Timing {
    written.as_ref().map_or_else(|error| error.timing, |written| written.timing)
}

/// With the previous record (if it was asked for and there is one): 200 and that record as the
/// body, under the revision of this write. Else `status` without a body.
fn answer(keys: &Keys, key: &[u8], written: Written, status: StatusCode, json: bool) -> Reply {
    let mut reply = match written.previous {
        None => reply::bytes(status, Bytes::new()),
        Some(previous) => {
            keys.metrics.value_out(previous.value.len());
            let revision = HeaderValue::from(previous.revision);
            let mut reply =
                if json { record::envelope(key, &previous) } else { record::raw(previous) };
            reply.headers_mut().remove(http::header::LAST_MODIFIED);
            reply.headers_mut().insert(KV_PREVIOUS_REVISION, revision);
            reply
        }
    };
    record::set_revision(reply.headers_mut(), written.revision);
    if written.repeated {
        reply.headers_mut().insert(KV_REPEATED, HeaderValue::from_static("true"));
    }
    reply
}
