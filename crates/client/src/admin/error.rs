//! Why an admin call failed, and whether it applied nevertheless.

use ringkv_kv_types::Outcome;
use ringkv_services::APPLIED_METADATA;
use tonic::{Code, Status};

/// What went wrong, by what the caller does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminErrorKind {
    /// Nothing answers at the address: check it.
    Unreachable,
    /// The request is wrong; the same one never works.
    Invalid,
    /// There is no such node or operation.
    NotFound,
    /// It cannot be done now; the message says what to do first.
    Refused,
    /// Placement has no leader, or was too busy: retry.
    Unavailable,
}

/// A failed admin call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AdminError {
    /// What went wrong.
    pub kind: AdminErrorKind,
    /// Whether the call took effect. A change of unknown outcome may be sent again.
    pub outcome: Outcome,
    /// For people.
    pub message: String,
}

impl AdminError {
    pub(super) fn not_applied(kind: AdminErrorKind, message: String) -> Self {
        Self { kind, outcome: Outcome::NotApplied, message }
    }

    pub(super) fn unreachable(address: &str, error: &tonic::transport::Error) -> Self {
        let mut message = format!("nothing answers at {address}: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::not_applied(AdminErrorKind::Unreachable, message)
    }

    pub(super) fn from_status(status: &Status) -> Self {
        let kind = match status.code() {
            Code::InvalidArgument => AdminErrorKind::Invalid,
            Code::NotFound => AdminErrorKind::NotFound,
            Code::FailedPrecondition | Code::Unimplemented => AdminErrorKind::Refused,
            _ => AdminErrorKind::Unavailable,
        };
        // A refusal never applied; of anything else only placement itself can say so.
        let is_certain =
            kind != AdminErrorKind::Unavailable || status.metadata().contains_key(APPLIED_METADATA);
        let outcome = if is_certain { Outcome::NotApplied } else { Outcome::Unknown };
        Self { kind, outcome, message: status.message().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    #[test]
    fn a_lost_answer_is_unknown_and_a_refusal_is_certain() {
        let outcome = |status: &Status| AdminError::from_status(status).outcome;
        assert_eq!(outcome(&Status::unavailable("the connection was lost")), Outcome::Unknown);
        assert_eq!(outcome(&Status::deadline_exceeded("late")), Outcome::Unknown);
        assert_eq!(outcome(&Status::failed_precondition("busy")), Outcome::NotApplied);
        let mut status = Status::unavailable("placement has no leader");
        status.metadata_mut().insert(APPLIED_METADATA, MetadataValue::from_static("no"));
        assert_eq!(outcome(&status), Outcome::NotApplied);
        assert_eq!(AdminError::from_status(&status).kind, AdminErrorKind::Unavailable);
    }
}
