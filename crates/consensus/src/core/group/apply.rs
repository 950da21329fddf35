//! Committed entries on their way to the state machine, and the log behind them.
//!
//! Sends entries to the apply worker once and in order, with the tickets of those proposed here;
//! members change at the same point of the log on every replica (pitfall 8);
//! cuts the log behind what the state machine's store has flushed, never further (I-6).

use raft::eraftpb::{Entry, EntryType};

use crate::command_batch::CommandBatch;
use crate::core::compaction::Extent;
use crate::core::effects::ApplyTask;
use crate::core::group::Group;
use crate::core::log_tail::entry_bytes;
use crate::core::out::Out;
use crate::machine::{AppliedState, Committed, GroupBatch};
use crate::members::Members;
use crate::position::{LogIndex, LogPosition};
use crate::types::{Done, RequestError, Role};

impl Group {
    /// Sends committed entries to the apply worker as one batch.
    pub(super) fn send_to_apply(&mut self, committed: Vec<Entry>, out: &mut Out) {
        if committed.is_empty() {
            return;
        }
        let bytes = committed.iter().map(|e| entry_bytes(e) as u64).sum();
        let entries: Vec<Committed> =
            committed.into_iter().map(|entry| self.committed(entry, out)).collect();
        self.cursor.close_batch(bytes);
        out.unapplied_bytes += bytes;
        let after =
            AppliedState { position: self.cursor.sent(), members: Members::clone(&self.members) };
        out.effects.apply.push(ApplyTask::Batch(GroupBatch { group: self.id, entries, after }));
    }

    fn committed(&mut self, entry: Entry, out: &mut Out) -> Committed {
        let position = LogPosition::new(entry.term, entry.index);
        self.cursor.advance(position);
        let (proposed, times) = self.proposals.committed(position, out.now);
        let mut tickets = Vec::new();
        let mut commands = None;
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => {
                // raft-rs appends an empty entry in the place of an illegal change.
                proposed
                    .into_iter()
                    .for_each(|t| out.completions.reject(t, RequestError::ChangeRejected));
            }
            EntryType::EntryNormal => {
                let decoded = CommandBatch::decode(entry.data);
                let batch = decoded.expect("a leader of this format made every committed batch");
                commands = Some(batch);
                tickets = proposed;
            }
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                self.change_members(&entry, proposed, out);
            }
        }
        Committed { index: position.index, commands, tickets, times }
    }

    /// The apply worker is at `index`.
    pub(crate) fn applied(&mut self, index: LogIndex, out: &mut Out) {
        out.unapplied_bytes -= self.cursor.report_applied(index);
        self.raw.advance_apply_to(index.0);
    }

    /// Whether the log has grown past its limit since the last flush.
    pub(crate) fn wants_flush(&self, entries_max: u64) -> bool {
        self.compaction.wants_flush(self.cursor.applied(), entries_max)
    }

    /// The state machine is durable up to `index`: cuts the log if it is long, or `forced`.
    pub(crate) fn flushed(&mut self, index: LogIndex, forced: bool, out: &mut Out) {
        self.compaction.flushed(index, self.cursor.applied());
        let tail = self.raw.store();
        let log = Extent { start: tail.start().index, last: tail.last() };
        // A follower that is being sent a snapshot goes on from it.
        let sent = tail.offered().filter(|_| self.snapshots.keeps_log());
        let needed = sent.map(|snapshot| snapshot.applied.position.index);
        if let Some(upto) = self.compaction.cut(log, needed, forced, &out.config) {
            let cut = self.raw.mut_store().compact(upto);
            out.batch.group(self.id).compact_to = Some(cut);
            out.counters.compactions += 1;
            // A follower could not go on from it.
            let offered = self.raw.store().offered();
            if offered.is_some_and(|offered| offered.applied.position.index < upto) {
                self.withdraw_snapshot();
            }
        }
    }

    pub(super) fn serve_reads(&mut self, out: &mut Out) {
        if self.role() == Role::Leader {
            for ticket in self.reads.ready(self.cursor.applied()) {
                out.completions.push(ticket, Ok(Done::ReadReady));
            }
        }
    }
}
