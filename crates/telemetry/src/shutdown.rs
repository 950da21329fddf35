//! SIGTERM and SIGINT as a cancellation token.

use tokio::signal::unix::{Signal, SignalKind, signal as on_signal};
use tokio_util::sync::CancellationToken;

/// Exit code of a process ended by a second signal: it did not stop cleanly.
const IMPATIENT_EXIT_CODE: i32 = 130;

/// A token that is cancelled by the first SIGTERM or SIGINT. A second one ends the process at
/// once, as a crash would.
///
/// # Errors
/// The runtime cannot listen for signals.
///
/// # Panics
/// Outside a tokio runtime.
pub fn signal() -> std::io::Result<CancellationToken> {
    let mut terminate = on_signal(SignalKind::terminate())?;
    let mut interrupt = on_signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        let name = first(&mut terminate, &mut interrupt).await;
        tracing::info!(signal = name, "stopping");
        cancel.cancel();
        let name = first(&mut terminate, &mut interrupt).await;
        tracing::warn!(signal = name, "second signal: ending without a clean stop");
        std::process::exit(IMPATIENT_EXIT_CODE);
    });
    Ok(token)
}

async fn first(terminate: &mut Signal, interrupt: &mut Signal) -> &'static str {
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    }
}
