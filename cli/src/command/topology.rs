//! `ringkv topology`: the cluster's shape as a gateway knows it.

use crate::failure::{Exit, Failure};
use crate::gateway::{Effect, Gateway, GatewayArgs, Reply};
use crate::output;
use crate::topology_view::TopologyView;

/// Flags of `ringkv topology`.
#[derive(Debug, clap::Args)]
pub(crate) struct TopologyArgs {
    /// Print the gateway's JSON as it is.
    #[arg(long)]
    pub json: bool,

    #[command(flatten)]
    pub gateway: GatewayArgs,
}

/// Shows epoch, nodes, groups and leaders.
///
/// # Errors
/// Exit 3 when the gateway does not answer.
pub(crate) async fn run(args: TopologyArgs) -> Result<(), Failure> {
    let reply = ask(&args.gateway, args.json).await?;
    if args.json {
        return output::result_line(String::from_utf8_lossy(&reply.body).trim_end());
    }
    output::result(view(&reply)?.text().as_bytes())
}

/// Asks the gateway for its topology.
pub(super) async fn ask(args: &GatewayArgs, json: bool) -> Result<Reply, Failure> {
    let gateway = Gateway::new(args)?;
    let reply = gateway.send(gateway.get("/topology"), Effect::Read).await;
    reply.map_err(|failure| Failure { json, ..failure })
}

pub(super) fn view(reply: &Reply) -> Result<TopologyView, Failure> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        Failure::new(
            Exit::NotApplied,
            format!("cannot read the gateway's topology: {error}"),
            "use --json, or a ringkv of the gateway's version",
        )
    })
}
