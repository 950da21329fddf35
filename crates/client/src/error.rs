//! Why a call failed, and whether it took effect all the same.
//!
//! Owns the error a caller sees. [`Error::outcome`] is what a retry may rest on; messages name no
//! address.

use std::fmt;

use ringkv_proto::v1::{self, ErrorCode};
use ringkv_topology::{GroupId, NodeId};

use crate::trace::Timing;

/// Whether a call took effect. Reads change nothing: theirs is never `Unknown`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    NotApplied,
    Unknown,
}

impl Outcome {
    /// The name in JSON and metrics: `applied`, `not_applied`, `unknown`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::NotApplied => "not_applied",
            Self::Unknown => "unknown",
        }
    }
}

/// What went wrong, by what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The condition did not hold; `current_revision` tells what is there (0: absent).
    PreconditionFailed,
    /// The key is empty or longer than `limit` bytes.
    KeyInvalid,
    /// The value is longer than `limit` bytes.
    ValueTooLarge,
    /// The request id was used before for another request.
    RequestIdReused,
    /// The request is malformed; the message names the field.
    Invalid,
    /// A delete of a key that is not there.
    KeyAbsent,
    /// The storage is above its watermark.
    NoSpace,
    /// A fault of the server; its log has the cause.
    Internal,
    /// A bounded queue stayed full: slow down and try again.
    Busy,
    /// No topology yet, or the cluster has not formed: try again later.
    NotReady,
    /// No leader of the group could be reached before the deadline: try again later.
    Unavailable,
    /// A write may have applied and the deadline passed before an answer settled it: ask again
    /// under the same request id only.
    OutcomeUnknown,
}

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    pub kind: ErrorKind,
    pub outcome: Outcome,
    /// For people; names no address.
    pub message: String,
    /// The limit that was passed, in bytes.
    pub limit: Option<u64>,
    /// For [`ErrorKind::PreconditionFailed`]: the revision that is there, 0 if the key is absent.
    pub current_revision: Option<u64>,
    /// The group of the key, as far as it was found.
    pub group: Option<GroupId>,
    /// The node last believed to lead the group.
    pub leader: Option<NodeId>,
    /// Where the time went at the node whose answer this is; all zero for any other error.
    pub timing: Timing,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Applied => "applied",
            Outcome::NotApplied => "not applied",
            Outcome::Unknown => "outcome unknown",
        };
        write!(f, "{} ({outcome})", self.message)
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, outcome: Outcome, message: impl Into<String>) -> Self {
        Self {
            kind,
            outcome,
            message: message.into(),
            limit: None,
            current_revision: None,
            group: None,
            leader: None,
            timing: Timing::default(),
        }
    }

    /// The final answer of a server, with the outcome the history of the request gives it.
    pub(crate) fn from_reply(error: v1::Error, outcome: Outcome) -> Self {
        let kind = match error.code() {
            ErrorCode::PreconditionFailed => ErrorKind::PreconditionFailed,
            ErrorCode::KeyInvalid => ErrorKind::KeyInvalid,
            ErrorCode::ValueTooLarge => ErrorKind::ValueTooLarge,
            ErrorCode::RequestIdReused => ErrorKind::RequestIdReused,
            ErrorCode::Invalid => ErrorKind::Invalid,
            ErrorCode::KeyAbsent => ErrorKind::KeyAbsent,
            ErrorCode::NoSpace => ErrorKind::NoSpace,
            _ => ErrorKind::Internal,
        };
        let (kind, message) = match (kind, outcome) {
            (ErrorKind::Internal, _) => (kind, "the server failed on this request".to_owned()),
            (_, Outcome::Unknown) => (
                ErrorKind::OutcomeUnknown,
                format!(
                    "an earlier attempt may have applied; the last one said: {}",
                    error.message
                ),
            ),
            _ => (kind, error.message),
        };
        let precondition = kind == ErrorKind::PreconditionFailed;
        Self {
            limit: (error.limit != 0).then_some(error.limit),
            current_revision: precondition.then_some(error.current_revision),
            leader: NodeId::from_wire(error.leader_node),
            ..Self::new(kind, outcome, message)
        }
    }

    pub(crate) fn too_large(kind: ErrorKind, message: impl Into<String>, limit: u64) -> Self {
        Self { limit: Some(limit), ..Self::new(kind, Outcome::NotApplied, message) }
    }

    /// Whether the same call, sent again later, can succeed. After [`Outcome::Unknown`] only
    /// under the same request id.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Busy
                | ErrorKind::NotReady
                | ErrorKind::Unavailable
                | ErrorKind::OutcomeUnknown
                | ErrorKind::Internal
        )
    }
}
