//! The one body type of all answers: bytes for keys and problems, axum's for pages.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{Either, Full};

/// What a connection writes.
pub(crate) type ReplyBody = Either<Full<Bytes>, axum::body::Body>;

/// An answer on its way out.
pub(crate) type Reply = Response<ReplyBody>;

/// An answer whose body is `bytes`.
pub(crate) fn bytes(status: StatusCode, bytes: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(bytes)));
    *reply.status_mut() = status;
    reply
}

/// An answer whose body is JSON.
pub(crate) fn json(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Reply {
    let mut reply = bytes(status, Bytes::from(body));
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    reply
}
