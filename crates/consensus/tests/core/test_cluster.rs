//! A cluster of pollers on one thread: every step is asked for by the test.
//!
//! Each node has the shipped poller, the memory log and a machine that only counts. Frames are
//! delivered in order unless the test cuts a link; a node's log or apply worker can be held, so
//! that a test can look at the moment before an fsync.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use ringkv_consensus::{
    AppliedState, ApplyTask, Completion, Done, Effects, Genesis, GroupStatus, Input, LogReader,
    LogWriter, Members, MembersChange, MemoryLog, Now, OutgoingSnapshot, Poller, PollerConfig,
    ReceivedSnapshot, Request, RequestError, Role, SinkId, SnapshotBuilt, StoredGroup, Ticket,
};
use ringkv_topology::{Epoch, GroupId, NodeId, ReplicaId};

pub(crate) const GROUP: GroupId = GroupId(1);

pub(crate) struct TestCluster {
    pub(crate) nodes: BTreeMap<u64, Node>,
    pub(crate) wire: VecDeque<(NodeId, NodeId, Bytes)>,
    /// Links that lose everything, as (from, to).
    pub(crate) cut: BTreeSet<(u64, u64)>,
    pub(crate) snapshots_fail: bool,
    /// What the clocks of all nodes show; only the test moves it on.
    pub(crate) boot_us: u64,
    /// The snapshot that arrived last, at any node.
    pub(crate) received: Option<ReceivedSnapshot>,
    /// Every frame ever sent, for comparing runs.
    pub(crate) trace: Vec<(u64, u64, Bytes)>,
    next_ticket: u64,
    transfers: u64,
}

pub(crate) struct Node {
    pub(crate) poller: Poller,
    pub(crate) log: MemoryLog,
    /// The state machine: applied state and commands by group.
    pub(crate) machine: BTreeMap<GroupId, (AppliedState, Vec<Bytes>)>,
    /// Batches are written but not reported, and nothing is synced.
    pub(crate) hold_log: bool,
    held_log: VecDeque<ringkv_consensus::LogBatch>,
    /// Tasks wait, so that a test can look at the moment before they are done.
    pub(crate) hold_apply: bool,
    held_apply: VecDeque<ApplyTask>,
    pub(crate) completions: BTreeMap<u64, Result<Done, RequestError>>,
    pub(crate) batches: Vec<ringkv_consensus::LogBatch>,
    pub(crate) builds: u32,
    pub(crate) fetches: u32,
    pub(crate) discards: Vec<String>,
    /// As the poller last reported them.
    pub(crate) leases: BTreeMap<GroupId, u64>,
    snapshots: BTreeMap<String, (AppliedState, Vec<Bytes>)>,
    config: PollerConfig,
}

impl TestCluster {
    /// Nodes 1 to `nodes`, each with a voter of `groups` groups; the replica id is
    /// 100 × group + node.
    pub(crate) fn new(nodes: u64, groups: u64, tune: impl Fn(&mut PollerConfig)) -> Self {
        let mut cluster = Self {
            nodes: BTreeMap::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
            snapshots_fail: false,
            boot_us: 0,
            received: None,
            trace: Vec::new(),
            next_ticket: 0,
            transfers: 0,
        };
        for node in 1..=nodes {
            cluster.add_node(node, &tune);
            for group in 1..=groups {
                let voters = (1..=nodes).map(|n| (replica(group, n), NodeId(n)));
                let genesis = Genesis {
                    group: GroupId(group),
                    replica: replica(group, node),
                    members: Members::of_voters(voters),
                    context: Bytes::new(),
                };
                cluster.input(node, Input::Create(genesis));
            }
        }
        cluster
    }

    pub(crate) fn add_node(&mut self, node: u64, tune: impl Fn(&mut PollerConfig)) {
        let mut config = PollerConfig::new(NodeId(node), node);
        tune(&mut config);
        let log = MemoryLog::new();
        let poller = Poller::new(config.clone(), Vec::new(), Vec::new(), Arc::new(log.clone()));
        let node_state = Node {
            poller: poller.expect("an empty node starts"),
            log,
            machine: BTreeMap::new(),
            hold_log: false,
            held_log: VecDeque::new(),
            hold_apply: false,
            held_apply: VecDeque::new(),
            completions: BTreeMap::new(),
            batches: Vec::new(),
            builds: 0,
            fetches: 0,
            discards: Vec::new(),
            leases: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            config,
        };
        self.nodes.insert(node, node_state);
    }

