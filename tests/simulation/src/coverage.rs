//! Counts of what a run exercised. A simulation without elections, compactions or installs proves
//! nothing, so the tests also check the sums over many seeds.

use std::ops::AddAssign;

/// Counts of one run, or sums over many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    pub events: u64,
    pub virtual_seconds: u64,
    pub faults: u64,
    pub starts: u64,
    pub kills: u64,
    pub stops: u64,
    pub pauses: u64,
    pub cuts: u64,
    pub transfers: u64,
    /// Groups whose leadership returned to the preferred node.
    pub returns: u64,
    /// Replicas that received the message that they have diverged.
    pub accusations: u64,
    /// Checksums of replicas' states that placement received.
    pub checkpoints: u64,
    /// Entries applied wrongly, and replies of placement that reported it.
    pub wrong_states: u64,
    pub wrong_states_found: u64,
    /// Nodes that joined, were drained, or lost their disks, and replicas destroyed.
    pub joins: u64,
    pub drains: u64,
    pub wipes: u64,
    pub destroyed: u64,
    pub frames_lost: u64,
    pub frames_duplicated: u64,
    pub elections: u64,
    pub commits: u64,
    pub compactions: u64,
    pub installs: u64,
    pub fetches: u64,
    pub operations: u64,
    /// Operations whose outcome the client received.
    pub answered: u64,
    /// Requests whose deadline passed on a node before the engine had ended them.
    pub late: u64,
    pub unknown: u64,
    pub not_applied: u64,
    /// Writes that a retry found already applied.
    pub repeated: u64,
    pub refused: u64,
    pub reads: u64,
    /// Reads served without the poller.
    pub lease_reads: u64,
}

impl AddAssign for Coverage {
    fn add_assign(&mut self, other: Self) {
        self.events += other.events;
        self.virtual_seconds += other.virtual_seconds;
        self.faults += other.faults;
        self.starts += other.starts;
        self.kills += other.kills;
        self.stops += other.stops;
        self.pauses += other.pauses;
        self.cuts += other.cuts;
        self.transfers += other.transfers;
        self.returns += other.returns;
        self.accusations += other.accusations;
        self.checkpoints += other.checkpoints;
        self.wrong_states += other.wrong_states;
        self.wrong_states_found += other.wrong_states_found;
        self.joins += other.joins;
        self.drains += other.drains;
        self.wipes += other.wipes;
        self.destroyed += other.destroyed;
        self.frames_lost += other.frames_lost;
        self.frames_duplicated += other.frames_duplicated;
        self.elections += other.elections;
        self.commits += other.commits;
        self.compactions += other.compactions;
        self.installs += other.installs;
        self.fetches += other.fetches;
        self.operations += other.operations;
        self.answered += other.answered;
        self.late += other.late;
        self.unknown += other.unknown;
        self.not_applied += other.not_applied;
        self.repeated += other.repeated;
        self.refused += other.refused;
        self.reads += other.reads;
        self.lease_reads += other.lease_reads;
    }
}
