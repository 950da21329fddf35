//! What clients asked a leader to replicate: commands that wait for the next entry, and entries
//! that are proposed and not committed yet.
//!
//! Commands that wait together share one entry: that is what makes consensus cheap per command.
//! Knows nothing of raft-rs: the group proposes what this part cuts, and reports the position.
//! Invariants: every ticket that comes in leaves once; entries leave in the order of the log; what
//! was proposed in a term ends with that term.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::command_batch::CommandBatch;
use crate::position::{LogIndex, LogPosition};
use crate::times::{EntryTimes, Now};
use crate::types::Ticket;

/// The proposals of one group.
#[derive(Default)]
pub(crate) struct Proposals {
    queue: Vec<(Bytes, Ticket)>,
    queue_bytes: usize,
    /// When the first command of `queue` came.
    queued_us: u64,
    /// In the order of the log.
    proposed: VecDeque<Proposed>,
}

/// An entry proposed by this leader and not committed yet.
struct Proposed {
    position: LogPosition,
    tickets: Vec<Ticket>,
    times: EntryTimes,
}

/// Commands that share the next entry, and who waits for each.
pub(crate) struct NextEntry {
    pub(crate) batch: CommandBatch,
    pub(crate) tickets: Vec<Ticket>,
}

/// The tickets that a change of leadership ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// Their commands are in an entry that may yet commit.
    pub(crate) proposed: Vec<Ticket>,
    /// Their commands are in no entry.
    pub(crate) queued: Vec<Ticket>,
}

impl Proposals {
    /// Adds a command for the next entry.
    pub(crate) fn enqueue(&mut self, command: Bytes, ticket: Ticket, now: Now) {
        if self.queue.is_empty() {
            self.queued_us = now.boot_us;
        }
        self.queue_bytes += command.len();
        self.queue.push((command, ticket));
    }

    /// Whether no command waits for an entry.
    pub(crate) fn queue_is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The size of all commands that wait for an entry.
    pub(crate) fn queue_bytes(&self) -> usize {
        self.queue_bytes
    }

    /// Takes all waiting commands, as entries of up to `bytes_max` each. A larger command has an
    /// entry of its own.
    pub(crate) fn take_entries(&mut self, now: Now, bytes_max: usize) -> Vec<NextEntry> {
        let queue = std::mem::take(&mut self.queue);
        self.queue_bytes = 0;
        let mut rest = &queue[..];
        let mut entries = Vec::new();
        while !rest.is_empty() {
            let (commands, left) = rest.split_at(batch_len(rest, bytes_max));
            rest = left;
            let batch = CommandBatch::new(now.wall_ms, commands.iter().map(|(command, _)| command));
            let tickets = commands.iter().map(|(_, ticket)| *ticket).collect();
            entries.push(NextEntry { batch, tickets });
        }
        entries
    }

    /// An entry was proposed and has this position.
    pub(crate) fn proposed(&mut self, position: LogPosition, tickets: Vec<Ticket>, now: Now) {
        let (queued_us, proposed_us) = (self.queued_us, now.boot_us);
        let times = EntryTimes { queued_us, proposed_us, ..EntryTimes::default() };
        self.proposed.push_back(Proposed { position, tickets, times });
    }

    /// Entries up to `index` are in the log of this node, synced.
    pub(crate) fn persisted(&mut self, index: LogIndex, now: Now) {
        let pending = self.proposed.iter_mut().take_while(|entry| entry.position.index <= index);
        for times in pending.map(|p| &mut p.times).filter(|times| times.persisted_us == 0) {
            times.persisted_us = now.boot_us;
        }
    }

    /// The entry at this position is committed: returns its tickets and times, if it was proposed
    /// here.
    ///
    /// # Panics
    /// When another entry was committed in the place of one proposed here: `take_all` was not
    /// called at the end of the term.
    pub(crate) fn committed(
        &mut self,
        position: LogPosition,
        now: Now,
    ) -> (Vec<Ticket>, EntryTimes) {
        let Some(entry) = self.proposed.pop_front_if(|p| p.position.index == position.index) else {
            return Default::default();
        };
        assert_eq!(entry.position, position, "proposals end with their term");
        (entry.tickets, EntryTimes { committed_us: now.boot_us, ..entry.times })
    }

