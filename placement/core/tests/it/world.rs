//! The cluster: nodes, groups, the mail between them and placement, and placement's leader.

use std::collections::BTreeMap;
use std::sync::Arc;

use ringkv_placement_core::command::{Command, CommandResult, Incarnation, Registration};
use ringkv_placement_core::observations::{GroupReport, Observations};
use ringkv_placement_core::reconciler::{Now, Plan, Wanted, plan};
use ringkv_placement_core::state::State;
use ringkv_topology::{
    BootstrapWhen, ClusterId, Epoch, GroupId, NodeId, NodeSecret, ReadMode, ReplicaId, Settings,
    SlotCount, Topology,
};

use crate::checks::{check_state, check_step};
use crate::group::{Around, Homes, Nodes, SimGroup};
use crate::node::SimNode;
use crate::random::Random;

/// Time of one step of the world.
const TICK_MS: u64 = 500;
/// Steps of an earlier leader of placement that may still arrive.
const OLD_STEPS_MAX: usize = 20;

/// How a cluster begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) factor: u8,
    pub(crate) nodes: usize,
    pub(crate) zones: usize,
    pub(crate) slots: u32,
    /// How many nodes of a hundred have twice the capacity.
    pub(crate) large: u64,
}

enum Mail {
    Report { node: NodeId, epoch: Epoch, reports: Vec<GroupReport> },
    Destroy { node: NodeId, replicas: Vec<ReplicaId> },
}

pub(crate) struct World {
    pub(crate) random: Random,
    pub(crate) now_ms: u64,
    pub(crate) shape: Shape,
    pub(crate) state: State,
    pub(crate) nodes: Nodes,
    pub(crate) groups: BTreeMap<GroupId, SimGroup>,
    pub(crate) homes: Homes,
    /// Lost and late messages and steps, in percent.
    pub(crate) trouble: u64,
    pub(crate) last_plan: Plan,
    /// The newest topology, as nodes receive it.
    topology: Option<Arc<Topology>>,
    observations: Observations,
    delivered: BTreeMap<GroupId, GroupReport>,
    mail: Vec<(u64, Mail)>,
    old_steps: Vec<Command>,
    wanted: Wanted,
    next_node: u64,
    registered: usize,
}

impl World {
    /// A bootstrapped cluster in which every group has a leader.
    pub(crate) fn new(seed: u64, shape: Shape) -> Self {
        let settings = Settings {
            slot_count: SlotCount::new(shape.slots).expect("a power of two"),
            replication_factor: shape.factor,
            value_bytes_max: 1 << 20,
            read_mode: ReadMode::ReadIndex,
        };
        let bootstrap_when = BootstrapWhen { nodes: shape.nodes, ..BootstrapWhen::default() };
        let mut world = Self {
            random: Random::new(seed),
            now_ms: 1_000_000,
            shape,
            state: State::default(),
            nodes: Nodes::new(),
            groups: BTreeMap::new(),
            homes: Homes::new(),
            trouble: 0,
            last_plan: Plan::default(),
            topology: None,
            observations: Observations::default(),
            delivered: BTreeMap::new(),
            mail: Vec::new(),
            old_steps: Vec::new(),
            wanted: Wanted { cluster: ClusterId(9), settings, bootstrap_when },
            next_node: 0,
            registered: 0,
        };
        world.observations.leads(world.now_ms);
        world.tick();
        (0..shape.nodes).for_each(|_| world.add_node());
        let set = ringkv_placement_core::command::OperationCommand::SetSetting {
            name: "replace-after".into(),
            value: "10s".into(),
            now_ms: 1,
        };
        world.state.apply(Command::Operation(set));
        world.run_until(200, |world| !world.groups.is_empty()).expect("bootstrapped");
        world
    }

    pub(crate) fn add_node(&mut self) {
        self.next_node += 1;
        self.register(format!("n{}:1", self.next_node));
    }

    /// A process with an empty directory registers. Zones take turns.
    pub(crate) fn register(&mut self, address: String) {
        let zone = format!("z{}", self.registered % self.shape.zones);
        self.registered += 1;
        let capacity = if self.random.chance(self.shape.large) { 200 } else { 100 };
        // The processes that were there are silent by now.
        let before = self.nodes.values().filter(|node| node.address == address);
        let displaces =
            before.map(|node| Incarnation { node: node.id, number: node.incarnation }).collect();
        let incarnation = 1 + self.random.next() / 2;
        let registration = Registration {
            claim: None,
            address: address.clone(),
            zone,
            capacity,
            incarnation,
            starts: 1,
            directory: None,
        };
        let secret = NodeSecret::new([7; 16]);
        let register = Command::Register { registration, secret, displaces };
        match self.apply(register) {
            CommandResult::Registered { node, .. } => {
                self.nodes.insert(node, SimNode::new(node, address, incarnation));
            }
            other => panic!("not registered: {other:?}"),
        }
    }

    /// A new leader of placement knows only what it receives from now on.
    pub(crate) fn change_placement_leader(&mut self) {
        self.observations.follows();
        self.observations.leads(self.now_ms);
        self.delivered.clear();
        self.mail.retain(|(_, mail)| matches!(mail, Mail::Destroy { .. }));
    }

