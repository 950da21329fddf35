//! `ringkv node start`: a storage node in the foreground, with the storage node's own flags.

use ringkv_storage_node::Config;
use ringkv_telemetry::trace;

use crate::failure::{Exit, Failure};

/// Flags of `ringkv node start`: those of `ringkv-storage-node`.
#[derive(Debug, clap::Args)]
pub(crate) struct NodeStartArgs {
    #[command(flatten)]
    pub node: ringkv_storage_node::Args,
}

/// Runs the node until SIGINT, SIGTERM or `ringkv node stop`.
///
/// # Errors
/// Exit 2 for settings that cannot be used, 3 when the node cannot start or fails.
pub(crate) async fn run(args: NodeStartArgs) -> Result<(), Failure> {
    let usage = |error: anyhow::Error| Failure::new(Exit::Usage, format!("{error:#}"), "");
    let _log = ringkv_telemetry::logging::init(args.node.log_format, &args.node.log_level)
        .map_err(usage)?;
    ringkv_telemetry::panic::abort_on_panic();
    let mut config = Config::try_from(args.node).map_err(|error| usage(error.into()))?;
    config.trace = trace::Settings::from_env().map_err(|error| usage(error.into()))?;
    let failed = |error: anyhow::Error| {
        Failure::new(Exit::NotApplied, format!("the node failed: {error:#}"), "")
    };
    let shutdown = ringkv_telemetry::shutdown::signal().map_err(|error| failed(error.into()))?;
    ringkv_storage_node::run(config, shutdown).await.map_err(failed)
}
