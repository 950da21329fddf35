//! The `ringkv-storage-node` binary: settings, log and signals around the library.

use std::process::ExitCode;
use std::time::Duration;

use clap::CommandFactory as _;
use clap::error::ErrorKind;
use ringkv_storage_node::{Args, Config, run};
use ringkv_telemetry::{logging, panic, settings, shutdown, trace};

/// One allocator for Rust and for RocksDB: the C library's own took a tenth of the poller's time.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The engine has threads of its own. A second one here would mostly wake and steal from the first:
/// with one, three nodes on two cores did a fifth more PUTs at 64 connections.
const WORKERS: usize = 1;
const BLOCKING_THREADS_MAX: usize = 16;
/// Time for threads that write files to come to their end.
const LAST_WORK: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<ExitCode> {
    let args: Args = settings::parse();
    panic::abort_on_panic();
    let _log = logging::init(args.log_format, &args.log_level)?;
    let mut config = Config::try_from(args).unwrap_or_else(|invalid| {
        Args::command().error(ErrorKind::ValueValidation, invalid).exit()
    });
    config.trace = trace::Settings::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("rpc")
        .enable_all()
        .build()?;
    let ended = runtime.block_on(async { run(config, shutdown::signal()?).await });
    runtime.shutdown_timeout(LAST_WORK);
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}
