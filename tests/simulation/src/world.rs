//! A whole cluster in one thread: processes, network, clients and faults.
//!
//! Owns the event queue and dispatches each event to the part that handles it. Every step is
//! checked before the next one. Endpoints are numbered storage nodes, placement replicas, clients,
//! in this order.

mod clients;
mod control;
mod engine;
mod finish;
mod misfortune;
mod nodes;
mod service;
mod shape;
mod snapshots;
mod states;
mod upkeep;

use std::collections::BTreeMap;

use bytes::Bytes;
use ringkv_consensus::{Fetch, OutgoingSnapshot, SnapshotBuilt};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::coverage::Coverage;
use crate::faults::{Fault, schedule};
use crate::history::{Moment, Operation};
use crate::invariants::{Broken, Invariants};
use crate::network::{Endpoint, Network};
use crate::process::{Process, SnapshotFiles};
use crate::seed::{self, Seed};
use crate::swarm::Swarm;
use crate::time::{Agenda, Micros};
use crate::trace::Trace;
use crate::violation::Violation;

use clients::Client;
use control::{Control, ControlMessage};
use service::{Applied, KvAnswer, KvRequest, Stream};
use states::States;
use upkeep::Upkeep;

/// An event of the world.
pub(crate) enum Event {
    Process {
        process: Endpoint,
        life: u64,
        event: ProcessEvent,
    },
    Frame {
        from: Endpoint,
        to: Endpoint,
        frame: Bytes,
    },
    SnapshotArrives {
        from: Endpoint,
        life: u64,
        to: Endpoint,
        snapshot: OutgoingSnapshot,
        files: SnapshotFiles,
    },
    Request {
        to: Endpoint,
        request: KvRequest,
    },
    Answer {
        client: Endpoint,
        answer: KvAnswer,
    },
    ClientTimer {
        client: Endpoint,
        timer: u64,
    },
    Control {
        from: Endpoint,
        to: Endpoint,
        message: ControlMessage,
    },
    /// A storage node without an identity requests one.
    Errand {
        process: Endpoint,
    },
    Fault(usize),
    FaultOver(usize),
}

/// An event of one run of a process; void after a restart.
pub(crate) enum ProcessEvent {
    Tick,
    Wake,
    Written,
    Worked,
    Flushed,
    Fetched(Fetch),
    Built(GroupId, Option<SnapshotBuilt>),
    Unreachable(NodeId),
    SnapshotSent { group: GroupId, to: ReplicaId, ok: bool },
}

/// The storage nodes' groups, and placement's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Cluster {
    Storage = 0,
    Placement = 1,
}

/// The state of one simulation run.
pub(crate) struct World {
    pub(crate) seed: Seed,
    pub(crate) swarm: Swarm,
    pub(crate) agenda: Agenda<Event>,
    pub(crate) network: Network,
    pub(crate) trace: Trace,
    pub(crate) coverage: Coverage,
    rng: seed::Stream,
    processes: Vec<Process>,
    clients: Vec<Client>,
    control: Control,
    /// Of each process; those of placement stay empty.
    streams: Vec<Stream>,
    /// Of each storage node.
    upkeep: Vec<Upkeep>,
    applied: Applied,
    states: States,
    faults: Vec<Fault>,
    /// No more faults: the cluster must now recover.
    calm: bool,
    invariants: [Invariants; 2],
    histories: BTreeMap<usize, Vec<Operation>>,
    moment: Moment,
}

impl World {
    /// A cluster with empty disks, not started.
    pub(crate) fn new(seed: u64, in_words: bool) -> Self {
        let number = seed;
        let seed = Seed(seed);
        let swarm = Swarm::draw(&mut seed.stream("swarm", 0));
        let network = Network::new(swarm.network.clone(), seed.stream("network", 0));
        let mut rng = seed.stream("world", 0);
        let control = Control::new(&swarm, seed);
        let processes = control.processes(&swarm, &mut rng);
        let first_client = processes.len();
        let clients = (first_client..first_client + swarm.clients)
            .map(|endpoint| Client::new(endpoint, &swarm, seed))
            .collect();
        Self {
            seed,
            agenda: Agenda::new(),
            network,
            trace: Trace::new(number, in_words),
            coverage: Coverage::default(),
            rng,
            upkeep: (0..swarm.storage_nodes).map(|_| Upkeep::default()).collect(),
            streams: processes.iter().map(|_| Stream::new()).collect(),
            processes,
            clients,
            control,
            applied: Applied::default(),
            states: States::default(),
            faults: Vec::new(),
            calm: false,
            invariants: [Invariants::default(), Invariants::default()],
            histories: BTreeMap::new(),
            moment: 0,
            swarm,
        }
    }

    /// Runs from empty disks to the last check.
    ///
    /// # Errors
    /// The first violation.
    pub(crate) fn run(&mut self) -> Result<(), Violation> {
        let result = self.live();
        self.sum_up();
        result
    }

