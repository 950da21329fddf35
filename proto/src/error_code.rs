//! What an error code of a storage node means: whether the write applied, how to retry, and what
//! the user sees.
//!
//! The only place that decides this: servers set `Error.outcome` from it, the client retries by it,
//! and users see the [`ErrorKind`].

use ringkv_kv_types::{ErrorKind, Outcome};

use crate::kv::outcome_to_proto;
use crate::v1::{Error, ErrorCode};

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

    /// What the user sees when no later attempt has a better answer.
    pub fn kind(self) -> ErrorKind {
        match self {
            Self::NotLeader | Self::Moved | Self::NoGroup | Self::ShuttingDown => {
                ErrorKind::NoLeader
            }
            Self::Busy => ErrorKind::Overloaded,
            Self::LeadershipLost | Self::Deadline => ErrorKind::OutcomeUnknown,
            Self::PreconditionFailed => ErrorKind::PreconditionFailed,
            Self::KeyInvalid => ErrorKind::BadKey,
            Self::ValueTooLarge => ErrorKind::ValueTooLarge,
            Self::RequestIdReused => ErrorKind::IdempotencyKeyReused,
            Self::Invalid => ErrorKind::Invalid,
            Self::KeyAbsent => ErrorKind::KeyNotFound,
            Self::NoSpace => ErrorKind::NoSpace,
            Self::Internal | Self::Unspecified => ErrorKind::Internal,
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
            outcome: outcome_to_proto(code.outcome()).into(),
            message: message.into(),
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every code with all that follows from it: the one table of failures.
    #[test]
    fn every_code_has_one_kind_status_outcome_and_answer_to_a_retry() {
        use ErrorCode as C;
        use ErrorKind as K;
        use Outcome::{NotApplied, Unknown};
        let table = [
            (C::Unspecified, K::Internal, 500, Unknown, false),
            (C::NotLeader, K::NoLeader, 503, NotApplied, true),
            (C::Moved, K::NoLeader, 503, NotApplied, true),
            (C::NoGroup, K::NoLeader, 503, NotApplied, true),
            (C::Busy, K::Overloaded, 503, NotApplied, true),
            (C::ShuttingDown, K::NoLeader, 503, NotApplied, true),
            (C::LeadershipLost, K::OutcomeUnknown, 504, Unknown, true),
            (C::Deadline, K::OutcomeUnknown, 504, Unknown, true),
            (C::PreconditionFailed, K::PreconditionFailed, 412, NotApplied, false),
            (C::KeyInvalid, K::BadKey, 400, NotApplied, false),
            (C::ValueTooLarge, K::ValueTooLarge, 413, NotApplied, false),
            (C::RequestIdReused, K::IdempotencyKeyReused, 409, NotApplied, false),
            (C::Invalid, K::Invalid, 400, NotApplied, false),
            (C::KeyAbsent, K::KeyNotFound, 404, NotApplied, false),
            (C::NoSpace, K::NoSpace, 507, NotApplied, false),
            (C::Internal, K::Internal, 500, Unknown, false),
        ];
        for (place, (code, kind, status, outcome, retryable)) in (0..).zip(table) {
            assert_eq!(code as i32, place, "the table has every code once");
            assert_eq!((code.kind(), code.kind().status()), (kind, status), "{code:?}");
            assert_eq!((code.outcome(), kind.is_retryable()), (outcome, retryable), "{code:?}");
            assert_eq!(code.retry() != Retry::Never, retryable, "{code:?}");
        }
        assert!(ErrorCode::try_from(table_len(&table)).is_err(), "the table has every code");
    }

    fn table_len<T>(table: &[T]) -> i32 {
        i32::try_from(table.len()).expect("a small table")
    }
}
