//! A panic ends the process.
//!
//! A panicking thread may leave shared state half changed, and the other threads would go on with
//! it. The cluster is built to survive a crashed node, not a half-dead one.

use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::mpsc;
use std::time::Duration;

/// The longest wait for stderr to take the last message; a reader that has stopped must not keep
/// the process alive.
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
        // There is no other place to report a failure.
        let _ignored = std::io::stderr().write_all(words.as_bytes());
        let _ignored = done.send(());
    });
    if writer.is_ok() {
        let _ignored = written.recv_timeout(LAST_WORDS_TIMEOUT);
    }
}
