//! When a dev cluster may be called ready: its gateway says so.

use std::time::Duration;

use crate::failure::{Exit, Failure};
use crate::gateway::chain;

/// Pause between two questions.
const PAUSE: Duration = Duration::from_millis(50);
/// A cluster on one machine forms in about two seconds; a loaded machine gets much longer.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until the gateway at `url` is ready to read and write.
///
/// # Errors
/// It is not within a minute; the failure carries the gateway's last reason.
pub(crate) async fn wait(url: &str) -> Result<(), Failure> {
    let mut reason = "no answer yet".to_owned();
    let asked = tokio::time::timeout(DEADLINE, async {
        while let Err(why) = ask(url).await {
            reason = why;
            tokio::time::sleep(PAUSE).await;
        }
    })
    .await;
    asked.map_err(|_| {
        Failure::new(
            Exit::NotApplied,
            format!("not ready after {} s: {reason}", DEADLINE.as_secs()),
            "run again with --log-level info",
        )
    })
}

async fn ask(url: &str) -> Result<(), String> {
    let client = reqwest::Client::builder().no_proxy().build().map_err(|error| chain(&error))?;
    let answer = client.get(format!("{url}/readyz")).timeout(Duration::from_secs(2)).send().await;
    let answer = answer.map_err(|error| chain(&error))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(answer.text().await.unwrap_or_else(|error| chain(&error)))
}
