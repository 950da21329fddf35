//! The numbers that shape the engine, each with its bound and its reason.

use ringkv_topology::NodeId;

/// Settings of a [`crate::Poller`]. [`PollerConfig::new`] returns the ones that ship.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PollerConfig {
    /// This node.
    pub node: NodeId,
    /// Feeds election timeouts and read ids. Must differ from one run of the process to the
    /// next: a read id of an earlier run would let its late answers confirm a new read.
    pub seed: u64,
    /// Ticks between a leader's heartbeats.
    pub heartbeat_ticks: usize,
    /// Ticks without a leader before an election; each replica draws from `[n, 2n)`.
    pub election_ticks: usize,
    /// How long a confirmed read round lets a leader serve reads without another, microseconds.
    /// Followers promise `election_ticks - 1` whole tick intervals.
    pub lease_us: u64,
    /// A group whose log is this much longer than its last flushed point is flushed and cut.
    pub log_entries_max: u64,
    /// Entries left behind the cut for followers that are a little late.
    pub log_entries_kept: u64,
    /// The same bound in bytes, for large values.
    pub log_bytes_kept: u64,
    /// Log bytes of all groups since the last flush that force the next one.
    pub log_bytes_unflushed_max: u64,
    /// A batch of commands is closed at this size (one larger command is a batch of its own).
    pub entry_bytes_max: usize,
    /// An append to a follower is closed at this size.
    pub append_bytes_max: u64,
    /// Appends under way to one follower before the leader waits.
    pub inflight_max: usize,
    /// Proposed bytes of a group that have not committed before it answers `Busy`.
    pub uncommitted_bytes_max: u64,
    /// Committed bytes of the node that have not been applied before it answers `Busy` as leader
    /// and drops appends as follower.
    pub unapplied_bytes_max: u64,
    /// Applied entries a group keeps in memory, so that followers do not make the leader read the
    /// disk, in bytes.
    pub tail_bytes_max: usize,
    /// A frame to a peer is closed at this size, and another one begun.
    pub frame_bytes_max: usize,
    /// Ticks a built snapshot is kept for another follower to ask for it.
    pub snapshot_ticks_kept: u64,
}

impl PollerConfig {
    /// The settings that ship, for ticks of 50 ms: heartbeats each 100 ms, elections after 500 to
    /// 1,000 ms, so that a stall of a busy two-core machine is no election and a failover still
    /// ends well within 2 s.
    pub fn new(node: NodeId, seed: u64) -> Self {
        Self {
            node,
            seed,
            heartbeat_ticks: 2,
            election_ticks: 10,
            // 400 of the 450 ms promised: right while no two clocks drift apart by 12 %.
            lease_us: 400_000,
            log_entries_max: 10_000,
            log_entries_kept: 1_000,
            log_bytes_kept: 16 << 20,
            log_bytes_unflushed_max: 256 << 20,
            entry_bytes_max: 1 << 20,
            append_bytes_max: 1 << 20,
            inflight_max: 64,
            uncommitted_bytes_max: 64 << 20,
            unapplied_bytes_max: 64 << 20,
            tail_bytes_max: 1 << 20,
            frame_bytes_max: 1 << 20,
            snapshot_ticks_kept: 600,
        }
    }
}
