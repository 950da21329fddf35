//! The placement process: settings, log, signals; everything else is the library's.

use clap::Parser as _;
use ringkv_placement::{Args, Config, run};
use ringkv_telemetry::{logging, panic, shutdown};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let _log = logging::init(args.log_format, &args.log_level)?;
    panic::abort_on_panic();
    let config = Config::try_from(args)?;
    run(config, shutdown::signal()?).await
}
