//! Random starts, copies, old copies, wrong secrets, moves and changes of leader: at every moment
//! at most one process is accepted as a node, it is never an older copy, and it stays accepted
//! while it runs and sends heartbeats.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ringkv_topology::{ClusterId, NodeSecret};

use super::*;
use crate::command::Sender;
use crate::command::{Claim, Refusal};

const DIRECTORIES: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A process starts on a directory, at this address, unless one runs there.
    Start {
        directory: usize,
        address: u8,
    },
    Kill {
        directory: usize,
    },
    /// The contents of one directory replace those of another, as a copy or a restored backup does.
    Copy {
        from: usize,
        to: usize,
    },
    Empty {
        directory: usize,
    },
    /// The process registers; its command is applied after this many more steps.
    Register {
        directory: usize,
        delay: usize,
    },
    /// A caller that knows all but the secret registers.
    Forge {
        directory: usize,
        address: u8,
    },
    Elect,
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let directory = || 0..DIRECTORIES;
    prop_oneof![
        4 => (directory(), 0u8..2)
            .prop_map(|(directory, address)| Step::Start { directory, address }),
        2 => directory().prop_map(|directory| Step::Kill { directory }),
        2 => (directory(), directory()).prop_map(|(from, to)| Step::Copy { from, to }),
        1 => directory().prop_map(|directory| Step::Empty { directory }),
        6 => (directory(), 0usize..6)
            .prop_map(|(directory, delay)| Step::Register { directory, delay }),
        1 => (directory(), 0u8..2)
            .prop_map(|(directory, address)| Step::Forge { directory, address }),
        1 => Just(Step::Elect),
        6 => (0u64..4_000).prop_map(|ms| Step::Wait { ms }),
    ]
}

/// What a node keeps on its disk.
#[derive(Clone, Copy, Default)]
struct Disk {
    identity: Option<Claim>,
    starts: u64,
}

#[derive(Clone)]
struct Process {
    incarnation: u64,
    address: String,
    /// The step at which a heartbeat of it was first accepted.
    heard_at: Option<u64>,
}

/// A command on its way through the log.
#[derive(Clone)]
struct Proposed {
    /// How many more steps that takes.
    delay: usize,
    directory: usize,
    /// The step at which the leader looked at what it had heard.
    decided_at: u64,
    command: Command,
}

#[derive(Default)]
struct Model {
    state: State,
    observations: Observations,
    now_ms: u64,
    led_since_ms: u64,
    disks: [Disk; DIRECTORIES],
    running: [Option<Process>; DIRECTORIES],
    last_number: u64,
    step: u64,
    proposed: Vec<Proposed>,
    /// The highest start that was ever accepted for a node, and its process.
    highest: BTreeMap<NodeId, (u64, u64)>,
}

impl Model {
    fn registration(&self, directory: usize) -> Option<Registration> {
        let process = self.running[directory].as_ref()?;
        let disk = self.disks[directory];
        Some(Registration {
            claim: disk.identity,
            address: process.address.clone(),
            zone: String::new(),
            capacity: 100,
            incarnation: process.incarnation,
            starts: disk.starts,
            directory: Some(directory as u64),
        })
    }

    fn propose(&mut self, directory: usize, delay: usize) {
        let Some(registration) = self.registration(directory) else { return };
        let hearing = Hearing {
            observations: &self.observations,
            now_ms: self.now_ms,
            led_ms: self.now_ms - self.led_since_ms,
        };
        if let Ok(displaces) = displaced(&self.state, &registration, hearing) {
            self.last_number += 1;
            let mut secret = [0; 16];
            secret[..8].copy_from_slice(&self.last_number.to_le_bytes());
            let secret = NodeSecret::new(secret);
            let command = Command::Register { registration, secret, displaces };
            self.proposed.push(Proposed { delay, directory, decided_at: self.step, command });
        }
    }

    /// The node that accepts the process of a directory.
    fn accepted(&self, directory: usize) -> Option<NodeId> {
        let process = self.running[directory].as_ref()?;
        let claim = self.disks[directory].identity?;
        let Process { incarnation, address, .. } = process.clone();
        let sender = Sender { claim, incarnation, address };
        self.state.check_heartbeat(&sender).ok().map(|()| claim.node)
    }

