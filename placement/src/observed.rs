//! The observations of this process, with the clock they are measured by, and what its last plan
//! reported as blocked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use ringkv_placement_core::admission::{self, Hearing, Wait};
use ringkv_placement_core::command::{Incarnation, Registration};
use ringkv_placement_core::observations::{GroupReport, Observations};
use ringkv_placement_core::reconciler::{Blocker, Now, Plan, Wanted, plan};
use ringkv_placement_core::state::State;
use ringkv_topology::{Epoch, GroupId, NodeId, Topology};
use tokio::sync::Notify;

/// Observations shared by the service, the feed and the leader's loop.
pub(crate) struct Observed {
    began: Instant,
    observations: Mutex<Observations>,
    blocked: Mutex<Vec<Blocker>>,
    heartbeats: AtomicU64,
    news: Notify,
}

impl Observed {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            observations: Mutex::default(),
            blocked: Mutex::default(),
            heartbeats: AtomicU64::new(0),
            news: Notify::new(),
        }
    }

    /// The processes that a registration may displace, after `led` as the leader.
    pub(crate) fn displaced(
        &self,
        state: &State,
        registration: &Registration,
        led: Duration,
    ) -> Result<Vec<Incarnation>, Wait> {
        let (observations, now_ms) = (&*self.observations.lock(), self.now_ms());
        let led_ms = u64::try_from(led.as_millis()).unwrap_or(u64::MAX);
        admission::displaced(state, registration, Hearing { observations, now_ms, led_ms })
    }

    /// A node's heartbeat, sent when it knew the topology of an epoch.
    pub(crate) fn reported(&self, node: NodeId, epoch: Epoch, reports: &[GroupReport]) {
        self.heartbeats.fetch_add(1, Ordering::Relaxed);
        self.observations.lock().reported(self.now_ms(), node, epoch, reports);
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

    /// Plans the next steps of the leader. Heartbeats wait for the moment that this takes.
    pub(crate) fn plan(&self, state: &State, wanted: &Wanted) -> Plan {
        let now = Now { observed_ms: self.now_ms(), wall_ms: wall_ms() };
        let mut observations = self.observations.lock();
        observations.leads(now.observed_ms);
        if let Some(topology) = state.topology() {
            observations.retain_known(now.observed_ms, topology);
        }
        let plan = plan(state, &observations, wanted, now);
        self.blocked.lock().clone_from(&plan.blocked);
        plan
    }

    /// This replica does not lead.
    pub(crate) fn follows(&self) {
        self.observations.lock().follows();
        self.blocked.lock().clear();
    }

    /// What the last plan reported as blocked; empty unless this replica leads.
    pub(crate) fn blocked(&self) -> Vec<Blocker> {
        self.blocked.lock().clone()
    }

    /// The nodes that have been silent for so long that their replicas are replaced.
    pub(crate) fn lost(&self, topology: &Topology) -> BTreeSet<NodeId> {
        let replace_after_ms = u64::from(topology.runtime.replace_after_s) * 1_000;
        let (observations, now_ms) = (self.observations.lock(), self.now_ms());
        let silent = |node: &NodeId| observations.silent_ms(now_ms, *node);
        let is_lost = |node: &NodeId| silent(node).is_some_and(|silent| silent >= replace_after_ms);
        topology.nodes.keys().copied().filter(is_lost).collect()
    }

    /// The observations now, and the time by their clock.
    pub(crate) fn look(&self) -> (Observations, u64) {
        let observations = self.observations.lock();
        (observations.clone(), self.now_ms())
    }

    /// Waits until a node has been heard from since the last call. Supports one waiter.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis())
            .expect("a process runs for less than 500 million years")
    }
}

/// Milliseconds since 1970, for people only: nothing is decided by them.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
