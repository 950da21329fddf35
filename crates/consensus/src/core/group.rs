//! One Raft group's replica on this node: raft-rs and everything that must happen around it.
//!
//! Owns the group's log tail, the proposals and reads under way, the order of persistence, the
//! hand-over of committed entries, and the life of its snapshots. Driven by the poller only.
//! Invariants: I-1 (no acknowledgement or vote leaves before its log batch is durable, in order),
//! I-2 (entries are handed out once, in order), I-4 (a read is served only past its read point).
//! The ten pitfalls of raft-rs that shape this file are tested in `tests/core/pitfalls.rs`.

mod apply;
mod elections;
mod persist;
mod requests;
mod snapshots;
mod status;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use elections::{DRAW_MAX, SplitMix};
use persist::Unpersisted;
use raft::eraftpb::{Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption};
use requests::Proposed;
use ringkv_topology::{GroupId, NodeId, ReplicaId};
use snapshots::Installing;

use crate::core::config::PollerConfig;
use crate::core::effects::ReceivedSnapshot;
use crate::core::lease::Lease;
use crate::core::log_tail::LogTail;
use crate::core::out::Out;
use crate::core::reads::Reads;
use crate::core::start_error::StartError;
use crate::core::wire;
use crate::log_store::{LogReader, StoredGroup};
use crate::machine::AppliedState;
use crate::members::Members;
use crate::position::{LogIndex, LogPosition, Term};
use crate::types::{Role, Ticket};

/// A replica and its surroundings.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) replica: ReplicaId,
    /// In the poller's list of groups to drive.
    pub(crate) dirty: bool,
    raw: RawNode<LogTail>,
    random: SplitMix,
    /// Makes read ids of this life differ from those of any other.
    read_seed: u64,
    read_rounds: u64,

    /// As of the last entry handed out.
    members: Members,
    handed: LogPosition,
    /// As reported by the apply worker.
    applied: LogIndex,
    /// Handed out and not reported applied: index and bytes of each batch.
    applying: VecDeque<(LogIndex, u64)>,
    /// Flushed by the state machine store.
    durable: LogIndex,
    log_bytes: u64,

    unpersisted: VecDeque<Unpersisted>,
    queue: Vec<(Bytes, Ticket)>,
    /// When the first command of `queue` came.
    queued_us: u64,
    queue_bytes: usize,
    proposed: VecDeque<Proposed>,
    reads: Reads,
    lease: Lease,
    /// As last told to the shell.
    lease_told_us: u64,
    /// Ticks left in which no candidate gets a vote here: an election timeout after each heartbeat,
    /// and after a restart. raft-rs promises the same, but forgets it with the leader's name, which
    /// any message of a later term makes it do.
    promised_ticks: usize,
    /// The log batch that makes the replica's creation durable, until it is.
    creation: Option<u64>,
    seen: (Role, Term),
    seen_leader: u64,
    /// Nodes of replicas that wrote to us and are not members as we know them.
    strangers: BTreeMap<ReplicaId, NodeId>,

    /// The state here is wrong, until a snapshot replaces it.
    diverged: bool,
    received: Option<ReceivedSnapshot>,
    installing: Option<Installing>,
    snapshot_building: bool,
    snapshot_sends: u32,
    snapshot_idle_ticks: u64,
}

