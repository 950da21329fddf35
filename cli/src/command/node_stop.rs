//! `ringkv node stop`: ends one storage node, cleanly or as a crash would.

use std::time::Duration;

use ringkv_client::admin::{AdminErrorKind, Stop, StorageNode};

use crate::admin::failure;
use crate::failure::{Exit, Failure};
use crate::output;

/// A node that stops cleanly hands over, drains and flushes for about 30 s at most.
const END_TIMEOUT: Duration = Duration::from_secs(60);

const ELSEWHERE: &str = "run it on the node's machine, or start the node with an --admin-listen that \
                         is reached from here";

/// Flags of `ringkv node stop`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeStopArgs {
    /// The node's address, host:port, as `ringkv node list` shows it, or that of its admin listener.
    pub address: String,

    /// End the process at once, as a crash would: nothing is handed over or flushed. Acknowledged
    /// writes are safe nevertheless.
    #[arg(long)]
    pub now: bool,

    /// Return when the process has ended, not when it begins to stop; fails after 60 s.
    #[arg(long)]
    pub wait: bool,
}

/// Asks the node to stop.
///
/// # Errors
/// Exit 3 when the node cannot be reached or refuses, 4 when it does not end in time.
pub(crate) async fn run(args: NodeStopArgs) -> Result<(), Failure> {
    let address = &args.address;
    let what = format!("cannot stop {address}");
    let refused = |error| match failure(&what, &error) {
        refused if error.kind == AdminErrorKind::Unreachable => Failure {
            next: "check the address with `ringkv node list`; it may have stopped already".into(),
            ..refused
        },
        Failure { exit: Exit::Usage, happened, .. } => {
            Failure::new(Exit::Usage, happened, "use host:port")
        }
        refused => Failure { exit: Exit::NotApplied, ..refused },
    };
    let node = StorageNode::connect(address).await.map_err(refused)?;
    let how = if args.now { Stop::Immediate } else { Stop::Clean };
    node.stop(how).await.map_err(|error| match error.kind {
        AdminErrorKind::Unreachable => Failure { next: ELSEWHERE.into(), ..refused(error) },
        _ => refused(error),
    })?;
    match how {
        Stop::Clean => {
            output::remark(&format!("{address} is handing over its leaderships and stopping"));
        }
        Stop::Immediate => {
            output::remark(&format!("{address} is ending without handing over"));
        }
    }
    if args.wait {
        let ended = tokio::time::timeout(END_TIMEOUT, node.ended()).await;
        ended.map_err(|_| {
            let happened = format!("{address} has not ended within {} s", END_TIMEOUT.as_secs());
            Failure::new(Exit::Unknown, happened, "look at its log, or use --now")
        })?;
        output::remark(&format!("{address} has ended"));
    }
    Ok(())
}
