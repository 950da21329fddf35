//! Why a call failed, and whether it took effect nevertheless.
//!
//! Owns the error that a caller sees. A retry may rely on [`Error::outcome`]; messages name no
//! address.

use std::fmt;

use ringkv_kv_types::{ErrorKind, Outcome};
use ringkv_proto::v1;
use ringkv_topology::{GroupId, NodeId};

use crate::trace::Timing;

/// A failed call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// What went wrong, by what the caller does next.
    pub kind: ErrorKind,
    /// Whether the call took effect.
    pub outcome: Outcome,
    /// For people; names no address.
    pub message: String,
    /// The limit that the request exceeded, in bytes.
    pub limit: Option<u64>,
    /// For [`ErrorKind::PreconditionFailed`]: the revision of the present record, 0 if the key is
    /// absent.
    pub current_revision: Option<u64>,
    /// The group of the key, if it is known.
    pub group: Option<GroupId>,
    /// The node last believed to lead the group.
    pub leader: Option<NodeId>,
    /// The time of each stage at the node, if this is a node's answer; otherwise all zero.
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

    /// The final answer of a server; `outcome` follows from it and from every earlier attempt.
    pub(crate) fn from_reply(error: v1::Error, outcome: Outcome) -> Self {
        let kind = error.code().kind();
        let (kind, message) = match (kind, outcome) {
            (ErrorKind::Internal, _) => (kind, "the server failed on this request".to_owned()),
            (_, Outcome::Unknown) => (
                ErrorKind::OutcomeUnknown,
                format!(
                    "an earlier attempt may have applied; the last one failed with: {}",
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
        self.kind.is_retryable()
    }
}
