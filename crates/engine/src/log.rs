//! The log writer: one thread, one batch at a time, one fsync for all groups.

use std::time::Instant;

use crossbeam_channel::Receiver;
use ringkv_consensus::{Input, LogBatch, LogWriter};

use crate::handle::Handle;
use crate::threads::fatal;

/// Writes batches in order until the poller is gone. A failed write ends the process: what the
/// disk holds after one is unknown, and a second try could report success over lost pages.
pub(crate) fn run(mut log: impl LogWriter, batches: &Receiver<LogBatch>, handle: &Handle) {
    for batch in batches {
        let began = Instant::now();
        if let Err(error) = log.write(&batch) {
            fatal(&error);
        }
        if batch.sync {
            handle.shared.observer.fsync(began.elapsed(), entry_bytes(&batch));
        }
        handle.input(Input::Persisted { number: batch.number });
    }
}

fn entry_bytes(batch: &LogBatch) -> usize {
    let entries = batch.groups.iter().flat_map(|(_, write)| &write.append);
    entries.map(|entry| entry.data.len()).sum()
}
