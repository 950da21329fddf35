//! The settings of the engine.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ringkv_consensus::PollerConfig;
use ringkv_topology::NodeId;

/// Settings of an [`crate::Engine`]; [`EngineConfig::new`] returns the ones that ship.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    pub poller: PollerConfig,
    /// Real time between ticks.
    pub tick: Duration,
    /// Holds snapshot files on their way out and in; emptied at start.
    pub snapshot_dir: PathBuf,
    /// How many bytes more the file system of a directory takes before the node counts as full.
    /// Asked before a snapshot of another node is taken in.
    pub disk_room: fn(&Path) -> io::Result<u64>,
    /// Requests without a completion yet; more are refused as busy.
    pub requests_max: usize,
    /// Bytes of requests the poller has not seen yet; more are refused as busy.
    pub request_bytes_max: usize,
    /// Bytes of peers' frames the poller has not seen yet; more are dropped and counted.
    pub frame_bytes_max: usize,
}

impl EngineConfig {
    /// The settings that ship, for a disk without bounds. `dir` is the node's data directory; `seed` must differ from one
    /// run of the process to the next (see [`PollerConfig::seed`]).
    pub fn new(node: NodeId, seed: u64, dir: &Path) -> Self {
        Self {
            poller: PollerConfig::new(node, seed),
            tick: Duration::from_millis(50),
            snapshot_dir: dir.join("snapshots"),
            disk_room: |_| Ok(u64::MAX),
            requests_max: 16_384,
            request_bytes_max: 64 << 20,
            frame_bytes_max: 64 << 20,
        }
    }
}