    /// Passes an input to a node and executes the effects.
    pub(crate) fn input(&mut self, node: u64, input: Input) {
        self.turn(node, vec![input]);
    }

    /// Passes inputs to a node in one turn, executes the effects, and passes their results to it
    /// one by one.
    pub(crate) fn turn(&mut self, node: u64, turn: Vec<Input>) {
        let mut turns = VecDeque::from([turn]);
        while let Some(turn) = turns.pop_front() {
            let state = self.nodes.get_mut(&node).expect("the node runs");
            let effects = state.poller.handle(Now { wall_ms: 0, boot_us: self.boot_us }, turn);
            let mut inputs = VecDeque::new();
            let (frames, sends) = state.obey(effects, &mut inputs);
            for (to, frame) in frames {
                self.trace.push((node, to.0, frame.clone()));
                self.wire.push_back((NodeId(node), to, frame));
            }
            for send in sends {
                let ok = self.transfer(node, &send);
                inputs.push_back(Input::SnapshotSent {
                    group: send.group,
                    to: send.to_replica,
                    ok,
                });
            }
            turns.extend(inputs.into_iter().map(|input| vec![input]));
        }
    }

    fn transfer(&mut self, from: u64, send: &OutgoingSnapshot) -> bool {
        let blocked = self.cut.contains(&(from, send.to_node.0)) || self.snapshots_fail;
        if blocked || !self.nodes.contains_key(&send.to_node.0) {
            return false;
        }
        let (applied, commands) = self.nodes[&from].snapshots[&send.id].clone();
        self.transfers += 1;
        let id = format!("from-{from}-{}-{}", send.id, self.transfers);
        let to = self.nodes.get_mut(&send.to_node.0).expect("just seen");
        to.snapshots.insert(id.clone(), (applied.clone(), commands));
        let received = ReceivedSnapshot {
            group: send.group,
            from: NodeId(from),
            id,
            manifest: send.manifest.clone(),
            message: send.message.clone(),
            applied,
        };
        self.received = Some(received.clone());
        self.input(send.to_node.0, Input::SnapshotReceived(received));
        true
    }

    /// Delivers frames until none is under way.
    pub(crate) fn settle(&mut self) {
        assert!(self.settle_all_but(0).is_empty(), "nodes count from 1");
    }

    /// The same, but returns those for `node`.
    pub(crate) fn settle_all_but(&mut self, node: u64) -> Vec<Input> {
        let mut kept = Vec::new();
        while let Some((from, to, frame)) = self.wire.pop_front() {
            if self.cut.contains(&(from.0, to.0)) || !self.nodes.contains_key(&to.0) {
                continue;
            }
            let input = Input::Frame { from, frame };
            if to.0 == node { kept.push(input) } else { self.input(to.0, input) }
        }
        kept
    }