    /// Runs until it holds; returns what does not within this many steps.
    pub(crate) fn run_until(
        &mut self,
        ticks: usize,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<(), String> {
        for _ in 0..ticks {
            if holds(self) {
                return Ok(());
            }
            self.tick();
        }
        Err(format!("blocked by {:?}", self.last_plan.blocked))
    }

    pub(crate) fn tick(&mut self) {
        self.now_ms += TICK_MS;
        self.deliver();
        self.update_nodes();
        self.step_groups();
        self.beat();
        self.plan();
    }

    fn plan(&mut self) {
        if let Some(topology) = self.state.topology() {
            self.observations.retain_known(self.now_ms, topology);
        }
        let now = Now { observed_ms: self.now_ms, wall_ms: self.now_ms };
        self.last_plan = plan(&self.state, &self.observations, &self.wanted, now);
        for step in self.last_plan.steps.clone() {
            if self.random.chance(self.trouble / 2) {
                self.old_steps.push(step);
                self.old_steps.truncate(OLD_STEPS_MAX);
                break;
            }
            check_step(&step, &self.state, &self.delivered);
            let result = self.apply(step.clone());
            assert!(!matches!(result, CommandResult::Refused(_)), "{step:?}: {result:?}");
        }
        if self.random.chance(self.trouble / 4) {
            // An earlier leader of placement proposed it, and nothing has become of it so far.
            if let Some(step) = self.random.pick(&self.old_steps) {
                self.apply(step);
            }
        }
    }

    pub(crate) fn apply(&mut self, command: Command) -> CommandResult {
        let result = self.state.apply(command);
        check_state(&self.state, &mut self.homes);
        let Some(topology) = self.state.topology() else { return result };
        for group in topology.groups.values() {
            let bytes = if self.random.chance(20) { 1 << 30 } else { 1 << 10 };
            self.groups.entry(group.id).or_insert_with(|| {
                let voters = group.voters().map(|voter| voter.id).collect();
                SimGroup::founded(group.id, voters, bytes)
            });
        }
        self.nodes.retain(|id, _| topology.nodes.contains_key(id));
        result
    }

    fn update_nodes(&mut self) {
        let Some(topology) = self.state.topology() else { return };
        let groups = &self.groups;
        let has_begun = |id| groups.get(&id).is_some_and(|group: &SimGroup| group.term > 0);
        if self.topology.as_ref().is_none_or(|known| known.epoch != topology.epoch) {
            self.topology = Some(Arc::new(topology.clone()));
        }
        let Some(topology) = self.topology.clone() else { return };
        for node in self.nodes.values_mut().filter(|node| node.up) {
            let view = node.view.as_ref().map(|view| view.epoch);
            if view != Some(topology.epoch) && !self.random.chance(self.trouble) {
                node.adopt(&topology, has_begun);
            } else if let Some(view) = node.view.clone() {
                // A replica that had to wait for the end of another one.
                node.adopt(&view, has_begun);
            }
        }
    }

    fn step_groups(&mut self) {
        let Self { nodes, homes, random, groups, .. } = self;
        for group in groups.values_mut() {
            group.step(&mut Around { nodes: &mut *nodes, homes, random: &mut *random });
        }
    }

    /// Every node sends a heartbeat each second.
    fn beat(&mut self) {
        for node in self.nodes.values().filter(|node| node.up) {
            let is_due = (self.now_ms / TICK_MS + node.id.0).is_multiple_of(2);
            if !is_due || self.random.chance(self.trouble) {
                continue;
            }
            let reports = node
                .disk
                .iter()
                .map(|(group, disk)| self.groups[group].report(&self.nodes, &self.homes, disk.id));
            let epoch = node.view.as_ref().map_or(Epoch(0), |view| view.epoch);
            let mail = Mail::Report { node: node.id, epoch, reports: reports.collect() };
            let delay = self.random.below(if self.trouble > 0 { 1_500 } else { 400 });
            self.mail.push((self.now_ms + delay as u64, mail));
        }
    }

    fn deliver(&mut self) {
        let now_ms = self.now_ms;
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.mail).into_iter().partition(|(at, _)| *at <= now_ms);
        self.mail = later;
        for (_, mail) in due {
            match mail {
                Mail::Report { node, epoch, reports } => self.reported(node, epoch, reports),
                Mail::Destroy { node, replicas } => {
                    if let Some(node) = self.nodes.get_mut(&node).filter(|node| node.up) {
                        node.destroy(&replicas);
                    }
                }
            }
        }
    }

    fn reported(&mut self, node: NodeId, epoch: Epoch, reports: Vec<GroupReport>) {
        self.observations.reported(self.now_ms, node, epoch, &reports);
        let removed = self.state.removed().filter(|(_, removed)| removed.node == node);
        let replicas: Vec<ReplicaId> = removed.map(|(id, _)| id).collect();
        if !replicas.is_empty() {
            let delay = self.random.below(1_000) as u64;
            self.mail.push((self.now_ms + delay, Mail::Destroy { node, replicas }));
        }
        for report in reports.into_iter().filter(|report| report.leader) {
            let known = self.delivered.get(&report.group);
            if known.is_none_or(|known| known.term <= report.term) {
                self.delivered.insert(report.group, report);
            }
        }
    }
}
