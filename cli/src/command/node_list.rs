//! `ringkv node list`: the storage nodes, what they hold and lead.

use crate::command::topology::{ask, view};
use crate::failure::{Exit, Failure};
use crate::gateway::GatewayArgs;
use crate::output;

/// Flags of `ringkv node list`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeListArgs {
    /// Print the nodes as one JSON array.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Shows one line a node.
///
/// # Errors
/// Exit 3 when the gateway does not answer.
pub(crate) async fn run(args: NodeListArgs) -> Result<(), Failure> {
    let reply = ask(&args.gateway, args.json).await?;
    if !args.json {
        return output::result(view(&reply)?.node_table().as_bytes());
    }
    let topology: serde_json::Value = serde_json::from_slice(&reply.body).map_err(|error| {
        Failure::new(Exit::NotApplied, format!("the gateway's answer is not JSON: {error}"), "")
    })?;
    output::result_line(&topology["nodes"].to_string())
}
