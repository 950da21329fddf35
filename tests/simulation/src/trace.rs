//! The trace of a run: one hash over all events and, on request, the last events as text.
//!
//! The hash covers every event with its payload: if two runs of one seed have different hashes,
//! the system under test is not deterministic. Text costs time, so a run records it only on the
//! second pass, after a violation.

use std::collections::VecDeque;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::time::Micros;

/// The number of last events that a failed run prints.
const LINES_MAX: usize = 400;

/// The hash so far and the last lines.
pub(crate) struct Trace {
    hash: u64,
    /// Whether lines are kept.
    in_words: bool,
    lines: VecDeque<String>,
    events: u64,
}

impl Trace {
    pub(crate) fn new(seed: u64, in_words: bool) -> Self {
        Self { hash: xxh3_64(&seed.to_le_bytes()), in_words, lines: VecDeque::new(), events: 0 }
    }

    /// Adds one event to the hash.
    pub(crate) fn event(&mut self, now: Micros, kind: &str, who: usize, payload: &[u8]) {
        self.events += 1;
        let mut head = [0_u8; 24];
        head[..8].copy_from_slice(&self.hash.to_le_bytes());
        head[8..16].copy_from_slice(&now.to_le_bytes());
        head[16..].copy_from_slice(&(who as u64).to_le_bytes());
        let head = xxh3_64_with_seed(kind.as_bytes(), xxh3_64(&head));
        self.hash = xxh3_64_with_seed(payload, head);
    }

    /// Adds a line; does not call `line` if lines are not kept.
    pub(crate) fn say(&mut self, now: Micros, line: impl FnOnce() -> String) {
        if !self.in_words {
            return;
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(format!("{:>11.6} {}", now as f64 / 1e6, line()));
    }

    pub(crate) fn is_in_words(&self) -> bool {
        self.in_words
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        std::mem::take(&mut self.lines).into()
    }
}