    /// Ends everything: leadership is lost.
    pub(crate) fn take_all(&mut self) -> Unfinished {
        self.queue_bytes = 0;
        let queue = std::mem::take(&mut self.queue);
        let proposed = std::mem::take(&mut self.proposed);
        Unfinished {
            proposed: proposed.into_iter().flat_map(|entry| entry.tickets).collect(),
            queued: queue.into_iter().map(|(_, ticket)| ticket).collect(),
        }
    }
}

/// How many of the first commands make one entry: at least one, then up to `bytes_max`.
fn batch_len(commands: &[(Bytes, Ticket)], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = commands.iter().take_while(|(command, _)| {
        bytes += command.len();
        bytes <= bytes_max
    });
    fits.count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SinkId;

    fn ticket(id: u64) -> Ticket {
        Ticket { sink: SinkId(1), id }
    }

    fn at(boot_us: u64) -> Now {
        Now { wall_ms: 0, boot_us }
    }

    fn with_commands(sizes: &[usize]) -> Proposals {
        let mut proposals = Proposals::default();
        for (id, size) in (1..).zip(sizes) {
            proposals.enqueue(Bytes::from(vec![0; *size]), ticket(id), at(id));
        }
        proposals
    }

    #[test]
    fn commands_share_entries_up_to_the_bound_and_a_large_one_is_alone() {
        let mut proposals = with_commands(&[4, 5, 2, 30, 1]);
        assert_eq!(proposals.queue_bytes(), 42);
        let entries = proposals.take_entries(at(9), 10);
        let tickets: Vec<Vec<u64>> =
            entries.iter().map(|entry| entry.tickets.iter().map(|t| t.id).collect()).collect();
        assert_eq!(tickets, [vec![1, 2], vec![3], vec![4], vec![5]]);
        assert_eq!(entries[0].batch.count(), 2);
        assert!(proposals.queue_is_empty() && proposals.queue_bytes() == 0);
    }

    #[test]
    fn an_entry_that_commits_returns_its_tickets_and_its_times_once() {
        let mut proposals = with_commands(&[1]);
        let entry = proposals.take_entries(at(5), 10).remove(0);
        let position = LogPosition::new(2, 7);
        proposals.proposed(position, entry.tickets, at(5));
        proposals.persisted(LogIndex(6), at(6));
        proposals.persisted(LogIndex(7), at(7));
        proposals.persisted(LogIndex(9), at(8));
        assert_eq!(proposals.committed(LogPosition::new(2, 6), at(9)), Default::default());
        let (tickets, times) = proposals.committed(position, at(9));
        assert_eq!(tickets, [ticket(1)]);
        let passed = (times.queued_us, times.proposed_us, times.persisted_us, times.committed_us);
        assert_eq!(passed, (1, 5, 7, 9));
        assert_eq!(proposals.committed(position, at(9)), Default::default());
    }

    #[test]
    fn the_end_of_leadership_tells_what_may_commit_from_what_cannot() {
        let mut proposals = with_commands(&[1]);
        let entry = proposals.take_entries(at(5), 10).remove(0);
        proposals.proposed(LogPosition::new(2, 7), entry.tickets, at(5));
        proposals.enqueue(Bytes::from_static(b"x"), ticket(2), at(6));
        let ended = proposals.take_all();
        assert_eq!(ended, Unfinished { proposed: vec![ticket(1)], queued: vec![ticket(2)] });
        assert_eq!(proposals.take_all(), Unfinished::default());
        assert_eq!(proposals.queue_bytes(), 0);
    }

    #[test]
    #[should_panic(expected = "proposals end with their term")]
    fn a_proposal_never_answers_for_the_entry_of_another_term() {
        let mut proposals = Proposals::default();
        proposals.proposed(LogPosition::new(2, 7), vec![ticket(1)], at(5));
        proposals.committed(LogPosition::new(3, 7), at(9));
    }
}
