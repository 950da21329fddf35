//! One connection to one storage node: a batched `Kv.Stream`, replies matched by id.
//!
//! Owns the requests that wait to be sent or for an answer. Never retries and never routes: when a
//! stream dies, its requests end as *not sent* or *lost*, and the call decides. Invariants: a link
//! uses an id once; a request is *lost* only if a stream had taken it; the end of a stream ends
//! every request on it. The client bounds the number of requests, for all links together.

mod connect;
mod pending;
mod queue;
mod stream;

pub(crate) use connect::{endpoint, run};
pub(crate) use queue::Link;

use ringkv_proto::v1::kv_reply;
use ringkv_routing::Failure;

use crate::trace::Timing;

/// How a request on a link ends: only with a reply, or as not sent or lost.
pub(crate) type Answer = Result<Reply, Failure>;

/// What the node answered, and where its time went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) result: kv_reply::Result,
    pub(crate) timing: Timing,
}
