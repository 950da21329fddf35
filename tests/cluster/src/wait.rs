//! Waits for a condition, with a deadline; reports the last reason why it did not hold.

use std::time::Duration;

use anyhow::{bail, ensure};
use tokio::time::Instant;

/// The pause between two checks of the condition.
const PAUSE: Duration = Duration::from_millis(10);

/// Waits until `condition` returns a value.
///
/// # Errors
/// It did not within `deadline`; the message has `what` and the condition's last error.
pub async fn until_ok<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    let mut reason = "never looked".to_owned();
    loop {
        // The deadline also holds for a condition that hangs.
        match tokio::time::timeout_at(end, condition()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(error)) => reason = format!("{error:#}"),
            Err(_) => bail!("{what}: not within {deadline:?}: {reason}; the last check timed out"),
        }
        ensure!(Instant::now() < end, "{what}: not within {deadline:?}: {reason}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until `condition` holds.
///
/// # Errors
/// It did not within `deadline`.
pub async fn until(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    until_ok(what, deadline, async || {
        ensure!(condition().await, "it does not hold");
        Ok(())
    })
    .await
}
