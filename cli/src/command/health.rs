//! `ringkv health`: the health check of the containers, which have no shell and no curl.

use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::gateway::chain;

/// Flags of `ringkv health`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthArgs {
    /// The URL to ask, for example http://127.0.0.1:9090/readyz.
    pub url: String,

    /// How long to wait for the answer, in milliseconds.
    #[arg(long, default_value_t = 2000, value_name = "MS")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=60_000))]
    pub timeout_ms: u64,
}

/// Asks once.
///
/// # Errors
/// Exit 1 unless the answer is 2xx in time.
pub(crate) async fn run(args: HealthArgs) -> Result<(), Failure> {
    let unhealthy = |why: String| Failure::new(Exit::Negative, why, "");
    let client = reqwest::Client::builder()
        .timeout(Duration::from_millis(args.timeout_ms))
        .no_proxy()
        .build()
        .map_err(|error| unhealthy(chain(&error)))?;
    let response = client.get(&args.url).send().await.map_err(|error| unhealthy(chain(&error)))?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let reason = response.text().await.unwrap_or_default();
    Err(unhealthy(format!("{} answered {status}: {}", args.url, reason.trim())))
}
