//! Placement's shell: registrations, bootstrap, heartbeats, and the delivery of the topology to
//! nodes and clients.
//!
//! Drives the shipped placement state, observations and reconciler. What a node keeps in its data
//! directory (identity, last topology) survives its crashes; what placement observes does not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ringkv_consensus::{Completion, Done, Genesis, Input, Members, Request, Role, Ticket};
use ringkv_placement_core::admission::{self, Hearing};
use ringkv_placement_core::command::{Claim, Command, CommandResult, Registration};
use ringkv_placement_core::image::GROUP;
use ringkv_placement_core::observations::Observations;
use ringkv_placement_core::reconciler::{Now, Wanted, plan};
use ringkv_placement_core::requests::{self, Heartbeat};
use ringkv_proto::v1::HeartbeatRequest;
use ringkv_topology::{
    BootstrapWhen, ClusterId, GroupId, NodeId, NodeSecret, ReadMode, ReplicaId, Settings,
    SlotCount, Topology,
};

use super::service::SINK;
use super::upkeep::Upkeep;
use super::{Cluster, Event, World};
use crate::machine::Durable;
use crate::network::Endpoint;
use crate::process::Process;
use crate::seed::{Seed, Stream};
use crate::swarm::Swarm;
use crate::time::{MILLISECOND, Micros, SECOND, TICK};
use crate::violation::Violation;

/// The time limit to bootstrap a cluster in which only the network has faults.
const BOOTSTRAP_MAX: Micros = 120 * SECOND;

/// The messages between nodes, clients and placement.
#[derive(Clone)]
pub(crate) enum ControlMessage {
    Register(Registration),
    Registered(CommandResult),
    Report(HeartbeatRequest),
    Diverged(Vec<GroupId>),
    Removed(Vec<u64>),
    /// A heartbeat of a process that is not registered.
    NotRegistered {
        incarnation: u64,
    },
    AskTopology,
    Topology(Arc<Topology>, Vec<(GroupId, NodeId)>),
}

/// Placement's shells and the nodes' data directories.
pub(super) struct Control {
    wanted: Wanted,
    pub(super) nodes: Vec<DataDirectory>,
    shells: Vec<Shell>,
}

/// What a storage node keeps in addition to its stores, and whether placement knows this run.
#[derive(Default)]
pub(super) struct DataDirectory {
    pub(super) identity: Option<Claim>,
    pub(super) topology: Option<Arc<Topology>>,
    pub(super) confirmed: bool,
    /// Differs at every start, as the number of starts does.
    pub(super) incarnation: u64,
    /// Whether the node has been started for the first time.
    pub(super) present: bool,
    /// How often it has lost its disks.
    pub(super) losses: u64,
}

/// What a placement replica keeps in memory only.
#[derive(Default)]
struct Shell {
    observations: Observations,
    /// Since when it leads without a break, as its ticks found it.
    leads_since: Option<Micros>,
    last_ticket: u64,
    /// Registrations in progress, by ticket.
    waiting: BTreeMap<u64, Endpoint>,
}

impl Control {
    pub(super) fn new(swarm: &Swarm, seed: Seed) -> Self {
        let mut rng = seed.stream("control", 0);
        let factor = *rng.pick(&[3, 3, 3, 5]);
        let founders = swarm.founders();
        let replication_factor = if founders < factor { 3 } else { factor };
        let settings = Settings {
            slot_count: SlotCount::new(*rng.pick(&[2, 4])).expect("a power of two"),
            replication_factor: u8::try_from(replication_factor).expect("3 or 5"),
            value_bytes_max: 1 << 20,
            read_mode: *rng.pick(&[ReadMode::ReadIndex, ReadMode::Lease]),
        };
        let bootstrap_when = BootstrapWhen { nodes: founders, servers: BTreeSet::new() };
        let cluster = ClusterId(rng.between(1, u64::MAX));
        Self {
            wanted: Wanted { cluster, settings, bootstrap_when },
            nodes: (0..swarm.storage_nodes)
                .map(|at| DataDirectory { present: at < founders, ..DataDirectory::default() })
                .collect(),
            shells: (0..swarm.placement_replicas).map(|_| Shell::default()).collect(),
        }
    }

