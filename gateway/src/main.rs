//! The `ringkv-gateway` binary: settings, log, signals, then `ringkv_gateway::run`.

use anyhow::Context as _;
use ringkv_gateway::{Args, Config};
use ringkv_telemetry::trace;

/// Requests are many small pieces of memory that pass from thread to thread.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let args: Args = ringkv_telemetry::settings::parse();
    let (format, level) = (args.log_format, args.log_level.clone());
    let mut config = Config::try_from(args)?;
    config.trace = trace::Settings::from_env()?;
    let _log = ringkv_telemetry::logging::init(format, &level)?;
    ringkv_telemetry::panic::abort_on_panic();
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(config.workers)
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(async {
            let shutdown = ringkv_telemetry::shutdown::signal()?;
            ringkv_gateway::run(config, shutdown).await
        })
}
