//! `ringkv node stop`: ends one storage node, cleanly or as a crash would.

use std::time::Duration;

use ringkv_proto::v1::StopRequest;
use ringkv_services::v1::admin_client::AdminClient;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

use crate::failure::{Exit, Failure};
use crate::gateway::chain;
use crate::output;

/// How long the node may take to answer; it answers before it stops.
const ANSWER: Duration = Duration::from_secs(5);

/// Flags of `ringkv node stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeStopArgs {
    /// The node's gRPC address, host:port, as `ringkv node list` shows it.
    pub address: String,

    /// End the process at once, as a crash would: nothing is handed over or flushed. Acknowledged
    /// writes are safe nevertheless.
    #[arg(long)]
    pub now: bool,
}

/// Asks the node to stop and returns when the node has answered.
///
/// # Errors
/// Exit 3 when the node cannot be reached or refuses.
pub(crate) async fn run(args: NodeStopArgs) -> Result<(), Failure> {
    let endpoint = Endpoint::from_shared(format!("http://{}", args.address))
        .map_err(|error| {
            Failure::new(
                Exit::Usage,
                format!("{:?} is not an address: {}", args.address, chain(&error)),
                "use host:port",
            )
        })?
        .connect_timeout(ANSWER)
        .timeout(ANSWER);
    let channel = endpoint.connect().await.map_err(|error| {
        Failure::new(
            Exit::NotApplied,
            format!("no node answers at {}: {}", args.address, chain(&error)),
            "check the address with `ringkv node list`; it may have stopped already",
        )
    })?;
    let stop = StopRequest { now: args.now };
    match AdminClient::new(channel).stop(stop).await {
        Ok(_) if args.now => {
            output::remark(&format!("{} is ending without handing over", args.address))
        }
        Ok(_) => output::remark(&format!(
            "{} is handing over its leaderships and stopping",
            args.address
        )),
        // The process may be gone before its answer is on the wire.
        Err(status) if args.now && is_gone(&status) => {
            output::remark(&format!("{} has ended", args.address));
        }
        Err(status) => {
            return Err(Failure::new(
                Exit::NotApplied,
                format!("{} did not stop: {}", args.address, status.message()),
                "retry, or use --now",
            ));
        }
    }
    Ok(())
}

/// Whether the connection broke before an answer came.
fn is_gone(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}