    /// Delivers what is under way on one link, and nothing that follows from it.
    pub(crate) fn deliver(&mut self, from: u64, to: u64) {
        let (now, later): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.wire)
            .into_iter()
            .partition(|(f, t, _)| (f.0, t.0) == (from, to));
        self.wire = later;
        for (from, to, frame) in now {
            self.input(to.0, Input::Frame { from, frame });
        }
    }

    /// Delivers the next frame; returns whether there was one.
    pub(crate) fn deliver_next(&mut self) -> bool {
        let Some((from, to, frame)) = self.wire.pop_front() else { return false };
        if !self.cut.contains(&(from.0, to.0)) && self.nodes.contains_key(&to.0) {
            self.input(to.0, Input::Frame { from, frame });
        }
        true
    }

    /// Ticks every node `ticks` times, delivering everything in between.
    pub(crate) fn run(&mut self, ticks: usize) {
        for _ in 0..ticks {
            for node in self.nodes.keys().copied().collect::<Vec<_>>() {
                self.input(node, Input::Tick);
            }
            self.settle();
        }
    }

    /// Runs until some node leads `group` and has committed in its term; returns the node.
    pub(crate) fn elect(&mut self, group: GroupId) -> u64 {
        for _ in 0..100 {
            self.run(1);
            let leader = self.leaders(group);
            if let [leader] = leader[..] {
                self.run(2);
                return leader;
            }
        }
        panic!("no leader of group {group} in 100 ticks");
    }

    pub(crate) fn leaders(&self, group: GroupId) -> Vec<u64> {
        let leads = |n: &u64| self.status(*n, group).is_some_and(|s| s.role == Role::Leader);
        self.nodes.keys().copied().filter(leads).collect()
    }

    pub(crate) fn status(&self, node: u64, group: GroupId) -> Option<GroupStatus> {
        self.nodes[&node].poller.status().into_iter().find(|s| s.group == group)
    }

    /// Asks a node to replicate a command; returns the ticket.
    pub(crate) fn propose(&mut self, node: u64, group: GroupId, command: impl Into<Bytes>) -> u64 {
        let ticket = self.ticket();
        let command = command.into();
        self.input(node, Input::Request(Request::Propose { group, command, ticket }));
        ticket.id
    }

    pub(crate) fn read(&mut self, node: u64, group: GroupId) -> u64 {
        let ticket = self.ticket();
        self.input(node, Input::Request(Request::Read { group, ticket }));
        ticket.id
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket { sink: SinkId(1), id: self.next_ticket }
    }

    pub(crate) fn result(&self, node: u64, ticket: u64) -> Option<Result<Done, RequestError>> {
        self.nodes[&node].completions.get(&ticket).cloned()
    }

    pub(crate) fn commands(&self, node: u64, group: GroupId) -> Vec<Bytes> {
        self.nodes[&node].machine.get(&group).map(|(_, c)| c.clone()).unwrap_or_default()
    }

    /// Reports everything a held log has written, as synced.
    pub(crate) fn release_log(&mut self, node: u64) {
        let state = self.nodes.get_mut(&node).expect("the node runs");
        state.hold_log = false;
        while let Some(batch) = self.nodes.get_mut(&node).and_then(|n| n.held_log.pop_front()) {
            let state = self.nodes.get_mut(&node).expect("the node runs");
            state.log.write(&batch).expect("a valid batch");
            self.input(node, Input::Persisted { number: batch.number });
        }
    }

    /// Does what a held apply worker has left.
    pub(crate) fn release_apply(&mut self, node: u64) {
        // What follows from it comes last.
        while let Some(task) = self.node(node).held_apply.pop_front() {
            if let Some(input) = self.node(node).apply(task) {
                self.input(node, input);
            }
        }
        self.node(node).hold_apply = false;
    }

    /// Creates a replica on a node.
    pub(crate) fn create(&mut self, node: u64, replica: ReplicaId, members: Members) {
        let genesis = Genesis { group: GROUP, replica, members, context: Bytes::new() };
        self.input(node, Input::Create(genesis));
    }

    /// An empty replica on a new node, as a node sets it up that is to be brought into the group.
    pub(crate) fn newcomer(&mut self, node: u64) {
        self.add_node(node, |_| ());
        self.create(node, replica(1, node), Members::default());
    }

    /// Asks a node for a change of members; returns the ticket.
    pub(crate) fn change(&mut self, node: u64, change: MembersChange) -> u64 {
        let ticket = self.ticket();
        let request = Request::ChangeMembers { group: GROUP, change, ticket };
        self.input(node, Input::Request(request));
        ticket.id
    }

    /// The members as a node's replica knows them.
    pub(crate) fn members(&self, node: u64) -> Arc<Members> {
        self.status(node, GROUP).expect("has a replica").members
    }

    pub(crate) fn node(&mut self, node: u64) -> &mut Node {
        self.nodes.get_mut(&node).expect("the node runs")
    }

    /// Stops a node, losing what was not synced; its state machine falls back to `applied`.
    pub(crate) fn crash(&mut self, node: u64) -> Node {
        let state = self.nodes.remove(&node).expect("the node runs");
        state.log.crash(0);
        self.wire.retain(|(from, to, _)| from.0 != node && to.0 != node);
        state
    }

    /// Starts a stopped node from its log and machine, and finishes what was half done.
    pub(crate) fn restart(&mut self, node: u64, mut state: Node) {
        state.config.seed += 1_000;
        let stored = state.log.load().expect("a readable log");
        for StoredGroup { genesis, install, .. } in &stored {
            let is_missing = !state.machine.contains_key(&genesis.group);
            if let Some(marker) = install {
                let files = state.snapshots[&marker.snapshot_id].clone();
                state.machine.insert(genesis.group, files);
            } else if is_missing && !genesis.is_joining() {
                state.machine.insert(genesis.group, (genesis.applied(), Vec::new()));
            }
        }
        let applied = state.machine.iter().map(|(g, (a, _))| (*g, a.clone())).collect();
        let reader = Arc::new(state.log.clone());
        state.poller = Poller::new(state.config.clone(), stored, applied, reader)
            .expect("log and machine belong together");
        state.held_log.clear();
        state.held_apply.clear();
        (state.hold_log, state.hold_apply) = (false, false);
        self.nodes.insert(node, state);
    }
}

