//! The fault schedule of a run: a list that is complete before the run starts, so that a failure
//! can be minimized by leaving faults out.
//!
//! Owns the start, the targets and the duration of each fault; the world executes it.

use std::ops::Range;

use crate::network::Endpoint;
use crate::seed::Stream;
use crate::swarm::{FaultRates, Membership, Swarm};
use crate::time::{MILLISECOND, Micros, SECOND};

/// One fault of the schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) at: Micros,
    pub(crate) lasts: Micros,
    pub(crate) kind: FaultKind,
}

/// The kind of a fault, and its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The processes are killed, lose what was not synced, and restart at the end of the fault.
    Kill { processes: Vec<Endpoint> },
    /// The process transfers its leadership, stops at the end of the fault and restarts at once.
    Stop { process: Endpoint },
    /// The process is paused; its events in that time happen afterwards.
    Pause { process: Endpoint },
    /// Messages on these links are lost.
    Cut { links: Vec<(Endpoint, Endpoint)> },
    /// Messages on these links arrive after the end of the fault.
    Clog { links: Vec<(Endpoint, Endpoint)> },
    /// Log writes take longer by this factor.
    SlowDisk { process: Endpoint, factor: u64 },
    /// The wall clock jumps by this number of milliseconds.
    ClockStep { process: Endpoint, by_ms: i64 },
    /// Every leader on a node transfers its leadership to another node.
    Transfer { from: Endpoint, to: Endpoint },
    /// The process applies its next entries wrongly. Always the same process in a run.
    GoWrong { process: Endpoint },
    /// The replicas of the process receive the message that they have diverged, and are rebuilt.
    /// Always the same process in a run, so that never a majority of a group is affected at once.
    Accuse { process: Endpoint },
    /// A node that was not there at bootstrap starts for the first time.
    Join { process: Endpoint },
    /// The replicas of the node move to others.
    Drain { process: Endpoint },
    /// A node that drains may keep and get replicas again.
    Undrain { process: Endpoint },
    /// The node is killed and starts again with empty disks. Nothing happens while a group still
    /// names a node whose disks are lost: the loss of a majority cannot be healed.
    Wipe { process: Endpoint },
}

impl Fault {
    /// Whether the fault has begun and has not ended.
    pub(crate) fn is_on(&self, now: Micros) -> bool {
        self.at <= now && now <= self.at + self.lasts
    }
}

/// The possible targets. Endpoints are numbered storage nodes, placement replicas, clients.
struct Targets {
    storage: usize,
    processes: usize,
    endpoints: usize,
}

/// Draws the duration and the targets of a fault of one kind.
type Draw = fn(&Targets, &mut Stream) -> (Micros, FaultKind);

/// Draws the schedule of a run, in order of time. Faults may overlap.
pub(crate) fn schedule(swarm: &Swarm, start: Micros, rng: &mut Stream) -> Vec<Fault> {
    let processes = swarm.storage_nodes + swarm.placement_replicas;
    let targets =
        Targets { storage: swarm.storage_nodes, processes, endpoints: processes + swarm.clients };
    let FaultRates {
        kill,
        kill_all,
        stop,
        pause,
        cut,
        clog,
        slow_disk,
        clock_step,
        transfer,
        accuse,
        go_wrong,
        flap,
    } = swarm.faults.clone();
    let kinds: [(Option<Micros>, Draw); 9] = [
        (kill, draw_kill),
        (kill_all, draw_kill_all),
        (stop, draw_stop),
        (pause, draw_pause),
        (cut, draw_cut),
        (clog, draw_clog),
        (slow_disk, draw_slow_disk),
        (clock_step, draw_clock_step),
        (transfer, draw_transfer),
    ];
    let run = start..start + swarm.busy;
    let mut faults = Vec::new();
    for (mean, draw) in kinds {
        now_and_then(mean, &run, rng, |at, rng| {
            let (lasts, kind) = draw(&targets, rng);
            faults.push(Fault { at, lasts, kind });
        });
    }
    now_and_then(flap, &run, rng, |at, rng| faults.extend(draw_flap(at, &targets, rng)));
    let suspect = rng.below(targets.storage);
    for (mean, kind) in [
        (accuse, FaultKind::Accuse { process: suspect }),
        (go_wrong, FaultKind::GoWrong { process: suspect }),
    ] {
        now_and_then(mean, &run, rng, |at, _| {
            faults.push(Fault { at, lasts: 0, kind: kind.clone() });
        });
    }
    if let Some(membership) = &swarm.membership {
        changes_of_shape(membership, swarm, &run, rng, &mut faults);
    }
    faults.sort_by_key(|fault| fault.at);
    faults
}

