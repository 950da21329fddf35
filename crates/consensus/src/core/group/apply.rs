//! Committed entries on their way to the state machine, and the log behind them.
//!
//! Hands entries out once and in order, with the tickets of those proposed here; applies changes
//! of members to raft-rs at the same point of the log on every replica (pitfall 8); cuts the log
//! behind what the state machine store has flushed, never further (I-6).

use raft::eraftpb::{Entry, EntryType};

use crate::core::effects::ApplyTask;
use crate::core::group::Group;
use crate::core::log_tail::entry_bytes;
use crate::core::out::Out;
use crate::core::wire;
use crate::machine::{AppliedState, Committed, GroupBatch};
use crate::members::MembersChange;
use crate::pack::Pack;
use crate::position::{LogIndex, LogPosition};
use crate::types::{Done, Refusal, Role, Ticket};

impl Group {
    pub(super) fn hand_out(&mut self, committed: Vec<Entry>, out: &mut Out) {
        if committed.is_empty() {
            return;
        }
        let bytes = committed.iter().map(|e| entry_bytes(e) as u64).sum();
        let entries: Vec<Committed> =
            committed.into_iter().map(|entry| self.committed(entry, out)).collect();
        self.applying.push_back((self.handed.index, bytes));
        out.unapplied_bytes += bytes;
        let after = AppliedState { position: self.handed, members: self.members.clone() };
        out.effects.apply.push(ApplyTask::Batch(GroupBatch { group: self.id, entries, after }));
    }

    fn committed(&mut self, entry: Entry, out: &mut Out) -> Committed {
        let position = LogPosition::new(entry.term, entry.index);
        assert!(
            self.handed.is_followed_by(position),
            "group {}: {position} was handed out after {}",
            self.id,
            self.handed
        );
        self.handed = position;
        let (proposed, times) = self.proposed_at(position, out.now);
        let mut tickets = Vec::new();
        let mut pack = None;
        match entry.get_entry_type() {
            EntryType::EntryNormal if entry.data.is_empty() => {
                // raft-rs appends an empty entry in the place of an illegal change.
                proposed
                    .into_iter()
                    .for_each(|t| out.completions.refuse(t, Refusal::ChangeRefused));
            }
            EntryType::EntryNormal => {
                let decoded = Pack::decode(entry.data);
                pack = Some(decoded.expect("committed packs were made by a leader of this format"));
                tickets = proposed;
            }
            EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                self.change_members(&entry, proposed, out);
            }
        }
        Committed { index: position.index, pack, tickets, times }
    }

    fn change_members(&mut self, entry: &Entry, tickets: Vec<Ticket>, out: &mut Out) {
        let change = if entry.context.is_empty() {
            MembersChange::default()
        } else {
            MembersChange::decode(&entry.context).expect("committed changes were made by a leader")
        };
        let result = match self.raw.apply_conf_change(&wire::conf_change(&change)) {
            Ok(conf) => {
                self.members = wire::members_after(&self.members, &change, &conf);
                self.lease.members_changed(out.now.boot_us);
                let nodes = &self.members.nodes;
                self.strangers.retain(|replica, _| !nodes.contains_key(replica));
                Ok(Done::Applied(bytes::Bytes::new()))
            }
            // The same answer on every replica: the change does nothing.
            Err(_) => Err(Refusal::ChangeRefused),
        };
        tickets.into_iter().for_each(|ticket| out.completions.push(ticket, result.clone()));
    }

    /// The apply worker is at `index`.
    pub(crate) fn applied(&mut self, index: LogIndex, out: &mut Out) {
        while let Some((_, bytes)) = self.applying.front().filter(|(at, _)| *at <= index) {
            out.unapplied_bytes -= bytes;
            self.applying.pop_front();
        }
        assert!(index >= self.applied, "the state machine never goes back");
        self.applied = index;
        self.raw.advance_apply_to(index.0);
    }

    /// Whether the log has grown past its limit since the last flush.
    pub(crate) fn wants_flush(&self, entries_max: u64) -> bool {
        self.applied.entries_after(self.durable) > entries_max
    }

    /// The state machine is durable up to `index`: cuts the log if it is long, or `forced`.
    pub(crate) fn flushed(&mut self, index: LogIndex, forced: bool, out: &mut Out) {
        self.durable = self.durable.max(index.min(self.applied));
        let (start, last) = (self.raw.store().start().index, self.raw.store().last());
        let len = last.entries_after(start);
        if len <= out.config.log_entries_max && !forced {
            return;
        }
        let entry_bytes = (self.log_bytes / len.max(1)).max(1);
        let kept = out.config.log_entries_kept.min(out.config.log_bytes_kept / entry_bytes);
        let mut upto = self.durable.min(last.saturating_sub(kept));
        // A follower that is being sent a snapshot goes on from it.
        if let Some(offered) = self.raw.store().offered().filter(|_| self.snapshot_sends > 0) {
            upto = upto.min(offered.applied.position.index);
        }
        if upto > start {
            let cut = self.raw.mut_store().compact(upto);
            self.log_bytes = self.log_bytes.saturating_sub(entry_bytes * upto.entries_after(start));
            out.batch.group(self.id).compact_to = Some(cut);
            out.counters.compactions += 1;
        }
    }

    pub(super) fn serve_reads(&mut self, out: &mut Out) {
        if self.role() == Role::Leader {
            for ticket in self.reads.ready(self.applied) {
                out.completions.push(ticket, Ok(Done::ReadReady));
            }
        }
    }
}
