//! A panic ends the process: half a node is worse than none.
//!
//! A panicking thread may have held part of a state that the other threads go on with; a crash
//! is a case the cluster is built for, a half-dead node is not.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::time::Duration;

/// Time for the last words to reach stderr; a reader that has stopped must not keep us alive.
const LAST_WORDS_TIMEOUT: Duration = Duration::from_secs(1);

/// From now on a panic on any thread is logged with a backtrace, then aborts the process.
pub fn abort_on_panic() {
    std::panic::set_hook(Box::new(|info| {
        write_last_words(describe(info));
        std::process::abort();
    }));
}

fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = std::thread::current();
    let backtrace = std::backtrace::Backtrace::force_capture();
    format!(
        "thread `{}` panicked, aborting: {info}\n{backtrace}\n",
        thread.name().unwrap_or("unnamed")
    )
}

/// Writes past the log's queue, which the abort would lose, and waits only so long.
fn write_last_words(words: String) {
    let (done, written) = mpsc::sync_channel(1);
    let writer = std::thread::Builder::new().name("last-words".into()).spawn(move || {
        // Nobody is left to hear of a failure.
        let _ignored = std::io::stderr().write_all(words.as_bytes());
        let _ignored = done.send(());
    });
    if writer.is_ok() {
        let _ignored = written.recv_timeout(LAST_WORDS_TIMEOUT);
    }
}
