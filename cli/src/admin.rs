//! The admin listener of placement as the commands use it: how it is reached, and what a failure of
//! it means.

use ringkv_client::Outcome;
use ringkv_client::admin::{Admin, AdminError, AdminErrorKind};

use crate::failure::{Applied, Exit, Failure};

/// How placement's admin listener is reached.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct AdminArgs {
    /// Address of the admin listener of any placement replica, host:port.
    #[arg(long = "placement-admin", env = "RINGKV_PLACEMENT_ADMIN", value_name = "HOST:PORT")]
    #[arg(default_value = ringkv_placement::ADMIN_LISTEN)]
    pub admin: String,
}

const AGAIN: &str = "send it again: a change that is done already is not done twice";

/// Connects to the listener.
///
/// # Errors
/// Exit 2 for an invalid address, 3 when no replica answers there.
pub(crate) async fn connect(args: &AdminArgs) -> Result<Admin, Failure> {
    Admin::connect(&args.admin).await.map_err(|error| failure("cannot reach placement", &error))
}

/// A call that failed.
pub(crate) fn failure(what: &str, error: &AdminError) -> Failure {
    let (exit, next) = match error.kind {
        AdminErrorKind::Unreachable => (
            Exit::NotApplied,
            "run it where placement runs, or set --placement-admin (RINGKV_PLACEMENT_ADMIN) to the \
             --admin-listen address of a placement replica",
        ),
        AdminErrorKind::Invalid => (Exit::Usage, ""),
        AdminErrorKind::NotFound => {
            (Exit::Negative, "`ringkv node list` and `ringkv operation list` show what there is")
        }
        AdminErrorKind::Refused => (Exit::Negative, ""),
        AdminErrorKind::Unavailable => (Exit::NotApplied, "retry"),
    };
    Failure::new(exit, format!("{what}: {}", error.message), next)
}

/// A change that failed.
pub(crate) fn change_failure(what: &str, error: &AdminError) -> Failure {
    let failure = failure(what, error);
    match error.outcome {
        Outcome::Unknown => {
            Failure { exit: Exit::Unknown, next: AGAIN.into(), ..failure }.applied(Applied::Unknown)
        }
        Outcome::Applied | Outcome::NotApplied => failure.applied(Applied::No),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_certain_and_a_lost_answer_is_not() {
        let error = |kind, outcome| AdminError { kind, outcome, message: "because".into() };
        let refused = error(AdminErrorKind::Refused, Outcome::NotApplied);
        let failure = change_failure("cannot drain node 4", &refused);
        assert_eq!((failure.exit, failure.applied), (Exit::Negative, Applied::No));
        assert_eq!(failure.happened, "cannot drain node 4: because");
        let lost = change_failure("x", &error(AdminErrorKind::Unavailable, Outcome::Unknown));
        assert_eq!((lost.exit, lost.applied), (Exit::Unknown, Applied::Unknown));
        let read = super::failure("x", &error(AdminErrorKind::Unavailable, Outcome::Unknown));
        assert_eq!((read.exit, read.applied), (Exit::NotApplied, Applied::NotAWrite));
    }
}
