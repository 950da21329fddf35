//! The observations of this process, with the clock they are measured by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use ringkv_placement_core::observations::{GroupReport, Observations};
use ringkv_topology::{GroupId, NodeId, Topology};
use tokio::sync::Notify;

/// Observations shared by the service, the feed and the leader's loop.
pub(crate) struct Observed {
    began: Instant,
    observations: Mutex<Observations>,
    heartbeats: AtomicU64,
    news: Notify,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            observations: Mutex::default(),
            heartbeats: AtomicU64::new(0),
            news: Notify::new(),
        }
    }

    pub(crate) fn heard(&self, node: NodeId) {
        self.observations.lock().heard(self.now_ms(), node);
        self.news.notify_one();
    }

    /// A node's heartbeat.
    pub(crate) fn reported(&self, node: NodeId, reports: &[GroupReport]) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.observations.lock().reported(self.now_ms(), node, reports);
        self.news.notify_one();
    }

    /// Heartbeats heard so far.
    pub(crate) fn heartbeats(&self) -> u64 {
        self.heartbeats.load(Ordering::Relaxed)
    }

    pub(crate) fn alive(&self) -> BTreeSet<NodeId> {
        self.observations.lock().alive(self.now_ms())
    }

    pub(crate) fn leaders(&self) -> BTreeMap<GroupId, NodeId> {
        self.observations.lock().leaders(self.now_ms())
    }

    pub(crate) fn diverged_groups(&self, topology: &Topology, node: NodeId) -> Vec<GroupId> {
        self.observations.lock().diverged_groups(topology, node)
    }

    pub(crate) fn retain_known(&self, topology: &Topology) {
        self.observations.lock().retain_known(topology);
    }

    /// Waits until a node has been heard from since the last call. Supports one waiter.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis())
            .expect("a process runs for less than 500 million years")
    }
}
