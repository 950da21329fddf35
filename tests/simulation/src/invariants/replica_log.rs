//! The terms of one replica's durable log, reconstructed from the batches it wrote.

use std::collections::VecDeque;

use ringkv_consensus::{GroupWrite, LogIndex, LogStart, StoredGroup, Term};

/// Start and terms; entry `i` of `terms` has the index `start.index + 1 + i`.
#[derive(Default)]
pub(crate) struct ReplicaLog {
    start: LogStart,
    terms: VecDeque<Term>,
}

impl ReplicaLog {
    /// The log that a store returns after a crash.
    pub(crate) fn found(stored: &StoredGroup) -> Self {
        let mut runs = stored.terms.iter().peekable();
        let mut term = stored.start.term;
        let terms = (stored.start.index + 1..=stored.last_index).map(|index| {
            while let Some((_, next)) = runs.next_if(|(first, _)| *first <= index) {
                term = *next;
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
            self.truncate(entry.index);
            self.terms.push_back(entry.term);
        }
        if let Some(start) = write.compact_to.filter(|start| start.index > self.start.index) {
            let cut = usize::try_from(start.index - self.start.index).expect("fits");
            self.terms.drain(..cut.min(self.terms.len()));
            self.start = start;
        }
    }

    fn truncate(&mut self, from: LogIndex) {
        let kept = from.saturating_sub(self.start.index + 1);
        self.terms.truncate(usize::try_from(kept).expect("fits"));
    }

    /// The term of the entry at `index`; `None` if it is absent or was cut off.
    pub(crate) fn term(&self, index: LogIndex) -> Option<Term> {
        if index == self.start.index {
            return Some(self.start.term);
        }
        let at = usize::try_from(index.checked_sub(self.start.index + 1)?).ok()?;
        self.terms.get(at).copied()
    }
}
