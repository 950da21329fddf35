//! One Raft group's replica on this node: raft-rs and everything that must happen around it.
//!
//! Composes the parts, each of which owns its own rules: proposals, reads, the lease, elections, the
//! apply cursor, compaction, snapshots, held messages, the log tail. Driven by the poller only.
//! Invariants: I-1 (no acknowledgement or vote leaves before its log batch is durable, in order),
//! I-2 (entries are applied once, in order), I-4 (a read is served only past its read point).
//! The ten pitfalls of raft-rs that shape this folder are tested in `tests/core/pitfalls.rs`.

mod apply;
mod elections;
mod members;
mod persist;
mod requests;
mod snapshots;
mod status;

use std::sync::Arc;

use raft::eraftpb::{Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::core::activity::Activity;
use crate::core::apply_cursor::ApplyCursor;
use crate::core::compaction::Compaction;
use crate::core::config::PollerConfig;
use crate::core::destroyed::Unfinished;
use crate::core::elections::{DRAW_MAX, Elections};
use crate::core::held_messages::HeldMessages;
use crate::core::lease::Lease;
use crate::core::log_tail::LogTail;
use crate::core::out::Out;
use crate::core::proposals::Proposals;
use crate::core::reads::Reads;
use crate::core::reported_members::ReportedMembers;
use crate::core::snapshots::Snapshots;
use crate::core::start_error::StartError;
use crate::core::unknown_peers::UnknownPeers;
use crate::core::wire;
use crate::log_store::{LogReader, StoredGroup};
use crate::machine::AppliedState;
use crate::members::Members;
use crate::position::{LogIndex, Term};
use crate::types::{RequestError, Role};

/// A replica and its parts.
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) replica: ReplicaId,
    /// In the poller's list of groups to drive.
    pub(crate) dirty: bool,
    raw: RawNode<LogTail>,
    /// As of the last entry sent to the apply worker.
    members: Arc<Members>,
    reported: ReportedMembers,
    unknown_peers: UnknownPeers,
    proposals: Proposals,
    reads: Reads,
    lease: Lease,
    elections: Elections,
    activity: Activity,
    cursor: ApplyCursor,
    compaction: Compaction,
    snapshots: Snapshots,
    held: HeldMessages,
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
        let at = applied.position.index;
        if at < start.index || at > last {
            return Err(StartError::Position { group: id, applied: at, start, last });
        }
        // A hard state may be older than what was applied by it (pitfall 5).
        let commit = stored.hard_state.commit.max(at);
        let conf = wire::conf_state(&applied.members);
        let tail = LogTail::new(stored, commit, conf, reader);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&raft_config(config, replica, at), tail, &logger)
            .map_err(|source| StartError::Raft { group: id, source: Box::new(source) })?;
        let members = Arc::new(applied.members.clone());
        let mut group = Self {
            id,
            replica,
            dirty: true,
            raw,
            reported: ReportedMembers::new(Arc::clone(&members)),
            members,
            unknown_peers: UnknownPeers::default(),
            proposals: Proposals::default(),
            reads: Reads::new(config.seed),
            lease: Lease::default(),
            elections: Elections::new(config.seed, replica, stored.hard_state.term),
            activity: Activity::new(config.election_ticks),
            cursor: ApplyCursor::new(id, applied.position),
            compaction: Compaction::new(at),
            snapshots: Snapshots::default(),
            held: HeldMessages::default(),
        };
        group.settle_timeout(config);
        Ok(group)
    }

    /// One tick. Returns whether the group now has something to do.
    pub(crate) fn tick(&mut self, out: &mut Out) -> bool {
        self.elections.tick();
        self.activity.tick();
        if !self.may_stand() {
            // Not by withholding ticks: raft-rs would keep a leader that is gone, and vote for no
            // other replica.
            self.raw.raft.set_randomized_election_timeout(DRAW_MAX - 1);
        }
        if self.snapshots.has_diverged() {
            self.seek_rebuild();
        }
        let busy = self.raw.tick();
        self.settle_timeout(&out.config);
        self.expire_snapshot(&out.config);
        busy || self.reads.wants_round() || self.snapshots.has_retired()
    }

    /// Takes a message from another replica.
    pub(crate) fn step(&mut self, from: NodeId, mut message: Message, out: &mut Out) {
        // Another replica id means a replica that this node had before.
        if message.to != self.replica.0 {
            out.counters.messages_dropped += 1;
            return;
        }
        let kind = message.get_msg_type();
        let append = kind == MessageType::MsgAppend && !message.entries.is_empty();
        // What is committed during an install waits for it: it may fill one half, not all groups' room.
        let part = if self.snapshots.is_installing() { 2 } else { 1 };
        let over = append && out.unapplied_bytes > out.config.unapplied_bytes_max / part;
        // Snapshots come with their files, through `snapshot_received`.
        if kind == MessageType::MsgSnapshot || over || self.is_too_early(&message) {
            out.counters.messages_dropped += 1;
            return;
        }
        let sender = ReplicaId(message.from);
        if self.members.node_of(sender) != Some(from) {
            self.unknown_peers.insert(sender, from);
        }
        self.forget_older_wish(message.term);
        if cfg!(feature = "planted-learner-counts") && kind == MessageType::MsgAppendResponse {
            self.count_for_a_voter(&mut message);
        }
        // An error says that the sender is not known or the message is not for us: both are
        // ordinary after a membership change.
        let answers =
            matches!(kind, MessageType::MsgAppendResponse | MessageType::MsgHeartbeatResponse)
                && message.term == self.raw.raft.term;
        if answers && self.members.node_of(sender).is_some() {
            self.activity.heard(sender);
        }
        let _ = self.raw.step(message);
        if kind == MessageType::MsgHeartbeat && self.raw.raft.leader_id == sender.0 {
            self.elections.promise(&out.config);
        }
        self.settle_timeout(&out.config);
    }

    /// Does everything there is to do: proposes, starts reads, handles what raft-rs has ready.
    pub(crate) fn drive(&mut self, out: &mut Out) {
        self.settle_joint(out);
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
        out.effects
            .discard
            .extend(self.snapshots.take_retired().into_iter().map(|id| (self.id, id)));
        let settled = self.cursor.applied().min(LogIndex(self.raw.raft.raft_log.persisted));
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

    /// The replica is destroyed: ends what waits for it, and returns what is under way for it.
    pub(crate) fn end(mut self, out: &mut Out) -> Unfinished {
        self.end_requests(RequestError::NoGroup, out);
        out.unapplied_bytes -= self.cursor.unapplied_bytes();
        if let Some(until_us) = self.lease.report(0) {
            out.effects.leases.push((self.id, until_us));
        }
        self.withdraw_snapshot();
        self.snapshots.end()
    }

    /// Reports to the shell a lease that is new, longer or gone.
    fn tell_lease(&mut self, out: &mut Out) {
        let until_us = if self.serves() { self.lease_until_us(out) } else { 0 };
        if let Some(until_us) = self.lease.report(until_us) {
            out.effects.leases.push((self.id, until_us));
        }
    }

    /// Ends what cannot go on after a change of role or term.
    fn note_role(&mut self, out: &mut Out) {
        let (role, raft) = (self.role(), &self.raw.raft);
        let seen = self.elections.look(role, Term(raft.term), raft.leader_id);
        out.counters.leader_changes += u64::from(seen.new_leader);
        out.counters.elections += u64::from(seen.began_election);
        if seen.term_ended {
            self.lease.end_term();
            self.activity.clear();
        }
        if seen.lost_leadership {
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