    /// All processes, storage nodes first.
    pub(super) fn processes(&self, swarm: &Swarm, rng: &mut Stream) -> Vec<Process> {
        let mut process = |node: NodeId, disk: Durable| {
            let skew = rng.between(0, swarm.clock_skew_max_ms * 2) as i64;
            let rate = rng.between(0, swarm.clock_rate_max * 2) as i64;
            let rate = rate - swarm.clock_rate_max as i64;
            Process::new(node, &disk, skew - swarm.clock_skew_max_ms as i64, rate)
        };
        // A storage node gets its id when it registers.
        let storage = (0..self.nodes.len()).map(|_| NodeId(0));
        let mut all: Vec<Process> = storage.map(|node| process(node, Durable::kv())).collect();
        let placement = (1..).take(self.shells.len()).map(NodeId);
        all.extend(placement.map(|node| process(node, Durable::placement())));
        all
    }
}

impl World {
    /// Starts the cluster from empty disks and runs until every group has a leader.
    pub(super) fn bootstrap(&mut self) -> Result<(), Violation> {
        for process in self.swarm.storage_nodes..self.processes.len() {
            self.start(process)?;
        }
        for process in 0..self.swarm.founders() {
            self.agenda.after(0, Event::Errand { process });
        }
        let end = self.agenda.now() + BOOTSTRAP_MAX;
        while !self.is_bootstrapped() {
            if self.agenda.now() > end {
                return Err(Violation::broken("the cluster is not bootstrapped in time"));
            }
            self.run_until(self.agenda.now() + TICK)?;
        }
        self.say(|| "BOOTSTRAPPED".to_owned());
        Ok(())
    }

    fn is_bootstrapped(&self) -> bool {
        let mut led = BTreeSet::new();
        for process in 0..self.swarm.storage_nodes {
            let status = self.processes[process].status();
            led.extend(status.iter().filter(|s| s.role == Role::Leader).map(|s| s.group));
        }
        let topology = self.control.nodes.iter().filter_map(|node| node.topology.as_ref()).next();
        topology.is_some_and(|topology| {
            topology.is_bootstrapped() && topology.groups.keys().all(|group| led.contains(group))
        })
    }

    /// The process of a node of a cluster; `None` for a node that has lost its disks.
    pub(super) fn endpoint_of(&self, cluster: Cluster, node: NodeId) -> Option<Endpoint> {
        match cluster {
            Cluster::Placement => {
                let at = usize::try_from(node.0 - 1).expect("placement replicas are few");
                Some(self.swarm.storage_nodes + at)
            }
            Cluster::Storage => {
                let is_it =
                    |data: &DataDirectory| data.identity.is_some_and(|claim| claim.node == node);
                self.control.nodes.iter().position(is_it)
            }
        }
    }

    /// A process has started: placement replicas set up their group, nodes their replicas.
    pub(super) fn on_started(&mut self, process: Endpoint) {
        match self.cluster_of(process) {
            Cluster::Storage => {
                self.control.nodes[process].confirmed = false;
                // The first run began before the node had an id.
                self.control.nodes[process].incarnation = self.processes[process].life - 1;
                self.upkeep[process] = Upkeep::default();
                self.adopt(process);
            }
            Cluster::Placement => {
                let node = self.processes[process].node;
                let replicas = (1..).take(self.control.shells.len());
                let genesis = Genesis {
                    group: GROUP,
                    replica: ReplicaId(node.0),
                    members: Members::of_voters(replicas.map(|id| (ReplicaId(id), NodeId(id)))),
                    context: bytes::Bytes::new(),
                };
                self.input(process, Input::Create(genesis));
                if node == NodeId(1) {
                    self.input(process, Input::Campaign { group: GROUP });
                }
            }
        }
    }