    fn live(&mut self) -> Result<(), Violation> {
        self.bootstrap()?;
        self.faults = schedule(&self.swarm, self.agenda.now(), &mut self.seed.stream("faults", 0));
        for index in 0..self.faults.len() {
            self.agenda.at(self.faults[index].at, Event::Fault(index));
        }
        self.start_clients();
        self.run_until(self.agenda.now() + self.swarm.busy)?;
        self.heal()?;
        self.finish()
    }

    /// Handles events until the given time.
    fn run_until(&mut self, end: Micros) -> Result<(), Violation> {
        while self.agenda.now() < end {
            self.step()?;
        }
        Ok(())
    }

    /// Handles one event.
    fn step(&mut self) -> Result<(), Violation> {
        let event = self.agenda.next().expect("running processes always have a tick planned");
        if let Some(process) = event.process().filter(|at| *at < self.processes.len()) {
            let paused_until = self.processes[process].paused_until;
            if paused_until > self.agenda.now() {
                self.agenda.at(paused_until, event);
                return Ok(());
            }
        }
        self.note(&event);
        match event {
            Event::Process { process, life, event } => {
                let alive = self.processes[process].is_up() && self.processes[process].life == life;
                if alive { self.on_process_event(process, event) } else { Ok(()) }
            }
            Event::Frame { from, to, frame } => {
                let from = self.processes[from].node;
                self.input(to, ringkv_consensus::Input::Frame { from, frame });
                Ok(())
            }
            Event::SnapshotArrives { from, life, to, snapshot, files } => {
                self.on_snapshot((from, life), to, &snapshot, files);
                Ok(())
            }
            Event::Request { to, request } => self.on_request(to, request),
            Event::Answer { client, answer } => self.on_answer(client, answer),
            Event::ClientTimer { client, timer } => self.on_client_timer(client, timer),
            Event::Control { from, to, message } => self.on_control(from, to, message),
            Event::Errand { process } => {
                self.on_errand(process);
                Ok(())
            }
            Event::Fault(index) => self.on_fault(index),
            Event::FaultOver(index) => self.on_fault_over(index),
        }
    }

    /// Adds an event to the trace.
    fn note(&mut self, event: &Event) {
        let now = self.agenda.now();
        let (kind, who, payload): (&str, usize, &[u8]) = match event {
            Event::Process { process, event, .. } => (event.name(), *process, &[]),
            Event::Frame { to, frame, .. } => ("frame", *to, frame),
            Event::SnapshotArrives { to, snapshot, .. } => ("snapshot", *to, &snapshot.manifest),
            Event::Request { to, request } => ("request", *to, request.trace()),
            Event::Answer { client, .. } => ("answer", *client, &[]),
            Event::ClientTimer { client, .. } => ("timer", *client, &[]),
            Event::Control { to, .. } => ("control", *to, &[]),
            Event::Errand { process } => ("errand", *process, &[]),
            Event::Fault(index) => ("fault", *index, &[]),
            Event::FaultOver(index) => ("fault over", *index, &[]),
        };
        self.trace.event(now, kind, who, payload);
    }

    /// Plans an event for the current run of a process.
    fn after(&mut self, delay: Micros, process: Endpoint, event: ProcessEvent) {
        let life = self.processes[process].life;
        self.agenda.after(delay, Event::Process { process, life, event });
    }

    /// Adds a line to the trace, if lines are kept.
    fn say(&mut self, line: impl FnOnce() -> String) {
        self.trace.say(self.agenda.now(), line);
    }

    /// The next time of the histories' clock.
    fn next_moment(&mut self) -> Moment {
        self.moment += 1;
        self.moment
    }

    /// Calls the invariants of a process's cluster.
    fn check(
        &mut self,
        process: Endpoint,
        look: impl FnOnce(&mut Invariants, NodeId) -> Result<(), Broken>,
    ) -> Result<(), Violation> {
        let cluster = self.cluster_of(process);
        let node = self.processes[process].node;
        look(&mut self.invariants[cluster as usize], node).map_err(Violation::broken)
    }

    fn cluster_of(&self, process: Endpoint) -> Cluster {
        if process < self.swarm.storage_nodes { Cluster::Storage } else { Cluster::Placement }
    }
}

impl Event {
    /// The process that must be running for this event.
    fn process(&self) -> Option<Endpoint> {
        match self {
            Self::Process { process, .. } => Some(*process),
            Self::Frame { to, .. }
            | Self::SnapshotArrives { to, .. }
            | Self::Request { to, .. }
            | Self::Control { to, .. } => Some(*to),
            Self::Errand { .. }
            | Self::Answer { .. }
            | Self::ClientTimer { .. }
            | Self::Fault(_)
            | Self::FaultOver(_) => None,
        }
    }
}

impl ProcessEvent {
    fn name(&self) -> &'static str {
        match self {
            Self::Tick => "tick",
            Self::Wake => "wake",
            Self::Written => "written",
            Self::Worked => "worked",
            Self::Flushed => "flushed",
            Self::Fetched(_) => "fetched",
            Self::Built(..) => "built",
            Self::Unreachable(_) => "unreachable",
            Self::SnapshotSent { .. } => "snapshot sent",
        }
    }
}