    /// Applies what is due. Returns the earliest step at which any of it was decided.
    fn apply_due(&mut self) -> u64 {
        let (due, later) = self.proposed.drain(..).partition(|proposed| proposed.delay == 0);
        let due: Vec<Proposed> = due;
        self.proposed = later;
        self.proposed.iter_mut().for_each(|proposed| proposed.delay -= 1);
        let earliest = due.iter().map(|proposed| proposed.decided_at).min();
        for Proposed { directory, command, .. } in due {
            let Command::Register { registration, .. } = command.clone() else { continue };
            let result = self.state.apply(command);
            let caller = self.running[directory].as_ref().map(|process| process.incarnation);
            if caller != Some(registration.incarnation) {
                continue;
            }
            if let CommandResult::Registered { cluster, node, secret: Some(secret), .. } = result {
                self.disks[directory].identity.get_or_insert(Claim { cluster, node, secret });
            }
        }
        earliest.unwrap_or(u64::MAX)
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Start { directory, address } if self.running[directory].is_none() => {
                self.last_number += 1;
                self.disks[directory].starts += 1;
                let (incarnation, address) = (self.last_number, format!("n{address}:1"));
                let heard_at = None;
                self.running[directory] = Some(Process { incarnation, address, heard_at });
            }
            Step::Kill { directory } => self.running[directory] = None,
            Step::Copy { from, to } if from != to => {
                self.running[to] = None;
                self.disks[to] = self.disks[from];
            }
            Step::Empty { directory } => {
                self.running[directory] = None;
                self.disks[directory] = Disk::default();
            }
            Step::Register { directory, delay } => self.propose(directory, delay),
            Step::Forge { directory, address } => {
                let Some(mut forged) = self.registration(directory) else { return };
                let Some(claim) = &mut forged.claim else { return };
                claim.secret = NodeSecret::new([0xff; 16]);
                forged.address = format!("n{address}:1");
                forged.starts += 100;
                let (before, node) = (self.state.clone(), claim.node);
                let secret = NodeSecret::new([0xfe; 16]);
                let command = Command::Register { registration: forged, secret, displaces: vec![] };
                let refused = self.state.apply(command);
                let refusals = [Refusal::WrongSecret { node }, Refusal::NodeRemoved { node }];
                assert!(refusals.map(CommandResult::Refused).contains(&refused), "{refused:?}");
                assert_eq!(self.state, before);
            }
            Step::Elect => {
                self.observations = Observations::default();
                self.led_since_ms = self.now_ms;
            }
            Step::Wait { ms } => {
                self.now_ms += ms;
                self.beat();
            }
            Step::Start { .. } | Step::Copy { .. } => {}
        }
    }

    /// Every process sends a heartbeat; those of the accepted ones count.
    fn beat(&mut self) {
        for directory in 0..DIRECTORIES {
            if let Some(node) = self.accepted(directory) {
                self.observations.heard(self.now_ms, node);
                let process = self.running[directory].as_mut().expect("it is accepted");
                process.heard_at.get_or_insert(self.step);
            }
        }
    }

    fn check(&mut self) {
        let mut serving = BTreeMap::new();
        for directory in 0..DIRECTORIES {
            let Some(node) = self.accepted(directory) else { continue };
            let other = serving.insert(node, directory);
            assert_eq!(other, None, "node {node} is served from {directory} too");
            let starts = self.disks[directory].starts;
            let process = self.running[directory].as_ref().expect("it is accepted").incarnation;
            let highest = self.highest.entry(node).or_insert((0, 0));
            let is_newer = starts > highest.0 || *highest == (starts, process);
            assert!(is_newer, "node {node}: start {starts} after {}", highest.0);
            *highest = (starts, process);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn one_process_is_the_node(steps in prop::collection::vec(step(), 0..200)) {
        let mut model = Model { state: initialized(), ..Model::default() };
        for step in steps {
            let before: Vec<_> = (0..DIRECTORIES).map(|at| serving(&model, at)).collect();
            model.step += 1;
            model.take(step);
            let decided_at = model.apply_due();
            for (directory, serving) in before.into_iter().enumerate() {
                let Some((incarnation, heard_at, node)) = serving else { continue };
                let process = model.running[directory].as_ref();
                let still_runs = process.is_some_and(|now| now.incarnation == incarnation);
                prop_assert!(
                    !still_runs || decided_at <= heard_at || model.accepted(directory) == Some(node),
                    "node {node} was taken from the live process of {directory}"
                );
            }
            model.check();
        }
    }
}

/// The process of a directory, if it is accepted and has been heard from: since when, as which node.
fn serving(model: &Model, directory: usize) -> Option<(u64, u64, NodeId)> {
    let node = model.accepted(directory)?;
    let process = model.running[directory].as_ref()?;
    Some((process.incarnation, process.heard_at?, node))
}

#[test]
fn the_model_reaches_takeovers_and_refusals() {
    let mut model = Model { state: initialized(), ..Model::default() };
    let walk = [
        Step::Start { directory: 0, address: 0 },
        Step::Register { directory: 0, delay: 0 },
        Step::Copy { from: 0, to: 1 },
        Step::Kill { directory: 0 },
        Step::Start { directory: 1, address: 1 },
        Step::Wait { ms: LISTEN_MS },
        Step::Register { directory: 1, delay: 0 },
    ];
    for step in walk {
        model.take(step);
        model.apply_due();
    }
    assert_eq!(model.accepted(1), Some(NodeId(1)), "the copy is the node once the first is gone");
    model.take(Step::Start { directory: 0, address: 0 });
    model.take(Step::Register { directory: 0, delay: 0 });
    model.apply_due();
    let process = model.registration(0).expect("it runs");
    assert_eq!((model.accepted(0), process.starts), (None, 2));
    assert_eq!(model.accepted(1), Some(NodeId(1)));
    assert_eq!(model.state.topology().map(|topology| topology.cluster), Some(ClusterId(9)));
}