type Outgoing = (Vec<(NodeId, Bytes)>, Vec<OutgoingSnapshot>);

impl Node {
    /// What a held apply worker has not done.
    pub(crate) fn held_tasks(&self) -> impl Iterator<Item = &ApplyTask> {
        self.held_apply.iter()
    }

    fn obey(&mut self, effects: Effects, inputs: &mut VecDeque<Input>) -> Outgoing {
        self.leases.extend(effects.leases);
        if let Some(batch) = effects.log {
            self.batches.push(batch.clone());
            if self.hold_log {
                self.held_log.push_back(batch);
            } else {
                self.log.write(&batch).expect("a valid batch");
                inputs.push_back(Input::Persisted { number: batch.number });
            }
        }
        for task in effects.apply {
            if self.hold_apply {
                self.held_apply.push_back(task);
            } else {
                inputs.extend(self.apply(task));
            }
        }
        for (_, completions) in effects.completions {
            for Completion { id, result, .. } in completions {
                assert!(self.completions.insert(id, result).is_none(), "one completion a request");
            }
        }
        for fetch in effects.fetch {
            self.fetches += 1;
            let entries = self.log.entries(fetch.group, fetch.from, fetch.to, fetch.bytes_max);
            inputs.push_back(Input::Fetched { entries: entries.unwrap_or_default(), fetch });
        }
        for group in effects.build {
            self.builds += 1;
            let id = format!("{}", self.builds);
            let (applied, commands) = self.machine[&group].clone();
            self.snapshots.insert(id.clone(), (applied.clone(), commands));
            let built = SnapshotBuilt { id, applied, manifest: Bytes::new() };
            inputs.push_back(Input::SnapshotBuilt { group, built: Some(built) });
        }
        for (_, id) in effects.discard {
            self.snapshots.remove(&id);
            self.discards.push(id);
        }
        if effects.flush {
            let durable = self.machine.iter().map(|(g, (a, _))| (*g, a.position.index)).collect();
            inputs.push_back(Input::Flushed(durable));
        }
        (effects.frames, effects.send)
    }

    fn apply(&mut self, task: ApplyTask) -> Option<Input> {
        match task {
            ApplyTask::Create(genesis) => {
                self.machine.insert(genesis.group, (genesis.applied(), Vec::new()));
                None
            }
            ApplyTask::Batch(batch) => {
                let (applied, commands) = self.machine.get_mut(&batch.group).expect("created");
                for entry in batch.entries {
                    assert!(entry.index > applied.position.index, "applied twice");
                    let packed: Vec<Bytes> = entry
                        .commands
                        .iter()
                        .flat_map(|p| p.commands().collect::<Vec<_>>())
                        .collect();
                    for (ticket, command) in entry.tickets.iter().zip(&packed) {
                        let done = Ok(Done::Applied(command.clone()));
                        let before = self.completions.insert(ticket.id, done);
                        assert!(before.is_none(), "one completion a request");
                    }
                    commands.extend(packed);
                }
                *applied = batch.after.clone();
                Some(Input::Applied(vec![(batch.group, batch.after)]))
            }
            ApplyTask::Install(received) => {
                self.machine.insert(received.group, self.snapshots[&received.id].clone());
                Some(Input::Installed { group: received.group })
            }
            ApplyTask::Destroy(group) => {
                self.machine.remove(&group);
                Some(Input::Destroyed { group })
            }
        }
    }
}

pub(crate) fn replica(group: u64, node: u64) -> ReplicaId {
    ReplicaId(100 * group + node)
}

/// A change as of `epoch`, of the replicas of `GROUP` on the nodes named.
pub(crate) fn members_change(
    epoch: u64,
    voters: &[u64],
    learners: &[u64],
    remove: &[u64],
) -> MembersChange {
    let added = |nodes: &[u64]| nodes.iter().map(|n| (replica(1, *n), NodeId(*n))).collect();
    MembersChange {
        add_voters: added(voters),
        add_learners: added(learners),
        remove: remove.iter().map(|n| replica(1, *n)).collect(),
        epoch: Epoch(epoch),
    }
}
