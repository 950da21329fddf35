//! What clients ask of a leader: commands and reads.
//!
//! While a log batch is being written commands wait, so the time of an fsync sets the size of the
//! next entry. Only a leader proposes: raft-rs would forward silently (pitfall 2). The end of
//! leadership ends every request with what is known of its outcome.

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use ringkv_topology::ReadMode;

use crate::core::group::Group;
use crate::core::out::Out;
use crate::position::{LogIndex, LogPosition};
use crate::types::{Done, RequestError, Role, Ticket};

impl Group {
    /// Queues a command for the next entry, or rejects it.
    pub(crate) fn enqueue(&mut self, command: Bytes, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.reject(ticket, self.not_leader());
        } else if out.unapplied_bytes > out.config.unapplied_bytes_max
            || self.proposals.queue_bytes() as u64 > out.config.uncommitted_bytes_max
        {
            out.completions.reject(ticket, RequestError::Busy);
        } else {
            self.proposals.enqueue(command, ticket, out.now);
        }
    }

    pub(super) fn propose_queued(&mut self, out: &mut Out) {
        if self.proposals.queue_is_empty() || self.role() != Role::Leader {
            return;
        }
        if out.log_busy && self.proposals.queue_bytes() < out.config.entry_bytes_max {
            out.held.push(self.id);
            return;
        }
        for next in self.proposals.take_entries(out.now, out.config.entry_bytes_max) {
            let entry = Entry { data: next.batch.as_bytes().clone(), ..Entry::default() };
            self.propose_entry(entry, next.tickets, out);
        }
    }

    pub(super) fn propose_entry(&mut self, entry: Entry, tickets: Vec<Ticket>, out: &mut Out) {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.replica.0;
        message.set_entries(vec![entry].into());
        // Dropped while leadership is being handed over or too much is uncommitted.
        if self.raw.raft.step(message).is_err() {
            tickets.into_iter().for_each(|t| out.completions.reject(t, RequestError::Busy));
            return;
        }
        let raft = &self.raw.raft;
        let position = LogPosition::new(raft.term, raft.raft_log.last_index());
        self.proposals.proposed(position, tickets, out.now);
    }

    /// Adds a read to the next round, or rejects it.
    pub(crate) fn read(&mut self, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.reject(ticket, self.not_leader());
        } else if out.now.boot_us < self.lease_until_us(out) {
            out.completions.push(ticket, Ok(Done::ReadReady));
        } else {
            self.reads.push(ticket);
        }
    }

    /// Starts a read-index round if reads wait and none is under way. A leader that has not
    /// committed in its term starts none (raft-rs would drop it silently, pitfall 6).
    pub(super) fn begin_read_round(&mut self, out: &Out) -> bool {
        let leads = self.role() == Role::Leader && self.raw.raft.commit_to_current_term();
        if !leads || !self.reads.wants_round() {
            return false;
        }
        let id = self.reads.begin(out.now.boot_us);
        if cfg!(feature = "planted-read-without-quorum") {
            self.confirm_round(&id, self.cursor.applied(), out);
            return false;
        }
        let raft = &self.raw.raft;
        let before = raft.pending_read_count() + raft.ready_read_count();
        self.raw.read_index(id.to_vec());
        let raft = &self.raw.raft;
        if raft.pending_read_count() + raft.ready_read_count() == before {
            self.reads.cancel();
            return false;
        }
        true
    }

    /// raft-rs has the answers of a quorum to a round.
    pub(super) fn confirm_round(&mut self, id: &[u8], index: LogIndex, out: &Out) {
        if let Some(began_us) = self.reads.confirm(id, index) {
            self.lease.extend(began_us, out.config.lease_us, index);
        }
    }

    /// Until when reads need no round, as of now; 0 when they do.
    pub(super) fn lease_until_us(&self, out: &Out) -> u64 {
        match out.read_mode {
            ReadMode::ReadIndex => 0,
            ReadMode::Lease => self.lease.until_us(self.cursor.applied()),
        }
    }

    /// Leadership is gone: another replica may do what was not proposed.
    pub(super) fn lose_leadership(&mut self, out: &mut Out) {
        self.end_requests(self.not_leader(), out);
    }

    /// Ends all requests: what was proposed may yet commit, the rest was not applied.
    pub(super) fn end_requests(&mut self, not_applied: RequestError, out: &mut Out) {
        let ended = self.proposals.take_all();
        for ticket in ended.proposed {
            out.completions.reject(ticket, RequestError::LeadershipLost);
        }
        for ticket in ended.queued.into_iter().chain(self.reads.take_all()) {
            out.completions.reject(ticket, not_applied);
        }
    }

    /// Names who leads, unless that is this replica, which then cannot serve.
    pub(super) fn not_leader(&self) -> RequestError {
        RequestError::NotLeader { leader: self.leader().filter(|_| self.role() != Role::Leader) }
    }
}
