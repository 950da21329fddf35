//! One Raft group's replica on this node: raft-rs and everything that must happen around it.
//!
//! Owns the group's log tail, the proposals and reads under way, the order of persistence, the
//! hand-over of committed entries, and the life of its snapshots. Driven by the poller only.
//! Invariants: I-1 (no acknowledgement or vote leaves before its log batch is durable, in order),
//! I-2 (entries are handed out once, in order), I-4 (a read is served only past its read point).
//! The ten pitfalls of raft-rs that shape this file are tested in `tests/core/pitfalls.rs`.

mod apply;
mod persist;
mod requests;
mod snapshots;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use raft::eraftpb::{Message, MessageType};
use raft::{Config, RawNode, ReadOnlyOption, StateRole};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use super::lease::Lease;
use super::log_tail::LogTail;
use super::out::Out;
use super::reads::Reads;
use super::{PollerConfig, ReceivedSnapshot, StartError, wire};
use crate::{
    AppliedState, GroupStatus, LogIndex, LogReader, Members, PeerStatus, Role, StoredGroup, Term,
    Ticket,
};

use persist::Unpersisted;
use requests::Proposed;
use snapshots::Installing;

/// raft-rs draws its election timeout from the thread's random source. It is told to draw from a
/// range so wide that a draw is always above every timeout of ours, noticed and replaced (pitfall
/// 10); that one of its draws falls among ours has a chance below 10⁻¹⁷.
const DRAW_MAX: usize = usize::MAX >> 1;

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
    handed: (LogIndex, Term),
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
        if applied.index < start.index || applied.index > last {
            return Err(StartError::Position { group: id, applied: applied.index, start, last });
        }
        // A hard state may be older than what was applied by it (pitfall 5).
        let commit = stored.hard_state.commit.max(applied.index);
        let conf = wire::conf_state(&applied.members);
        let tail = LogTail::new(stored, commit, conf, reader);
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&raft_config(config, replica, applied.index), tail, &logger)
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
            handed: (applied.index, applied.term),
            applied: applied.index,
            applying: VecDeque::new(),
            durable: applied.index,
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

    /// The replica is new, and durable with log batch `batch`. Until then it says nothing that a
    /// lease could count on: a crash would leave no sign that there was a replica.
    pub(crate) fn created(&mut self, batch: u64) {
        self.creation = Some(batch);
    }

    /// Keeps the promise that an earlier life may have given to a leader: no vote for an election
    /// timeout, since a lease may count on this replica. The only voter has no one to wait for.
    pub(crate) fn restarted(&mut self, config: &PollerConfig) {
        if self.members.voters == [self.replica] && self.members.outgoing.is_empty() {
            self.campaign(config);
        } else if !cfg!(feature = "planted-vote-after-restart") {
            self.promised_ticks = config.election_ticks;
        }
    }

    /// Stands for election unless there is a leader.
    pub(crate) fn campaign(&mut self, config: &PollerConfig) {
        let promised = self.promised_ticks > 0;
        let leaderless = self.raw.raft.leader_id == 0;
        if self.may_stand() && !promised && leaderless && self.raw.raft.promotable() {
            // Refused only while a membership change is not applied; the tick will try again.
            let _ = self.raw.campaign();
            self.settle_timeout(config);
        }
    }

    /// Whether an election may begin here. Not on a state that is wrong, nor during an install:
    /// raft-rs looks at the entries that are not applied first, and panics where the snapshot has
    /// taken their place.
    fn may_stand(&self) -> bool {
        self.installing.is_none() && !self.diverged
    }

    /// Takes a message from another replica.
    pub(crate) fn step(&mut self, from: NodeId, message: Message, out: &mut Out) {
        // A message for another replica id is for a life this node no longer leads.
        if message.to != self.replica.0 {
            out.counters.messages_dropped += 1;
            return;
        }
        // Snapshots come with their files, through `snapshot_received`.
        let over = out.unapplied_bytes > out.config.unapplied_bytes_max;
        let kind = message.get_msg_type();
        let append = kind == MessageType::MsgAppend && !message.entries.is_empty();
        let stand = kind == MessageType::MsgTimeoutNow && !self.may_stand();
        let vote = matches!(kind, MessageType::MsgRequestVote | MessageType::MsgRequestPreVote);
        // Who offers leadership has given its lease up, and the offer is void in any later term.
        let offered = message.context == raft::CAMPAIGN_TRANSFER;
        let promised = vote && !offered && self.promised_ticks > 0;
        let promise = kind == MessageType::MsgHeartbeat && self.creation.is_some();
        let early = stand || promised || promise;
        if kind == MessageType::MsgSnapshot || (append && over) || early {
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
        let settled = self.applied.min(self.raw.raft.raft_log.persisted);
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

    /// Hands leadership to the replica on `to`, if this is the leader and that one votes.
    pub(crate) fn transfer_leader(&mut self, to: NodeId) {
        let target = self.members.nodes.iter().find(|(_, node)| **node == to).map(|(r, _)| *r);
        if let Some(target) = target.filter(|r| self.members.voters.contains(r))
            && self.role() == Role::Leader
            && target != self.replica
        {
            self.lease.offer_leadership();
            self.raw.transfer_leader(target.0);
        }
    }

    /// Hands leadership to whoever is furthest along.
    pub(crate) fn abdicate(&mut self) {
        let peers = self.status().peers;
        let best = peers.iter().filter(|p| p.voter && p.recently_active).max_by_key(|p| p.matched);
        if let Some(best) = best {
            self.transfer_leader(best.node);
        }
    }

    pub(crate) fn role(&self) -> Role {
        match self.raw.raft.state {
            StateRole::Leader => Role::Leader,
            StateRole::Follower => Role::Follower,
            StateRole::Candidate | StateRole::PreCandidate => Role::Candidate,
        }
    }

    /// Whether this replica leads and its state can be served.
    fn serves(&self) -> bool {
        self.role() == Role::Leader && !self.diverged
    }

    /// The node of the leader, as far as known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.node_of(ReplicaId(self.raw.raft.leader_id))
    }

    pub(crate) fn status(&self) -> GroupStatus {
        let raft = &self.raw.raft;
        let last_index = self.raw.store().last();
        let mut peers: Vec<PeerStatus> = Vec::new();
        if self.role() == Role::Leader {
            peers.extend(self.members.nodes.iter().filter(|(r, _)| **r != self.replica).map(
                |(replica, node)| {
                    let progress = raft.prs().get(replica.0);
                    let matched = progress.map_or(0, |p| p.matched);
                    PeerStatus {
                        node: *node,
                        replica: *replica,
                        matched,
                        lag_entries: last_index.saturating_sub(matched),
                        recently_active: progress.is_some_and(|p| p.recent_active),
                        voter: self.members.is_voter(*replica),
                    }
                },
            ));
        }
        GroupStatus {
            group: self.id,
            replica: self.replica,
            role: self.role(),
            term: raft.term,
            leader: self.leader(),
            commit_index: raft.raft_log.committed,
            applied_index: self.applied,
            first_index: self.raw.store().start().index + 1,
            last_index,
            peers,
        }
    }

    fn node_of(&self, replica: ReplicaId) -> Option<NodeId> {
        self.members.node_of(replica).or_else(|| self.strangers.get(&replica).copied())
    }

    /// Replaces an election timeout raft-rs has drawn by one of ours.
    fn settle_timeout(&mut self, config: &PollerConfig) {
        if self.raw.raft.randomized_election_timeout() >= 2 * config.election_ticks {
            let span = config.election_ticks as u64;
            let extra = usize::try_from(self.random.next() % span).expect("below election_ticks");
            self.raw.raft.set_randomized_election_timeout(config.election_ticks + extra);
        }
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
        let now = (self.role(), self.raw.raft.term);
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
        applied,
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

/// A small deterministic generator (Steele, Lea, Flood: SplitMix64) for election timeouts.
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
