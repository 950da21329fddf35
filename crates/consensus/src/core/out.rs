//! What a call of the poller collects while it goes through its groups.
//!
//! Owns the open log batch, the frames being filled and the completions by sink. Knows nothing of
//! Raft's rules.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft::eraftpb::Message;
use ringkv_topology::{GroupId, NodeId, ReadMode};

use crate::core::config::PollerConfig;
use crate::core::counters::Counters;
use crate::core::effects::Effects;
use crate::core::frame::FrameBuilder;
use crate::log_store::{Entry, GroupWrite, HardState, LogBatch};
use crate::position::LogIndex;
use crate::times::Now;
use crate::types::{Completion, Done, RequestError, SinkId, Ticket};

/// Everything a group may write to while it is driven, and what it must know of its node.
pub(crate) struct Out {
    pub(crate) config: PollerConfig,
    pub(crate) now: Now,
    pub(crate) read_mode: ReadMode,
    pub(crate) effects: Effects,
    pub(crate) outbox: Outbox,
    pub(crate) completions: Completions,
    pub(crate) batch: OpenBatch,
    /// A log batch is being written: commands wait and share the next entry.
    pub(crate) log_busy: bool,
    /// Sent to the apply worker and not applied yet, all groups, in bytes.
    pub(crate) unapplied_bytes: u64,
    /// Groups that hold back commands until the log is free.
    pub(crate) held: Vec<GroupId>,
    pub(crate) counters: Counters,
}

impl Out {
    pub(crate) fn new(config: PollerConfig) -> Self {
        Self {
            config,
            now: Now::default(),
            read_mode: ReadMode::ReadIndex,
            effects: Effects::default(),
            outbox: Outbox::default(),
            completions: Completions::default(),
            batch: OpenBatch { number: 1, ..OpenBatch::default() },
            log_busy: false,
            unapplied_bytes: 0,
            held: Vec::new(),
            counters: Counters::default(),
        }
    }
}

/// The log batch being filled.
#[derive(Default)]
pub(crate) struct OpenBatch {
    /// The number it will have.
    pub(crate) number: u64,
    pub(crate) sync: bool,
    pub(crate) bytes: u64,
    groups: BTreeMap<GroupId, GroupWrite>,
    /// The groups of the batch that is being written.
    written: Vec<GroupId>,
}

impl OpenBatch {
    pub(crate) fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// What is to be written of a group.
    pub(crate) fn group(&mut self, group: GroupId) -> &mut GroupWrite {
        self.groups.entry(group).or_default()
    }

    /// Adds entries; `replaced` is the index from which older ones are removed.
    pub(crate) fn append(
        &mut self,
        group: GroupId,
        replaced: Option<LogIndex>,
        entries: impl Iterator<Item = Entry>,
    ) {
        let write = self.groups.entry(group).or_default();
        if let Some(first) = replaced {
            write.append.retain(|entry| entry.position.index < first);
            let from = write.truncate_from.map_or(first, |from| from.min(first));
            write.truncate_from = Some(from);
        }
        for entry in entries {
            self.bytes += entry.data.len() as u64 + 32;
            write.append.push(entry);
        }
        self.sync = true;
    }

    /// Notes the hard state; only a new term or vote demands an fsync.
    pub(crate) fn hard_state(&mut self, group: GroupId, state: HardState, must_sync: bool) {
        self.group(group).hard_state = Some(state);
        self.sync |= must_sync;
    }

    /// The groups of the batch last closed, once.
    pub(crate) fn take_written(&mut self) -> Vec<GroupId> {
        std::mem::take(&mut self.written)
    }

    /// Closes the batch and opens the next.
    pub(crate) fn take(&mut self) -> LogBatch {
        let written = self.groups.keys().copied().collect();
        let next = Self { number: self.number + 1, written, ..Self::default() };
        let taken = std::mem::replace(self, next);
        LogBatch {
            number: taken.number,
            groups: taken.groups.into_iter().collect(),
            sync: taken.sync,
        }
    }
}

/// Frames being filled, one run per peer node.
#[derive(Default)]
pub(crate) struct Outbox {
    open: BTreeMap<NodeId, FrameBuilder>,
    closed: Vec<(NodeId, Bytes)>,
}

impl Outbox {
    pub(crate) fn push(&mut self, to: NodeId, group: GroupId, message: &Message, bytes_max: usize) {
        let builder = self.open.entry(to).or_insert_with(FrameBuilder::new);
        builder.push(group, message);
        if builder.len() >= bytes_max {
            let full = std::mem::replace(builder, FrameBuilder::new());
            self.closed.extend(full.finish().map(|frame| (to, frame)));
        }
    }

    /// All frames, in order for each node.
    pub(crate) fn take(&mut self) -> Vec<(NodeId, Bytes)> {
        let mut frames = std::mem::take(&mut self.closed);
        for (to, builder) in std::mem::take(&mut self.open) {
            frames.extend(builder.finish().map(|frame| (to, frame)));
        }
        frames
    }
}

/// Completions being gathered, by sink.
#[derive(Default)]
pub(crate) struct Completions(BTreeMap<SinkId, Vec<Completion>>);

impl Completions {
    pub(crate) fn reject(&mut self, ticket: Ticket, error: RequestError) {
        self.push(ticket, Err(error));
    }

    pub(crate) fn push(&mut self, ticket: Ticket, result: Result<Done, RequestError>) {
        self.0.entry(ticket.sink).or_default().push(Completion::new(ticket.id, result));
    }

    pub(crate) fn take(&mut self) -> Vec<(SinkId, Vec<Completion>)> {
        std::mem::take(&mut self.0).into_iter().collect()
    }
}