    /// A process was killed: its memory is lost, and callers that wait for it are notified.
    pub(super) fn on_killed(&mut self, process: Endpoint) {
        match self.cluster_of(process) {
            Cluster::Storage => self.break_connections(process),
            Cluster::Placement => {
                let shell = &mut self.control.shells[process - self.swarm.storage_nodes];
                *shell = Shell { last_ticket: shell.last_ticket, ..Shell::default() };
            }
        }
    }

    /// The periodic work of a process in addition to its engine.
    pub(super) fn on_tick(&mut self, process: Endpoint) {
        let flushes = self.swarm.disk.own_flush * TICK as f64 / SECOND as f64;
        if self.rng.chance(flushes) {
            self.flush(process);
        }
        match self.cluster_of(process) {
            Cluster::Storage => self.on_storage_tick(process),
            Cluster::Placement => self.on_placement_tick(process),
        }
    }

    /// The leader plans and proposes.
    fn on_placement_tick(&mut self, process: Endpoint) {
        let leads = |status: &ringkv_consensus::GroupStatus| status.role == Role::Leader;
        let leads = self.processes[process].status().iter().any(leads);
        let shell = process - self.swarm.storage_nodes;
        let since = &mut self.control.shells[shell].leads_since;
        *since = if leads { since.or(Some(self.agenda.now())) } else { None };
        if !self.rng.chance(0.2) {
            return;
        }
        let now_ms = self.agenda.now() / MILLISECOND;
        let Some(state) = self.processes[process].machine.placement_state() else { return };
        let Control { shells, wanted, .. } = &mut self.control;
        let observations = &mut shells[shell].observations;
        if !leads {
            observations.follows();
            return;
        }
        observations.leads(now_ms);
        if let Some(topology) = state.topology() {
            observations.retain_known(now_ms, topology);
        }
        let now = Now { observed_ms: now_ms, wall_ms: now_ms };
        let mut steps = plan(state, observations, wanted, now).steps;
        steps.extend(
            state.topology().into_iter().flat_map(|topology| self.wanted_changes(topology)),
        );
        for step in steps {
            self.propose(process, &step, None);
        }
    }

    pub(super) fn propose(
        &mut self,
        process: Endpoint,
        command: &Command,
        waiting: Option<Endpoint>,
    ) {
        let shell = &mut self.control.shells[process - self.swarm.storage_nodes];
        shell.last_ticket += 1;
        let id = shell.last_ticket;
        if let Some(node) = waiting {
            shell.waiting.insert(id, node);
        }
        let ticket = Ticket { sink: SINK, id };
        let request = Request::Propose { group: GROUP, command: command.encode(), ticket };
        self.input(process, Input::Request(request));
    }

    pub(super) fn on_placement_completions(
        &mut self,
        process: Endpoint,
        completions: Vec<Completion>,
    ) -> Result<(), Violation> {
        let shell = process - self.swarm.storage_nodes;
        for completion in completions {
            let waiting = self.control.shells[shell].waiting.remove(&completion.id);
            // A node that gets no reply sends the request again, possibly to another replica.
            let (Some(node), Ok(Done::Applied(result))) = (waiting, completion.result) else {
                continue;
            };
            let result = CommandResult::decode(&result)
                .map_err(|error| Violation::broken(format!("placement's result: {error}")))?;
            self.send_control(process, node, ControlMessage::Registered(result));
        }
        Ok(())
    }

