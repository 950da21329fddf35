//! `ringkv status`: one screen that says whether all is well and, if not, what to do next.

use crate::admin::{self, AdminArgs};
use crate::failure::{Exit, Failure};
use crate::output;
use crate::status_view::Report;

/// Flags of `ringkv status`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Shows how the cluster stands.
///
/// # Errors
/// Exit 1 when not all is well, or placement does not answer.
pub(crate) async fn run(args: StatusArgs) -> Result<(), Failure> {
    let unknown = |failure: Failure| Failure { exit: Exit::Negative, ..failure };
    let placement = admin::connect(&args.admin).await.map_err(unknown)?;
    let status = placement.status().await;
    let status = status
        .map_err(|error| unknown(admin::failure("cannot see how the cluster stands", &error)))?;
    let report = Report::of(&status);
    output::result(report.text().as_bytes())?;
    match report.problems.len() {
        0 => Ok(()),
        count => {
            let happened = format!("not all is well: {count} to look at");
            Err(Failure::new(Exit::Negative, happened, "the lines above say what to do"))
        }
    }
}
