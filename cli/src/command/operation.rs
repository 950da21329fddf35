//! `ringkv operation`: what changes in the cluster, how far it is and what blocks it.
//!
//! Read through a gateway; only `abort` needs placement's admin listener.

use crate::admin::{self, AdminArgs};
use crate::failure::Failure;
use crate::gateway::{Effect, Gateway, GatewayArgs};
use crate::operation_view::OperationsView;
use crate::output;
use crate::watch::{self, Source, read};

/// Flags of `ringkv operation list`.
#[derive(Debug, clap::Args)]
pub(crate) struct OperationListArgs {
    /// Print the gateway's JSON as it is.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Flags of `ringkv operation show`.
#[derive(Debug, clap::Args)]
pub(crate) struct OperationShowArgs {
    /// The operation's id.
    pub id: u64,

    /// Print the gateway's JSON as it is.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Flags of `ringkv operation watch`.
#[derive(Debug, clap::Args)]
pub(crate) struct OperationWatchArgs {
    /// The operation's id.
    pub id: u64,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Flags of `ringkv operation abort`.
#[derive(Debug, clap::Args)]
pub(crate) struct OperationAbortArgs {
    /// The operation's id.
    pub id: u64,

    #[command(flatten)]
    pub admin: AdminArgs,
}

/// Shows one line an operation.
///
/// # Errors
/// Exit 3 when the gateway does not answer.
pub(crate) async fn list(args: OperationListArgs) -> Result<(), Failure> {
    let body = ask(&args.gateway, "/operations", args.json).await?;
    if args.json {
        return output::result_line(String::from_utf8_lossy(&body).trim_end());
    }
    output::result(read::<OperationsView>(&body)?.table().as_bytes())
}

/// Shows all that is known of an operation.
///
/// # Errors
/// Exit 2 for an unknown id, 3 when the gateway does not answer.
pub(crate) async fn show(args: OperationShowArgs) -> Result<(), Failure> {
    let body = ask(&args.gateway, &format!("/operations/{}", args.id), args.json).await?;
    if args.json {
        return output::result_line(String::from_utf8_lossy(&body).trim_end());
    }
    output::result(read::<crate::operation_view::OperationView>(&body)?.text().as_bytes())
}

/// Follows an operation to its end.
///
/// # Errors
/// Exit 1 if it was aborted, 2 for an unknown id, 3 without an answer, 4 after Ctrl-C.
pub(crate) async fn follow(args: OperationWatchArgs) -> Result<(), Failure> {
    watch::follow(&Source::Gateway(Gateway::new(&args.gateway)?), args.id).await
}

/// Takes an operation back.
///
/// # Errors
/// Exit 1 when placement refuses, 3 when it does not answer.
pub(crate) async fn abort(args: OperationAbortArgs) -> Result<(), Failure> {
    let placement = admin::connect(&args.admin).await?;
    let what = format!("cannot abort operation {}", args.id);
    let aborted = placement.abort(args.id).await;
    aborted.map_err(|error| admin::change_failure(&what, &error))?;
    output::result_line(&format!(
        "operation {} is aborted; moves past their point of return are finished",
        args.id
    ))
}

async fn ask(args: &GatewayArgs, path: &str, json: bool) -> Result<bytes::Bytes, Failure> {
    let gateway = Gateway::new(args)?;
    let reply = gateway.send(gateway.get(path), Effect::Read).await;
    reply.map(|reply| reply.body).map_err(|failure| Failure { json, ..failure })
}
