//! The terms of one replica's durable log, reconstructed from the batches it wrote.

use std::collections::VecDeque;

use ringkv_consensus::{GroupWrite, LogIndex, LogPosition, StoredGroup, Term};

/// Start and terms; entry `i` of `terms` has the index `start.index + 1 + i`.
#[derive(Default)]
pub(crate) struct ReplicaLog {
    start: LogPosition,
    terms: VecDeque<Term>,
}

impl ReplicaLog {
    /// The log that a store returns after a crash.
    pub(crate) fn found(stored: &StoredGroup) -> Self {
        let mut runs = stored.runs.iter().peekable();
        let mut term = stored.start.term;
        let terms = stored.start.index.next().through(stored.last_index).map(|index| {
            while let Some(run) = runs.next_if(|run| run.index <= index) {
                term = run.term;
            }
            term
        });
        Self { start: stored.start, terms: terms.collect() }
    }

    /// Applies one write.
    pub(crate) fn write(&mut self, write: &GroupWrite) {
        if write.create.is_some() {
            *self = Self::default();
        }
        if let Some(start) = write.reset {
            *self = Self { start, terms: VecDeque::new() };
        }
        if let Some(from) = write.truncate_from {
            self.truncate(from);
        }
        for entry in &write.append {
            self.truncate(entry.position.index);
            self.terms.push_back(entry.position.term);
        }
        if let Some(start) = write.compact_to.filter(|start| start.index > self.start.index) {
            let cut = usize::try_from(start.index.entries_after(self.start.index)).expect("fits");
            self.terms.drain(..cut.min(self.terms.len()));
            self.start = start;
        }
    }

    fn truncate(&mut self, from: LogIndex) {
        let kept = from.entries_after(self.start.index.next());
        self.terms.truncate(usize::try_from(kept).expect("fits"));
    }

    /// The term of the entry at `index`; `None` if it is absent or was cut off.
    pub(crate) fn term(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        let at = usize::try_from(index.0.checked_sub(self.start.index.0 + 1)?).ok()?;
        self.terms.get(at).copied()
    }
}
