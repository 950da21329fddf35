//! Receives what the engine did and how long it took: for metrics, of which the engine knows none.

use std::time::Duration;

use ringkv_consensus::EntryTimes;
use ringkv_topology::GroupId;

/// Called on the engine's own threads: must return at once. Every method does nothing by default.
pub trait Observer: Send + Sync + 'static {
    /// The log was written and synced; `bytes` of entries were in the batch.
    fn fsync(&self, _took: Duration, _bytes: usize) {}

    /// The state machine took one write of so many entries with so many commands.
    fn applied(&self, _entries: usize, _commands: usize, _took: Duration) {}

    /// An entry that was proposed here is applied.
    fn entry(&self, _times: &EntryTimes) {}

    /// The poller went through so many inputs in one turn.
    fn turn(&self, _inputs: usize, _took: Duration) {}

    /// A peer's frame of so many bytes was dropped, since too many wait already.
    fn frame_dropped(&self, _bytes: usize) {}

    /// So many requests were rejected, since too many are open already.
    fn rejected(&self, _requests: usize) {}

    /// The state machine's store was made durable.
    fn flushed(&self, _took: Duration) {}

    /// The install thread begins to replace or to remove the state of a group.
    fn install_began(&self, _group: GroupId) {}

    /// The end of what [`Self::install_began`] reported.
    fn install_ended(&self, _group: GroupId, _took: Duration) {}

    /// A snapshot was cut here.
    fn snapshot_built(&self, _group: GroupId, _bytes: u64, _took: Duration) {}

    /// So many bytes of a snapshot have left for another node.
    fn snapshot_bytes_sent(&self, _bytes: u64) {}

    /// A snapshot arrived here whole.
    fn snapshot_received(&self, _group: GroupId, _bytes: u64) {}

    /// A snapshot was refused before any of its data was taken; see [`crate::ReceiveError::reason`].
    fn snapshot_refused(&self, _group: GroupId, _reason: &'static str) {}
}

/// Looks away.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}
