//! What clients ask of a leader: commands, reads, changes of members.
//!
//! Commands that wait together share one entry; while a log batch is being written they wait, so
//! the time of an fsync sets the size of the next entry. Only a leader proposes: raft-rs would
//! forward silently (pitfall 2). Whatever ends leadership ends every request with what is known
//! of its outcome.

use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use ringkv_topology::ReadMode;

use crate::core::group::Group;
use crate::core::out::Out;
use crate::core::wire;
use crate::members::MembersChange;
use crate::pack::Pack;
use crate::position::{LogIndex, LogPosition};
use crate::times::{EntryTimes, Now};
use crate::types::{Done, Refusal, Role, Ticket};

/// An entry proposed by this leader and not committed yet.
pub(super) struct Proposed {
    position: LogPosition,
    tickets: Vec<Ticket>,
    times: EntryTimes,
}

impl Group {
    /// Queues a command for the next entry, or refuses it.
    pub(crate) fn enqueue(&mut self, command: Bytes, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.refuse(ticket, self.not_leader());
        } else if out.unapplied_bytes > out.config.unapplied_bytes_max
            || self.queue_bytes as u64 > out.config.uncommitted_bytes_max
        {
            out.completions.refuse(ticket, Refusal::Busy);
        } else {
            if self.queue.is_empty() {
                self.queued_us = out.now.boot_us;
            }
            self.queue_bytes += command.len();
            self.queue.push((command, ticket));
        }
    }

    pub(super) fn propose_queued(&mut self, out: &mut Out) {
        if self.queue.is_empty() || self.role() != Role::Leader {
            return;
        }
        if out.log_busy && self.queue_bytes < out.config.entry_bytes_max {
            out.held.push(self.id);
            return;
        }
        let queue = std::mem::take(&mut self.queue);
        self.queue_bytes = 0;
        let mut rest = &queue[..];
        while !rest.is_empty() {
            let (pack, left) = rest.split_at(pack_len(rest, out.config.entry_bytes_max));
            rest = left;
            self.propose_pack(pack, out);
        }
    }

    fn propose_pack(&mut self, commands: &[(Bytes, Ticket)], out: &mut Out) {
        let pack = Pack::new(out.now.wall_ms, commands.iter().map(|(command, _)| command));
        let tickets: Vec<Ticket> = commands.iter().map(|(_, ticket)| *ticket).collect();
        let entry = Entry { data: pack.as_bytes().clone(), ..Entry::default() };
        self.propose_entry(entry, tickets, out);
    }

    /// Proposes a change of members, or refuses it.
    pub(crate) fn propose_change(&mut self, change: &MembersChange, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.refuse(ticket, self.not_leader());
            return;
        }
        self.propose_entry(wire::members_proposal(change), vec![ticket], out);
    }

    fn propose_entry(&mut self, entry: Entry, tickets: Vec<Ticket>, out: &mut Out) {
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.replica.0;
        message.set_entries(vec![entry].into());
        // Dropped while leadership is being handed over or too much is uncommitted.
        if self.raw.raft.step(message).is_err() {
            tickets.into_iter().for_each(|ticket| out.completions.refuse(ticket, Refusal::Busy));
            return;
        }
        let raft = &self.raw.raft;
        let position = LogPosition::new(raft.term, raft.raft_log.last_index());
        let proposed_us = out.now.boot_us;
        let times = EntryTimes { queued_us: self.queued_us, proposed_us, ..EntryTimes::default() };
        self.proposed.push_back(Proposed { position, tickets, times });
    }

    /// Entries up to `index` are in the log of this node, synced.
    pub(super) fn note_persisted(&mut self, index: LogIndex, now: Now) {
        let pending =
            self.proposed.iter_mut().take_while(|proposed| proposed.position.index <= index);
        for times in pending.map(|p| &mut p.times).filter(|times| times.persisted_us == 0) {
            times.persisted_us = now.boot_us;
        }
    }

    /// The tickets of the entry committed at this position and its times, if proposed here.
    pub(super) fn proposed_at(
        &mut self,
        position: LogPosition,
        now: Now,
    ) -> (Vec<Ticket>, EntryTimes) {
        match self.proposed.front() {
            Some(front) if front.position.index == position.index => {
                let front = self.proposed.pop_front().expect("just seen");
                assert_eq!(front.position, position, "proposals end with their term");
                (front.tickets, EntryTimes { committed_us: now.boot_us, ..front.times })
            }
            _ => Default::default(),
        }
    }

    /// Adds a read to the next round, or refuses it.
    pub(crate) fn read(&mut self, ticket: Ticket, out: &mut Out) {
        if !self.serves() {
            out.completions.refuse(ticket, self.not_leader());
        } else if out.now.boot_us < self.lease_until_us(out) {
            out.completions.push(ticket, Ok(Done::ReadReady));
        } else {
            self.reads.push(ticket);
        }
    }

    /// Starts a read-index round if reads wait and none is under way. A leader that has not
    /// committed in its term starts none (raft-rs would drop it without a word, pitfall 6).
    pub(super) fn begin_read_round(&mut self, out: &Out) -> bool {
        let leads = self.role() == Role::Leader && self.raw.raft.commit_to_current_term();
        if !leads || !self.reads.wants_round() {
            return false;
        }
        self.read_rounds += 1;
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.read_seed.to_le_bytes());
        id[8..].copy_from_slice(&self.read_rounds.to_le_bytes());
        self.reads.begin(id, out.now.boot_us);
        if cfg!(feature = "planted-read-without-quorum") {
            self.confirm_round(&id, self.applied, out);
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
            ReadMode::Lease => self.lease.until_us(self.applied),
        }
    }

    /// Leadership is gone: what was proposed may yet commit, the rest was not applied.
    pub(super) fn lose_leadership(&mut self, out: &mut Out) {
        let refusal = self.not_leader();
        for ticket in std::mem::take(&mut self.proposed).into_iter().flat_map(|p| p.tickets) {
            out.completions.refuse(ticket, Refusal::LeadershipLost);
        }
        let queued = std::mem::take(&mut self.queue).into_iter().map(|(_, ticket)| ticket);
        for ticket in queued.chain(self.reads.take_all()) {
            out.completions.refuse(ticket, refusal);
        }
        self.queue_bytes = 0;
    }

    /// Names who leads, unless that is this replica, which then cannot serve.
    fn not_leader(&self) -> Refusal {
        Refusal::NotLeader { leader: self.leader().filter(|_| self.role() != Role::Leader) }
    }
}

/// How many of the first commands make one entry: at least one, then up to `bytes_max`.
fn pack_len(commands: &[(Bytes, Ticket)], bytes_max: usize) -> usize {
    let mut bytes = 0;
    let fits = commands.iter().take_while(|(command, _)| {
        bytes += command.len();
        bytes <= bytes_max
    });
    fits.count().max(1)
}
