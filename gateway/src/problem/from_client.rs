//! From the client's error to the problem a user sees.

use ringkv_client::{Error, ErrorKind, Outcome};

use super::{Kind, Problem};

impl Problem {
    /// The problem of a failed call. `user_named_it` tells whether the request carried an
    /// Idempotency-Key, without which a write of unknown outcome must not be sent again blindly.
    pub(crate) fn from_client(error: Error, user_named_it: bool) -> Self {
        let kind = match error.kind {
            ErrorKind::PreconditionFailed => Kind::PreconditionFailed,
            ErrorKind::KeyInvalid => Kind::BadKey,
            ErrorKind::ValueTooLarge => Kind::ValueTooLarge,
            ErrorKind::RequestIdReused => Kind::IdempotencyKeyReused,
            ErrorKind::Invalid => Kind::Invalid,
            ErrorKind::KeyAbsent => Kind::KeyNotFound,
            ErrorKind::NoSpace => Kind::NoSpace,
            ErrorKind::Internal => Kind::Internal,
            ErrorKind::Busy => Kind::Overloaded,
            ErrorKind::NotReady => Kind::NotReady,
            ErrorKind::Unavailable => Kind::NoLeader,
            ErrorKind::OutcomeUnknown => Kind::OutcomeUnknown,
        };
        let unknown = error.outcome == Outcome::Unknown;
        let advice = match (unknown, user_named_it) {
            (false, _) => "",
            (true, true) => "; send it again with the same Idempotency-Key to learn its outcome",
            (true, false) => {
                "; read the key to learn its outcome, or send an Idempotency-Key with \
                              writes that must be safe to repeat"
            }
        };
        Self {
            outcome: error.outcome,
            retryable: kind.retry_after_ms().is_some() && (!unknown || user_named_it),
            limit: error.limit,
            current_revision: error.current_revision,
            group: error.group.map(|group| group.0),
            ..Self::new(kind, error.message + advice)
        }
    }
}
