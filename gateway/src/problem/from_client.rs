//! From the client's error to the problem that a user sees.

use ringkv_client::{Error, Outcome};

use super::Problem;

impl Problem {
    /// The problem of a failed call. `user_named_it`: whether the request carried an
    /// Idempotency-Key. Without one, a write of unknown outcome cannot be sent again safely.
    pub(crate) fn from_client(error: Error, user_named_it: bool) -> Self {
        let kind = error.kind;
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
            retryable: kind.is_retryable() && (!unknown || user_named_it),
            limit: error.limit,
            current_revision: error.current_revision,
            group: error.group.map(|group| group.0),
            ..Self::new(kind, error.message + advice)
        }
    }
}