    pub(super) fn on_control(
        &mut self,
        from: Endpoint,
        to: Endpoint,
        message: ControlMessage,
    ) -> Result<(), Violation> {
        let is_client = to >= self.processes.len();
        match message {
            ControlMessage::Registered(result) => return self.on_registered(to, result),
            ControlMessage::Topology(topology, leaders) if is_client => {
                self.client_topology(to, topology, leaders);
            }
            _ if is_client || !self.processes[to].is_up() => {}
            ControlMessage::Topology(topology, _) => self.node_topology(to, topology),
            ControlMessage::Diverged(groups) => self.diverged(to, groups),
            ControlMessage::Removed(replicas) => self.on_removed(to, &replicas),
            ControlMessage::Report(heartbeat) => return self.on_report(from, to, &heartbeat),
            ControlMessage::NotRegistered { incarnation } => {
                // It registers again; the replica that refused may only be behind.
                let data = &mut self.control.nodes[to];
                data.confirmed &= data.incarnation != incarnation;
            }
            ControlMessage::Register(registration) => self.on_register(from, to, registration),
            ControlMessage::AskTopology => {
                let now_ms = self.agenda.now() / MILLISECOND;
                let shell = to - self.swarm.storage_nodes;
                let leaders = self.control.shells[shell].observations.leaders(now_ms);
                let state = self.processes[to].machine.placement_state();
                if let Some(topology) = state.and_then(|state| state.topology()) {
                    let topology = Arc::new(topology.clone());
                    let leaders = leaders.into_iter().collect();
                    self.send_control(to, from, ControlMessage::Topology(topology, leaders));
                }
            }
        }
        Ok(())
    }

    /// Placement receives a registration. It proposes one that does not have to wait; the node asks
    /// again for the others.
    fn on_register(&mut self, node: Endpoint, placement: Endpoint, registration: Registration) {
        let now = self.agenda.now();
        let shell = &self.control.shells[placement - self.swarm.storage_nodes];
        let hearing = Hearing {
            observations: &shell.observations,
            now_ms: now / MILLISECOND,
            led_ms: shell.leads_since.map_or(0, |since| (now - since) / MILLISECOND),
        };
        let Some(state) = self.processes[placement].machine.placement_state() else { return };
        let Ok(displaces) = admission::displaced(state, &registration, hearing) else { return };
        let secret = NodeSecret::new(u128::from(now).to_le_bytes());
        let command = Command::Register { registration, secret, displaces };
        self.propose(placement, &command, Some(node));
    }

    /// Placement receives a heartbeat, and replies which replicas of the node have a wrong state.
    fn on_report(
        &mut self,
        node: Endpoint,
        placement: Endpoint,
        heartbeat: &HeartbeatRequest,
    ) -> Result<(), Violation> {
        let now_ms = self.agenda.now() / MILLISECOND;
        let Heartbeat { sender, epoch, reports } = requests::heartbeat(heartbeat)
            .map_err(|error| Violation::broken(format!("a heartbeat is refused: {error}")))?;
        let id = sender.claim.node;
        let state = self.processes[placement].machine.placement_state();
        if state.is_none_or(|state| state.check_heartbeat(&sender).is_err()) {
            let incarnation = sender.incarnation;
            self.send_control(placement, node, ControlMessage::NotRegistered { incarnation });
            return Ok(());
        }
        self.coverage.checkpoints +=
            reports.iter().map(|report| report.state_hashes.len() as u64).sum::<u64>();
        let shell = &mut self.control.shells[placement - self.swarm.storage_nodes];
        shell.observations.reported(now_ms, id, epoch, &reports);
        let Some(state) = self.processes[placement].machine.placement_state() else {
            return Ok(());
        };
        let Some(topology) = state.topology().cloned() else { return Ok(()) };
        let removed: Vec<u64> =
            state.removed().filter(|(_, it)| it.node == id).map(|(replica, _)| replica.0).collect();
        let diverged = shell.observations.diverged_groups(&topology, id);
        if !removed.is_empty() {
            self.send_control(placement, node, ControlMessage::Removed(removed));
        }
        self.accused(placement, &topology, id, diverged)
    }

    /// Requests the topology from a random placement replica.
    pub(super) fn ask_topology(&mut self, from: Endpoint) {
        self.tell_placement(from, ControlMessage::AskTopology);
    }

    pub(super) fn tell_placement(&mut self, from: Endpoint, message: ControlMessage) {
        let replica = self.swarm.storage_nodes + self.rng.below(self.control.shells.len());
        self.send_control(from, replica, message);
    }

    pub(super) fn send_control(&mut self, from: Endpoint, to: Endpoint, message: ControlMessage) {
        for at in self.network.pass(self.agenda.now(), from, to).arrivals {
            self.agenda.at(at, Event::Control { from, to, message: message.clone() });
        }
    }
}
