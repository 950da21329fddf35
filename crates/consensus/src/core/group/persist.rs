//! The order of persistence: what raft-rs has ready goes to the log, and only then out.
//!
//! A leader's appends leave at once; everything a follower or candidate says is held until it is
//! durable (`held_messages`; I-1, pitfall 3). Entries are readable through the tail before raft-rs
//! is notified that they are stored (pitfall 4).

use raft::Ready;
use raft::eraftpb::{Message, MessageType};
use ringkv_topology::ReplicaId;

use crate::core::group::Group;
use crate::core::log_tail::entry_bytes;
use crate::core::out::Out;
use crate::core::wire;
use crate::position::LogIndex;

impl Group {
    /// Handles everything raft-rs has ready.
    pub(super) fn handle_ready(&mut self, out: &mut Out) {
        while self.raw.has_ready() {
            let mut ready = self.raw.ready();
            self.send(ready.take_messages(), out);
            for confirmed in ready.take_read_states() {
                self.confirm_round(&confirmed.request_ctx, LogIndex(confirmed.index), out);
            }
            let synced = self.write(&ready, out);
            let committed = ready.take_committed_entries();
            let messages = ready.take_persisted_messages();
            let number = ready.number();
            self.raw.advance_append_async(ready);
            self.settle(synced, number, messages, out);
            self.send_to_apply(committed, out);
        }
    }

    /// Log batches up to `batch` are durable: sends what waited for them.
    pub(crate) fn persisted(&mut self, batch: u64, out: &mut Out) {
        let released = self.held.release(batch);
        self.send(released.messages, out);
        if let Some(number) = released.ready {
            self.raw.on_persist_ready(number);
            self.proposals.persisted(LogIndex(self.raw.raft.raft_log.persisted), out.now);
        }
        self.elections.persisted(batch);
        self.reported.persisted(batch);
        self.start_install(batch, out);
    }

    /// Puts what must be stored into the open batch; returns whether it demands an fsync.
    fn write(&mut self, ready: &Ready, out: &mut Out) -> bool {
        let snapshot = ready.snapshot();
        if snapshot.get_metadata().index != 0 {
            self.accept_snapshot(snapshot, out);
        }
        let entries = ready.entries();
        if !entries.is_empty() {
            let replaced = self.raw.mut_store().append(entries);
            self.compaction.appended(entries.iter().map(|e| entry_bytes(e) as u64).sum());
            out.batch.append(self.id, replaced, entries.iter().map(wire::from_raft));
        }
        if let Some(state) = ready.hs() {
            out.batch.hard_state(self.id, wire::hard_state_from_raft(state), ready.must_sync());
        }
        ready.must_sync()
    }

    /// Sends the messages now if nothing is in their way, else holds them until their batch is
    /// durable.
    fn settle(&mut self, synced: bool, number: u64, messages: Vec<Message>, out: &mut Out) {
        let batch = if synced && !cfg!(feature = "planted-ack-before-sync") {
            out.batch.number
        } else if let Some(last) = self.held.last_batch() {
            last
        } else {
            self.raw.on_persist_ready(number);
            self.send(messages, out);
            return;
        };
        self.held.hold(batch, number, messages);
    }

    /// Puts messages into the frames for their nodes; snapshots go their own way.
    pub(super) fn send(&mut self, messages: Vec<Message>, out: &mut Out) {
        for message in messages {
            let Some(node) = self.node_of(ReplicaId(message.to)) else {
                out.counters.messages_dropped += 1;
                continue;
            };
            if message.get_msg_type() == MessageType::MsgSnapshot {
                self.send_snapshot(node, &message, out);
            } else {
                out.outbox.push(node, self.id, &message, out.config.frame_bytes_max);
            }
        }
    }
}
