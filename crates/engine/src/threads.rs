//! How the engine's threads live and die.
//!
//! A Raft node that carries on after a broken assertion or a failed write can lose what it has
//! acknowledged. So there is one way out: the reason on the log and on stderr, then abort.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::JoinHandle;

/// Starts a named thread; a panic in it ends the process.
pub(crate) fn spawn(
    name: &'static str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(move || {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(body)) {
            let reason = panic
                .downcast_ref::<&str>()
                .map(|reason| (*reason).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "no reason given".to_owned());
            abort(&format!("thread {name} panicked: {reason}"));
        }
    })
}

/// Ends the process for a failure that must not be carried on from, with its chain of causes.
pub(crate) fn fatal(error: &dyn std::error::Error) -> ! {
    let mut reason = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        reason.push_str(": ");
        reason.push_str(&error.to_string());
        cause = error.source();
    }
    abort(&reason)
}

fn abort(reason: &str) -> ! {
    tracing::error!(reason, "the consensus engine cannot go on: ending the process");
    // The log may be buffered and is not flushed by an abort; a failure to write here changes
    // nothing about what must happen next.
    let _ = writeln!(std::io::stderr(), "ringkv: the consensus engine cannot go on: {reason}");
    std::process::abort()
}
