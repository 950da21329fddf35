//! `ringkv node drain` and `undrain`: moves all replicas off a storage node, or takes it back.

use ringkv_client::admin::NodeName;

use crate::admin::{self, AdminArgs};
use crate::failure::Failure;
use crate::output;
use crate::watch::{self, Source};

/// Flags of `ringkv node drain`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeDrainArgs {
    /// The node's id or address, as `ringkv node list` shows them.
    #[arg(value_name = "NODE")]
    pub node: NodeName,

    /// Return when the drain has begun, not when the node is empty.
    #[arg(long)]
    pub no_wait: bool,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Drains the node and waits until it holds nothing.
///
/// # Errors
/// Exit 1 when placement refuses or the drain is aborted, 3 when placement does not answer, 4 after
/// Ctrl-C: the drain goes on.
pub(crate) async fn run(args: NodeDrainArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let what = format!("cannot drain {}", args.node);
    let begun = placement.drain(args.node.clone()).await;
    let operation = begun.map_err(|error| admin::change_failure(&what, &error))?;
    if args.no_wait {
        return output::result_line(&format!("operation {operation} drains {}", args.node));
    }
    watch::follow(&Source::Admin(placement), operation).await?;
    output::remark("the node holds nothing any more: stop it with `ringkv node stop`");
    Ok(())
}

/// Flags of `ringkv node undrain`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeUndrainArgs {
    /// The node's id or address, as `ringkv node list` shows them.
    #[arg(value_name = "NODE")]
    pub node: NodeName,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Takes the node back; what has moved away returns as the cluster is balanced.
///
/// # Errors
/// Exit 1 when placement refuses, 3 when it does not answer.
pub(crate) async fn undrain(args: NodeUndrainArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let what = format!("cannot take {} back", args.node);
    let undrained = placement.undrain(args.node).await;
    let node = undrained.map_err(|error| admin::change_failure(&what, &error))?;
    output::result_line(&format!("node {node} may have replicas again"))
}