fn changes_of_shape(
    membership: &Membership,
    swarm: &Swarm,
    run: &Range<Micros>,
    rng: &mut Stream,
    faults: &mut Vec<Fault>,
) {
    for process in swarm.founders()..swarm.storage_nodes {
        let at = rng.between(run.start, run.end);
        faults.push(Fault { at, lasts: 0, kind: FaultKind::Join { process } });
    }
    type Kind = fn(Endpoint) -> FaultKind;
    let kinds: [(Option<Micros>, Kind, Micros); 4] = [
        (membership.drain, |process| FaultKind::Drain { process }, 0),
        (membership.undrain, |process| FaultKind::Undrain { process }, 0),
        (membership.wipe, |process| FaultKind::Wipe { process }, SECOND),
        (membership.away, |process| FaultKind::Kill { processes: vec![process] }, 25 * SECOND),
    ];
    for (mean, kind, lasts_max) in kinds {
        now_and_then(mean, run, rng, |at, rng| {
            let kind = kind(rng.below(swarm.storage_nodes));
            faults.push(Fault { at, lasts: rng.between(lasts_max / 2, lasts_max + 1), kind });
        });
    }
}

/// Draws at random times of the run with this mean distance; `None` means never.
fn now_and_then(
    mean: Option<Micros>,
    run: &Range<Micros>,
    rng: &mut Stream,
    mut draw: impl FnMut(Micros, &mut Stream),
) {
    let Some(mean) = mean else { return };
    let mut at = run.start + rng.between(1, mean * 2);
    while at < run.end {
        draw(at, rng);
        at += rng.between(1, mean * 2);
    }
}

/// The link between two nodes is cut while a third restarts repeatedly: if the third loses its
/// promise to one of them in a restart, the other wins its vote.
fn draw_flap(at: Micros, targets: &Targets, rng: &mut Stream) -> Vec<Fault> {
    let mut nodes: Vec<Endpoint> = (0..targets.storage).collect();
    rng.shuffle(&mut nodes);
    let [a, b, flapping] = nodes[..3] else { unreachable!("there are three nodes at least") };
    let lasts = rng.between(2, 4) * SECOND;
    let mut faults =
        vec![Fault { at, lasts, kind: FaultKind::Cut { links: vec![(a, b), (b, a)] } }];
    let mut next = at + 500 * MILLISECOND;
    while next < at + lasts {
        let down = rng.between(MILLISECOND, 20 * MILLISECOND);
        let kind = FaultKind::Kill { processes: vec![flapping] };
        faults.push(Fault { at: next, lasts: down, kind });
        next += down + rng.between(30 * MILLISECOND, 300 * MILLISECOND);
    }
    faults
}

fn draw_kill(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    let count = if rng.chance(0.8) { 1 } else { 2 };
    let mut all: Vec<Endpoint> = (0..targets.processes).collect();
    rng.shuffle(&mut all);
    (lasts(rng), FaultKind::Kill { processes: all[..count.min(all.len())].to_vec() })
}

fn draw_kill_all(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    (lasts(rng) / 2, FaultKind::Kill { processes: (0..targets.processes).collect() })
}

fn draw_stop(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    let grace = rng.between(MILLISECOND, 600 * MILLISECOND);
    (grace, FaultKind::Stop { process: rng.below(targets.processes) })
}

