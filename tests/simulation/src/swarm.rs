//! The parameters of a seed's run: its size, its rates, and its kinds of faults.
//!
//! Swarm testing: a run with every fault at once hides bugs that a run with two of them shows, so
//! each seed switches kinds on and off and draws the rates of those that are on.

use crate::network::NetworkRates;
use crate::seed::Stream;
use crate::time::{MILLISECOND, Micros, SECOND};

/// The parameters of one run.
#[derive(Clone, Debug)]
pub(crate) struct Swarm {
    pub(crate) storage_nodes: usize,
    pub(crate) placement_replicas: usize,
    pub(crate) clients: usize,
    pub(crate) keys: usize,
    /// The duration in which clients work and faults occur.
    pub(crate) busy: Micros,
    pub(crate) operations_per_client: usize,
    /// The share of reads among the operations.
    pub(crate) read_share: f64,
    /// A client's longest pause between two operations.
    pub(crate) think_max: Micros,
    pub(crate) network: NetworkRates,
    pub(crate) disk: DiskRates,
    pub(crate) faults: FaultRates,
    /// Probability that streaming or building a snapshot fails.
    pub(crate) snapshot_failure: f64,
    /// The maximum distance of a wall clock from the true time, in either direction.
    pub(crate) clock_skew_max_ms: u64,
    /// How much faster or slower than true time a node's clocks run, in thousandths.
    pub(crate) clock_rate_max: u64,
    /// How long inputs of a node wait so that several are handled together.
    pub(crate) inbox_wait_max: Micros,
    /// How the cluster changes shape; `None` if it does not.
    pub(crate) membership: Option<Membership>,
}

/// Nodes come and go during a run. Mean times over the whole cluster; `None` if the kind is off.
#[derive(Clone, Debug)]
pub(crate) struct Membership {
    /// Storage nodes that are not there at bootstrap.
    pub(crate) spares: usize,
    pub(crate) drain: Option<Micros>,
    pub(crate) undrain: Option<Micros>,
    /// A node is away for longer than it takes to replace it.
    pub(crate) away: Option<Micros>,
    /// A node loses its disk.
    pub(crate) wipe: Option<Micros>,
}

/// The durations of a node's store operations.
#[derive(Clone, Debug)]
pub(crate) struct DiskRates {
    /// A log write with its fsync.
    pub(crate) write: (Micros, Micros),
    /// An apply batch.
    pub(crate) apply: (Micros, Micros),
    /// A flush of the state machine store.
    pub(crate) flush: (Micros, Micros),
    /// Probability that a write takes a hundred times as long.
    pub(crate) stall: f64,
    /// Probability per node and second that the state machine store flushes without a request.
    pub(crate) own_flush: f64,
}

/// Mean time between faults of a kind over the whole cluster; `None` if the kind is off.
#[derive(Clone, Debug)]
pub(crate) struct FaultRates {
    pub(crate) kill: Option<Micros>,
    pub(crate) kill_all: Option<Micros>,
    pub(crate) stop: Option<Micros>,
    pub(crate) pause: Option<Micros>,
    pub(crate) cut: Option<Micros>,
    pub(crate) clog: Option<Micros>,
    pub(crate) slow_disk: Option<Micros>,
    pub(crate) clock_step: Option<Micros>,
    pub(crate) transfer: Option<Micros>,
    /// Replicas of one process are treated as diverged although they are not.
    pub(crate) accuse: Option<Micros>,
    /// The states of one process become wrong.
    pub(crate) go_wrong: Option<Micros>,
    /// A cut between two nodes while a third restarts repeatedly.
    pub(crate) flap: Option<Micros>,
}

impl Swarm {
    /// Draws the parameters of a run.
    pub(crate) fn draw(rng: &mut Stream) -> Self {
        let busy = rng.between(10, 40) * SECOND;
        // With few writes the log of a node that is cut off stays up to date for some time: it
        // could win an election that the others must prevent. Reads continue during all faults and
        // renew leases.
        let few_writes = rng.chance(0.3);
        let mut swarm = Self {
            storage_nodes: 3 + rng.below(3),
            placement_replicas: *rng.pick(&[1, 3, 3]),
            clients: 3 + rng.below(4),
            keys: 4 + rng.below(16),
            busy,
            operations_per_client: if few_writes { 600 } else { 100 + rng.below(500) },
            read_share: if few_writes { 0.98 } else { 0.4 },
            think_max: if few_writes { 150 } else { *rng.pick(&[10, 50, 150]) } * MILLISECOND,
            network: network(rng),
            disk: disk(rng),
            faults: faults(rng, few_writes),
            snapshot_failure: if rng.chance(0.5) { rng.fraction(0.0, 0.5) } else { 0.0 },
            clock_skew_max_ms: *rng.pick(&[0, 50, 2_000]),
            clock_rate_max: *rng.pick(&[0, 1, 50]),
            inbox_wait_max: *rng.pick(&[1, 100, 1_000]),
            membership: None,
        };
        if rng.chance(0.4) {
            swarm.change_shape(membership(rng), rng);
        }
        swarm
    }

