//! `ringkv node replace`: moves all replicas of one storage node to another.

use ringkv_client::admin::NodeName;

use crate::admin::{self, AdminArgs};
use crate::failure::Failure;
use crate::output;
use crate::watch::{self, Source};

/// Flags of `ringkv node replace`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeReplaceArgs {
    /// The id or address of the node to empty; it may be silent.
    #[arg(value_name = "OLD")]
    pub old: NodeName,

    /// The id or address of the node that gets its replicas.
    #[arg(value_name = "NEW")]
    pub new: NodeName,

    /// Return when the replacement has begun, not when it is done.
    #[arg(long)]
    pub no_wait: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Replaces the node and waits until it holds nothing.
///
/// # Errors
/// As `ringkv node drain`.
pub(crate) async fn run(args: NodeReplaceArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let what = format!("cannot replace {} by {}", args.old, args.new);
    let begun = placement.replace(args.old, args.new).await;
    let operation = begun.map_err(|error| admin::change_failure(&what, &error))?;
    if args.no_wait {
        return output::result_line(&format!("operation {operation} replaces the node"));
    }
    watch::follow(&Source::Admin(placement), operation).await
}
