//! What an error code means for the client: whether the write applied, and how to retry.
//!
//! The only place that decides this: servers set `Error.outcome` from it, and clients retry by it.

use crate::v1::{Error, ErrorCode, Outcome};

/// How a client retries after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Retry at once, at the named leader or any replica: not applied.
    Elsewhere,
    /// Refresh the topology, then retry: not applied.
    AfterRefresh,
    /// Retry at the same node after a pause: not applied.
    Later,
    /// Retry under the same request id only: may have applied.
    SameRequestId,
    /// Do not retry: the reply will not change.
    Never,
}

impl ErrorCode {
    /// Whether a write that failed with this code has applied.
    pub fn outcome(self) -> Outcome {
        match self {
            Self::LeadershipLost | Self::Deadline | Self::Internal | Self::Unspecified => {
                Outcome::Unknown
            }
            Self::NotLeader
            | Self::Moved
            | Self::NoGroup
            | Self::Busy
            | Self::ShuttingDown
            | Self::PreconditionFailed
            | Self::KeyInvalid
            | Self::ValueTooLarge
            | Self::RequestIdReused
            | Self::Invalid
            | Self::KeyAbsent
            | Self::NoSpace => Outcome::NotApplied,
        }
    }

    /// How to retry.
    pub fn retry(self) -> Retry {
        match self {
            Self::NotLeader | Self::ShuttingDown => Retry::Elsewhere,
            Self::Moved | Self::NoGroup => Retry::AfterRefresh,
            Self::Busy => Retry::Later,
            Self::LeadershipLost | Self::Deadline => Retry::SameRequestId,
            Self::PreconditionFailed
            | Self::KeyInvalid
            | Self::ValueTooLarge
            | Self::RequestIdReused
            | Self::Invalid
            | Self::KeyAbsent
            | Self::NoSpace
            | Self::Internal
            | Self::Unspecified => Retry::Never,
        }
    }

    /// The name of the code in metrics and traces: `not_leader`, `value_too_large`, …
    pub fn slug(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::NotLeader => "not_leader",
            Self::Moved => "moved",
            Self::NoGroup => "no_group",
            Self::Busy => "busy",
            Self::ShuttingDown => "shutting_down",
            Self::LeadershipLost => "leadership_lost",
            Self::Deadline => "deadline",
            Self::PreconditionFailed => "precondition_failed",
            Self::KeyInvalid => "key_invalid",
            Self::ValueTooLarge => "value_too_large",
            Self::RequestIdReused => "idempotency_key_reused",
            Self::Invalid => "invalid",
            Self::KeyAbsent => "key_not_found",
            Self::NoSpace => "no_space",
            Self::Internal => "internal",
        }
    }
}

impl Error {
    /// An error with the outcome its code implies; the caller adds hints with struct update.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            outcome: code.outcome().into(),
            message: message.into(),
            ..Self::default()
        }
    }
}