fn draw_pause(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    (lasts(rng), FaultKind::Pause { process: rng.below(targets.processes) })
}

fn draw_cut(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    (lasts(rng), FaultKind::Cut { links: draw_links(targets, rng) })
}

fn draw_clog(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    (lasts(rng) / 2, FaultKind::Clog { links: draw_links(targets, rng) })
}

fn draw_slow_disk(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    let process = rng.below(targets.processes);
    (lasts(rng), FaultKind::SlowDisk { process, factor: rng.between(5, 100) })
}

fn draw_clock_step(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    // In the range that operators see with NTP; remembered results are kept for longer than this.
    let by_ms = rng.between(0, 4_000) as i64 - 2_000;
    (0, FaultKind::ClockStep { process: rng.below(targets.processes), by_ms })
}

fn draw_transfer(targets: &Targets, rng: &mut Stream) -> (Micros, FaultKind) {
    let from = rng.below(targets.storage);
    let to = (from + 1 + rng.below(targets.storage - 1)) % targets.storage;
    (0, FaultKind::Transfer { from, to })
}

/// Usually about an election timeout, sometimes far longer.
fn lasts(rng: &mut Stream) -> Micros {
    if rng.chance(0.8) {
        rng.between(20 * MILLISECOND, 1_500 * MILLISECOND)
    } else {
        rng.between(1_500 * MILLISECOND, 5 * SECOND)
    }
}

/// The shapes of a broken network: a node isolated, or only unable to receive or to send, a split,
/// one broken pair, a chain.
fn draw_links(targets: &Targets, rng: &mut Stream) -> Vec<(Endpoint, Endpoint)> {
    let lone = rng.below(targets.processes);
    // In half of the cases links to clients are spared: clients are behind their own switch.
    let reach = if rng.chance(0.5) { targets.processes } else { targets.endpoints };
    let others = |of: Endpoint| (0..reach).filter(move |other| *other != of);
    match rng.below(6) {
        0 => others(lone).flat_map(|other| [(lone, other), (other, lone)]).collect(),
        1 => others(lone).map(|other| (other, lone)).collect(),
        2 => others(lone).map(|other| (lone, other)).collect(),
        3 => {
            let side: Vec<bool> = (0..reach).map(|_| rng.chance(0.5)).collect();
            pairs(reach).filter(|(a, b)| side[*a] != side[*b]).collect()
        }
        4 => {
            let other = (lone + 1 + rng.below(targets.processes - 1)) % targets.processes;
            vec![(lone, other), (other, lone)]
        }
        _ => pairs(targets.storage).filter(|(a, b)| !matches!(a.abs_diff(*b), 0 | 1)).collect(),
    }
}

fn pairs(count: usize) -> impl Iterator<Item = (Endpoint, Endpoint)> {
    (0..count).flat_map(move |a| (0..count).map(move |b| (a, b))).filter(|(a, b)| a != b)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Seed;

    #[test]
    fn the_schedule_is_a_function_of_the_seed_and_ordered() {
        let draw = |seed| {
            let swarm = Swarm::draw(&mut Seed(seed).stream("swarm", 0));
            schedule(&swarm, SECOND, &mut Seed(seed).stream("faults", 0))
        };
        let mut with_faults = 0;
        for seed in 0..100 {
            let faults = draw(seed);
            assert_eq!(faults, draw(seed));
            assert!(faults.is_sorted_by_key(|fault| fault.at));
            with_faults += usize::from(!faults.is_empty());
        }
        assert!(with_faults > 90, "{with_faults} of 100 runs have faults");
    }

    #[test]
    fn every_kind_of_fault_is_drawn() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let swarm = Swarm::draw(&mut Seed(seed).stream("swarm", 0));
            for fault in schedule(&swarm, 0, &mut Seed(seed).stream("faults", 0)) {
                let debug = format!("{:?}", fault.kind);
                seen.insert(debug.split(' ').next().unwrap_or_default().to_owned());
            }
        }
        assert_eq!(seen.len(), 14, "{seen:?}");
    }
}