impl Group {
    /// Brings up a replica from its log and the state machine's position.
    pub(crate) fn new(
        config: &PollerConfig,
        stored: &StoredGroup,
        applied: &AppliedState,
        reader: Arc<dyn LogReader>,
    ) -> Result<Self, StartError> {
        let (id, replica) = (stored.genesis.group, stored.genesis.replica);
        let (start, last) = (stored.start, stored.last_index);
        if applied.position.index < start.index || applied.position.index > last {
            return Err(StartError::Position {
                group: id,
                applied: applied.position.index,
                start,
                last,
            });
        }
        // A hard state may be older than what was applied by it (pitfall 5).
        let commit = stored.hard_state.commit.max(applied.position.index);
        let conf = wire::conf_state(&applied.members);
        let tail = LogTail::new(stored, commit, conf, reader);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw =
            RawNode::new(&raft_config(config, replica, applied.position.index), tail, &logger)
                .map_err(|source| StartError::Raft { group: id, source: Box::new(source) })?;
        let mut group = Self {
            id,
            replica,
            dirty: true,
            raw,
            random: SplitMix(config.seed ^ replica.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            read_seed: config.seed,
            read_rounds: 0,
            members: applied.members.clone(),
            handed: applied.position,
            applied: applied.position.index,
            applying: VecDeque::new(),
            durable: applied.position.index,
            log_bytes: 0,
            unpersisted: VecDeque::new(),
            queue: Vec::new(),
            queued_us: 0,
            queue_bytes: 0,
            proposed: VecDeque::new(),
            reads: Reads::default(),
            lease: Lease::default(),
            lease_told_us: 0,
            promised_ticks: 0,
            creation: None,
            seen: (Role::Follower, stored.hard_state.term),
            seen_leader: 0,
            strangers: BTreeMap::new(),
            diverged: false,
            received: None,
            installing: None,
            snapshot_building: false,
            snapshot_sends: 0,
            snapshot_idle_ticks: 0,
        };
        group.settle_timeout(config);
        Ok(group)
    }

    /// One tick. Gives whether the group now has something to do.
    pub(crate) fn tick(&mut self, out: &mut Out) -> bool {
        self.promised_ticks = self.promised_ticks.saturating_sub(1);
        if !self.may_stand() {
            // Not by withholding ticks: raft-rs would go on believing in a leader that is gone, and
            // give nobody else its vote.
            self.raw.raft.set_randomized_election_timeout(DRAW_MAX - 1);
        }
        if self.diverged {
            self.seek_rebuild();
        }
        let busy = self.raw.tick();
        self.settle_timeout(&out.config);
        self.expire_snapshot(out);
        busy || self.reads.wants_round()
    }

    /// Takes a message from another replica.
    pub(crate) fn step(&mut self, from: NodeId, message: Message, out: &mut Out) {
        // A message for another replica id is for a life this node no longer leads.
        if message.to != self.replica.0 {
            out.counters.messages_dropped += 1;
            return;
        }
        let kind = message.get_msg_type();
        let append = kind == MessageType::MsgAppend && !message.entries.is_empty();
        let over = append && out.unapplied_bytes > out.config.unapplied_bytes_max;
        // Snapshots come with their files, through `snapshot_received`.
        if kind == MessageType::MsgSnapshot || over || self.comes_early(&message) {
            out.counters.messages_dropped += 1;
            return;
        }
        let sender = ReplicaId(message.from);
        if self.members.node_of(sender) != Some(from) {
            self.strangers.insert(sender, from);
        }
        if message.term > self.raw.raft.term {
            // raft-rs keeps the wish for a snapshot (see `seek_rebuild`) over a change of term, but
            // a new leader may never get to the index it names.
            self.raw.raft.pending_request_snapshot = raft::INVALID_INDEX;
        }
        // An error says that the sender is not known or the message is not for us: both are
        // ordinary after a membership change.
        let _ = self.raw.step(message);
        if kind == MessageType::MsgHeartbeat && self.raw.raft.leader_id == sender.0 {
            self.promised_ticks = out.config.election_ticks;
        }
        self.settle_timeout(&out.config);
    }

    /// Does everything there is to do: proposes, starts reads, handles what raft-rs has ready.
    pub(crate) fn drive(&mut self, out: &mut Out) {
        self.propose_queued(out);
        self.begin_read_round(out);
        loop {
            self.handle_ready(out);
            self.note_role(out);
            if !self.begin_read_round(out) && !self.raw.has_ready() {
                break;
            }
        }
        self.serve_reads(out);
        self.tell_lease(out);
        self.ask_storage(out);
        let settled = self.applied.min(LogIndex(self.raw.raft.raft_log.persisted));
        self.raw.mut_store().trim(settled, out.config.tail_bytes_max);
    }

    /// Messages to this node were lost: pause what is pipelined to it (pitfall 9).
    pub(crate) fn unreachable(&mut self, node: NodeId) -> bool {
        let leads = self.role() == Role::Leader;
        if leads {
            for (replica, at) in self.members.nodes.clone() {
                if at == node && replica != self.replica {
                    self.raw.report_unreachable(replica.0);
                }
            }
        }
        leads
    }

    /// Tells the shell of a lease that is new, longer or gone.
    fn tell_lease(&mut self, out: &mut Out) {
        let until_us = if self.serves() { self.lease_until_us(out) } else { 0 };
        if until_us != self.lease_told_us {
            self.lease_told_us = until_us;
            out.effects.leases.push((self.id, until_us));
        }
    }

    /// Ends what cannot go on after a change of role or term.
    fn note_role(&mut self, out: &mut Out) {
        let leader = self.raw.raft.leader_id;
        if leader != 0 && leader != self.seen_leader {
            self.seen_leader = leader;
            out.counters.leader_changes += 1;
        }
        let now = (self.role(), Term(self.raw.raft.term));
        if now == self.seen {
            return;
        }
        let (before, _) = std::mem::replace(&mut self.seen, now);
        if now.0 == Role::Candidate && before != Role::Candidate {
            out.counters.elections += 1;
        }
        self.lease = Lease::default();
        if before == Role::Leader {
            self.lose_leadership(out);
        }
    }
}

fn raft_config(config: &PollerConfig, replica: ReplicaId, applied: LogIndex) -> Config {
    Config {
        id: replica.0,
        election_tick: config.election_ticks,
        heartbeat_tick: config.heartbeat_ticks,
        min_election_tick: config.election_ticks,
        max_election_tick: DRAW_MAX,
        applied: applied.0,
        max_size_per_msg: config.append_bytes_max,
        max_inflight_msgs: config.inflight_max,
        check_quorum: true,
        pre_vote: true,
        // raft-rs 0.7.0 adds entries to an empty append of the same peer without a look at where
        // that one stands: the peer would take them for later entries than they are.
        batch_append: false,
        // A risen commit index travels with the next append or heartbeat: a message of its own for
        // every commit is a third of all traffic, and followers serve no reads.
        skip_bcast_commit: true,
        read_only_option: ReadOnlyOption::Safe,
        max_uncommitted_size: config.uncommitted_bytes_max,
        max_committed_size_per_ready: config.append_bytes_max * 4,
        ..Config::default()
    }
}