    /// Storage nodes that are there at bootstrap.
    pub(crate) fn founders(&self) -> usize {
        self.storage_nodes - self.membership.as_ref().map_or(0, |membership| membership.spares)
    }

    fn change_shape(&mut self, membership: Membership, rng: &mut Stream) {
        self.storage_nodes += membership.spares;
        // To be replaced takes a node ten seconds, and as long until its silence is believed.
        self.busy += rng.between(20, 40) * SECOND;
        // A node with a wrong state and one without a disk would be a majority of three.
        (self.faults.accuse, self.faults.go_wrong) = (None, None);
        self.membership = Some(membership);
    }
}

fn membership(rng: &mut Stream) -> Membership {
    let mut kind = |chance: f64, low: Micros, high: Micros| {
        let mean = rng.between(low, high);
        rng.chance(chance).then_some(mean)
    };
    let drain = kind(0.5, 5 * SECOND, 20 * SECOND);
    let undrain = kind(0.7, 5 * SECOND, 15 * SECOND);
    let away = kind(0.5, 10 * SECOND, 30 * SECOND);
    let wipe = kind(0.6, 5 * SECOND, 20 * SECOND);
    Membership { spares: rng.below(3), drain, undrain, away, wipe }
}

fn network(rng: &mut Stream) -> NetworkRates {
    let low = rng.between(50, 500);
    NetworkRates {
        delay: (low, low + *rng.pick(&[100, 1_000, 10_000])),
        slow: if rng.chance(0.5) { rng.fraction(0.0, 0.05) } else { 0.0 },
        loss: if rng.chance(0.5) { rng.fraction(0.0, 0.3) } else { 0.0 },
        duplication: if rng.chance(0.5) { rng.fraction(0.0, 0.5) } else { 0.0 },
        reorder: rng.chance(0.5),
        told_of_loss: *rng.pick(&[0.0, 0.5, 1.0]),
    }
}

fn disk(rng: &mut Stream) -> DiskRates {
    DiskRates {
        write: (100, *rng.pick(&[500, 2_000, 20_000])),
        apply: (20, *rng.pick(&[50, 500, 5_000])),
        flush: (1_000, *rng.pick(&[5_000, 50_000, 400_000])),
        stall: if rng.chance(0.3) { rng.fraction(0.0, 0.02) } else { 0.0 },
        own_flush: if rng.chance(0.5) { rng.fraction(0.0, 1.0) } else { 0.0 },
    }
}

fn faults(rng: &mut Stream, few_writes: bool) -> FaultRates {
    let mut kind = |chance: f64, low: Micros, high: Micros| {
        let mean = rng.between(low, high);
        rng.chance(chance).then_some(mean)
    };
    let mut rates = FaultRates {
        kill: kind(0.7, SECOND, 5 * SECOND),
        kill_all: kind(0.3, 4 * SECOND, 10 * SECOND),
        stop: kind(0.3, SECOND, 6 * SECOND),
        pause: kind(0.5, SECOND, 6 * SECOND),
        cut: kind(0.7, SECOND, 5 * SECOND),
        clog: kind(0.5, SECOND, 5 * SECOND),
        slow_disk: kind(0.4, SECOND, 6 * SECOND),
        clock_step: kind(0.3, SECOND, 6 * SECOND),
        transfer: kind(0.4, SECOND, 4 * SECOND),
        flap: kind(if few_writes { 0.6 } else { 0.2 }, 5 * SECOND, 15 * SECOND),
        accuse: kind(0.3, SECOND, 6 * SECOND),
        go_wrong: kind(0.4, 2 * SECOND, 6 * SECOND),
    };
    if rates.accuse.is_some() {
        // Both together mark a majority of a group as wrong: it then correctly has no leader.
        rates.go_wrong = None;
    }
    rates
}
