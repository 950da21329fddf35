//! One connection to one storage node: a batched `Kv.Stream`, replies matched by id.
//!
//! Owns the requests that wait to leave or for an answer. Never retries and never routes: a
//! request whose stream dies ends here as not sent or lost, and the call decides. Invariants: an
//! id is used once in a link's life; a request is told *lost* only if it was handed to a stream;
//! whatever ends the stream ends every request on it. The number of requests is bounded by the
//! client, which owns the bound for all links together.

mod connect;
mod pending;
mod queue;
mod stream;

pub(crate) use connect::{endpoint, run};
pub(crate) use queue::Link;

use ringkv_proto::v1::kv_reply;

use crate::trace::Timing;

/// What becomes of a request on a link.
pub(crate) type Answer = Result<Reply, Fault>;

/// What the node said, and where its time went.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reply {
    pub(crate) result: kv_reply::Result,
    pub(crate) timing: Timing,
}

/// Why no answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It never left: certainly not applied.
    NotSent,
    /// It left, and the stream it left on is dead.
    Lost,
}
