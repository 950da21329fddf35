//! What users see when a request fails: one vocabulary for HTTP, the client library and the docs.
//!
//! Owns the names, the HTTP statuses and which failures are worth a retry. The rule behind the
//! statuses: 503 means not applied, 504 means unknown, never 200 for a failure, never 500 for a
//! user's mistake. Which code of a storage node becomes which kind is decided in `ringkv-proto`.

/// Why a request failed, by what its sender does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The key is empty, too long, or not encoded as it must be.
    BadKey,
    /// A query parameter is unknown, or its value is not allowed. HTTP only.
    BadParameter,
    /// The value of a header is not allowed. HTTP only.
    BadHeader,
    /// The connection ended before the whole body arrived. HTTP only.
    BodyIncomplete,
    /// The request is malformed; the message names the field.
    Invalid,
    /// The key is absent.
    KeyNotFound,
    /// No such path. HTTP only.
    RouteNotFound,
    /// The path exists and does not take this method. HTTP only.
    MethodNotAllowed,
    /// The body did not arrive in time. HTTP only.
    BodyTooSlow,
    /// The request id was used before, for another request.
    IdempotencyKeyReused,
    /// The condition does not hold.
    PreconditionFailed,
    /// The value is longer than the cluster allows.
    ValueTooLarge,
    /// The headers are larger than the gateway allows. HTTP only.
    HeadersTooLarge,
    /// A fault of the server; its log has the cause.
    Internal,
    /// A bounded queue is full: slow down and try again.
    Overloaded,
    /// There is no topology yet, or the cluster is not bootstrapped: try again later.
    NotReady,
    /// No leader of the key's group answered before the deadline: try again later.
    NoLeader,
    /// The deadline passed and the write may have applied: send it again, under the same request
    /// id only.
    OutcomeUnknown,
    /// The disks are full above their watermark.
    NoSpace,
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::BadKey,
        Self::BadParameter,
        Self::BadHeader,
        Self::BodyIncomplete,
        Self::Invalid,
        Self::KeyNotFound,
        Self::RouteNotFound,
        Self::MethodNotAllowed,
        Self::BodyTooSlow,
        Self::IdempotencyKeyReused,
        Self::PreconditionFailed,
        Self::ValueTooLarge,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::Overloaded,
        Self::NotReady,
        Self::NoLeader,
        Self::OutcomeUnknown,
        Self::NoSpace,
    ];

    fn row(self) -> (u16, &'static str, &'static str) {
        match self {
            Self::BadKey => (400, "bad-key", "The key is not valid"),
            Self::BadParameter => (400, "bad-parameter", "A query parameter is not valid"),
            Self::BadHeader => (400, "bad-header", "A header is not valid"),
            Self::BodyIncomplete => (400, "body-incomplete", "The body ended early"),
            Self::Invalid => (400, "invalid", "The request is not valid"),
            Self::KeyNotFound => (404, "key-not-found", "The key is absent"),
            Self::RouteNotFound => (404, "route-not-found", "There is nothing at this path"),
            Self::MethodNotAllowed => {
                (405, "method-not-allowed", "This path does not take this method")
            }
            Self::BodyTooSlow => (408, "body-too-slow", "The body did not arrive in time"),
            Self::IdempotencyKeyReused => {
                (409, "idempotency-key-reused", "The Idempotency-Key belongs to another request")
            }
            Self::PreconditionFailed => (412, "precondition-failed", "The condition does not hold"),
            Self::ValueTooLarge => (413, "value-too-large", "The value is too large"),
            Self::HeadersTooLarge => (431, "headers-too-large", "The headers are too large"),
            Self::Internal => (500, "internal", "The server failed on this request"),
            Self::Overloaded => (503, "overloaded", "Too busy: not applied"),
            Self::NotReady => {
                (503, "not-ready", "The cluster is not bootstrapped yet: not applied")
            }
            Self::NoLeader => (503, "no-leader", "The key's group has no leader: not applied"),
            Self::OutcomeUnknown => (504, "outcome-unknown", "The write may have applied"),
            Self::NoSpace => (507, "no-space", "The storage is full: not applied"),
        }
    }

    /// The HTTP status.
    pub fn status(self) -> u16 {
        self.row().0
    }

    /// The last part of a problem's `type`; with `_` for `-` its `code`.
    pub fn slug(self) -> &'static str {
        self.row().1
    }

    /// A short sentence, the same for every occurrence.
    pub fn title(self) -> &'static str {
        self.row().2
    }

    /// After how many milliseconds the same request is worth another try; `None` if it is not.
    pub fn retry_after_ms(self) -> Option<u64> {
        match self {
            Self::Overloaded => Some(100),
            Self::NoLeader => Some(500),
            Self::NotReady | Self::OutcomeUnknown => Some(1000),
            _ => None,
        }
    }

    /// Whether the same request, sent again later, can succeed.
    pub fn is_retryable(self) -> bool {
        self.retry_after_ms().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorKind;

    #[test]
    fn every_kind_has_a_name_of_its_own_and_a_status_of_failure() {
        for (place, kind) in ErrorKind::ALL.into_iter().enumerate() {
            assert_eq!(place, kind as usize);
            assert!((400..600).contains(&kind.status()), "{kind:?}");
            let same = ErrorKind::ALL.iter().filter(|other| other.slug() == kind.slug());
            assert_eq!(same.count(), 1, "{kind:?}");
        }
    }
}
