//! Series of the Raft groups, made from the engine's status when a scrape asks.
//!
//! Per-group series are bounded: groups beyond the first [`GROUPS_MAX`] by id count only in the
//! sums. A group that has left this node leaves the page with it.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};
use ringkv_consensus::{GroupStatus, Handle, Role};

use crate::cluster_view::ClusterView;
use crate::peer_health::PeerHealth;

/// Groups with series of their own: some 2,500 series at three replicas.
const GROUPS_MAX: usize = 256;

/// The collector.
pub(crate) struct GroupSeries {
    /// Held over a scrape, so that another one does not read half of it.
    scrape: Mutex<()>,
    engine: Handle,
    view: Arc<ClusterView>,
    peers: Arc<Mutex<PeerHealth>>,
    lag: IntGaugeVec,
    lag_max: IntGauge,
    health: IntGaugeVec,
    term: IntGaugeVec,
    state: IntGaugeVec,
    log_size: IntGaugeVec,
    committed: IntGaugeVec,
    epoch: GaugeVec,
    groups: IntGaugeVec,
    without_leader: IntGauge,
    under_replicated: IntGauge,
    apply_lag: IntGauge,
    leaders: IntGauge,
}

impl GroupSeries {
    /// Adds the series to the registry.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(
        registry: &Registry,
        engine: Handle,
        view: Arc<ClusterView>,
        peers: Arc<Mutex<PeerHealth>>,
    ) -> prometheus::Result<()> {
        let by = |labels: &[&str], name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), labels)
        };
        registry.register(Box::new(Self {
            scrape: Mutex::new(()),
            engine,
            view,
            peers,
            lag: by(
                &["group", "peer"],
                "raft_replication_lag",
                "Log entries a peer node's replica is behind the leader here.",
            )?,
            lag_max: IntGauge::new(
                "ringkv_raft_log_lag_entries",
                "Largest raft_replication_lag over all groups led here, in log entries.",
            )?,
            health: by(
                &["peer"],
                "raft_node_health",
                "Whether a peer node answers the replicas here: 1 yes, 0 no.",
            )?,
            term: by(&["group"], "raft_term", "Current term of the replica here.")?,
            state: by(
                &["group"],
                "raft_state",
                "Role of the replica here: 0 follower, 1 candidate, 2 leader.",
            )?,
            log_size: by(&["group"], "raft_log_size", "Entries in the log of the replica here.")?,
            committed: by(
                &["group"],
                "raft_committed_index",
                "Index of the last entry known to be committed.",
            )?,
            epoch: GaugeVec::new(
                Opts::new("ringkv_ring_epoch", "Epoch of the newest topology known."),
                &["component"],
            )?,
            groups: by(
                &["state"],
                "ringkv_raft_groups",
                "Groups with a replica here, by its role: follower, candidate or leader.",
            )?,
            without_leader: IntGauge::new(
                "ringkv_raft_groups_without_leader",
                "Groups with a replica here that knows of no leader.",
            )?,
            under_replicated: IntGauge::new(
                "ringkv_raft_groups_under_replicated",
                "Groups led here with a voter that has not answered lately.",
            )?,
            apply_lag: IntGauge::new(
                "ringkv_raft_apply_lag_entries",
                "Largest number of committed log entries not applied yet, over all groups here.",
            )?,
            leaders: IntGauge::new("ringkv_raft_leaders", "Groups led here.")?,
        }))
    }

    fn refresh(&self) {
        let status = self.engine.status();
        for vec in [&self.lag, &self.health, &self.term, &self.state, &self.log_size] {
            vec.reset();
        }
        self.committed.reset();
        for group in status.iter().take(GROUPS_MAX) {
            self.show(group);
        }
        for (node, alive) in self.peers.lock().judged() {
            self.health.with_label_values(&[&node.to_string()]).set(i64::from(alive));
        }
        let lags = status.iter().flat_map(|group| &group.peers).map(|peer| peer.lag_entries);
        self.lag_max.set(gauge(lags.max().unwrap_or(0)));
        for (state, role) in
            [("follower", Role::Follower), ("candidate", Role::Candidate), ("leader", Role::Leader)]
        {
            let groups = status.iter().filter(|group| group.role == role).count();
            self.groups.with_label_values(&[state]).set(gauge(groups as u64));
        }
        let without = status.iter().filter(|group| group.leader.is_none()).count();
        self.without_leader.set(gauge(without as u64));
        let silent = |group: &&GroupStatus| {
            group.peers.iter().any(|peer| peer.voter && !peer.recently_active)
        };
        self.under_replicated.set(gauge(status.iter().filter(silent).count() as u64));
        let behind = |group: &GroupStatus| group.commit_index.saturating_sub(group.applied_index);
        self.apply_lag.set(gauge(status.iter().map(behind).max().unwrap_or(0)));
        let leaders = status.iter().filter(|group| group.role == Role::Leader).count();
        self.leaders.set(gauge(leaders as u64));
        self.epoch.with_label_values(&["storage-node"]).set(self.view.epoch() as f64);
    }

    fn show(&self, status: &GroupStatus) {
        let id = status.group.to_string();
        let group = [id.as_str()];
        self.state.with_label_values(&group).set(status.role.number().into());
        self.term.with_label_values(&group).set(gauge(status.term));
        self.committed.with_label_values(&group).set(gauge(status.commit_index));
        self.log_size.with_label_values(&group).set(gauge(status.log_entries()));
        for peer in &status.peers {
            let labels = [id.as_str(), &peer.node.to_string()];
            self.lag.with_label_values(&labels).set(gauge(peer.lag_entries));
        }
    }

    fn collectors(&self) -> [&dyn Collector; 13] {
        [
            &self.lag,
            &self.lag_max,
            &self.health,
            &self.term,
            &self.state,
            &self.log_size,
            &self.committed,
            &self.epoch,
            &self.groups,
            &self.leaders,
            &self.without_leader,
            &self.under_replicated,
            &self.apply_lag,
        ]
    }
}

impl Collector for GroupSeries {
    fn desc(&self) -> Vec<&Desc> {
        self.collectors().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _scrape = self.scrape.lock();
        self.refresh();
        self.collectors().into_iter().flat_map(Collector::collect).collect()
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
