//! The flush thread: makes the state machine's store durable, so that the log behind it can go.

use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::Receiver;
use ringkv_consensus::{Flusher, Input};

use crate::handle::Handle;
use crate::threads::fatal;

/// Flushes once per request until the poller is gone.
pub(crate) fn run(flusher: &Arc<dyn Flusher>, requests: &Receiver<()>, handle: &Handle) {
    for () in requests {
        let began = Instant::now();
        match flusher.flush() {
            Ok(flushed) => {
                handle.shared.observer.flushed(began.elapsed());
                handle.input(Input::Flushed(flushed));
            }
            Err(error) => fatal(&error),
        }
    }
}
