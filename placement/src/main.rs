//! The placement process: settings, log and signals. Everything else is in the library.

use std::process::ExitCode;

use ringkv_placement::{Args, Config, run};
use ringkv_telemetry::{logging, panic, settings, shutdown, trace};

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args: Args = settings::parse();
    let _log = logging::init(args.log_format, &args.log_level)?;
    panic::abort_on_panic();
    match start(args).await {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
    }
}

async fn start(args: Args) -> anyhow::Result<()> {
    let mut config = Config::try_from(args)?;
    config.trace = trace::Settings::from_env()?;
    run(config, shutdown::signal()?).await
}
