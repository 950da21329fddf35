//! A placement replica's metrics, read from where they are kept when a scrape asks.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, IntGaugeVec, Opts, Registry};
use ringkv_consensus::{GroupStatus, Role};
use ringkv_topology::NodeState;
use tokio::sync::watch;

use crate::observed::Observed;
use crate::replica::Replica;
use crate::state::State;

/// The collector.
pub(crate) struct Metrics {
    /// Held over a scrape, so that another one does not read half of it.
    scrape: Mutex<()>,
    replica: Arc<Replica>,
    state: watch::Receiver<Arc<State>>,
    observed: Arc<Observed>,
    epoch: IntGauge,
    nodes: IntGaugeVec,
    is_leader: IntGauge,
    term: IntGaugeVec,
    role: IntGaugeVec,
    log_size: IntGaugeVec,
    committed: IntGaugeVec,
    lag: IntGaugeVec,
}

impl Metrics {
    /// Adds the series to the registry.
    ///
    /// # Errors
    /// A name is taken in this registry.
    pub(crate) fn register(
        registry: &Registry,
        replica: Arc<Replica>,
        state: watch::Receiver<Arc<State>>,
        observed: Arc<Observed>,
    ) -> prometheus::Result<()> {
        let by = |labels: &[&str], name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), labels)
        };
        registry.register(Box::new(Self {
            scrape: Mutex::new(()),
            replica,
            state,
            observed,
            epoch: IntGauge::new("ringkv_ring_epoch", "Epoch of the topology known here.")?,
            nodes: by(
                &["state"],
                "ringkv_placement_nodes",
                "Storage nodes by state: alive, silent (for 5 s) or replaced. Leader only.",
            )?,
            is_leader: IntGauge::new(
                "ringkv_placement_is_leader",
                "Whether this placement replica leads (1) or not (0).",
            )?,
            term: by(&["group"], "raft_term", "Raft term of the replica here.")?,
            role: by(
                &["group"],
                "raft_state",
                "Role of the replica here: 0 follower, 1 candidate, 2 leader.",
            )?,
            log_size: by(&["group"], "raft_log_size", "Entries in the log of the replica here.")?,
            committed: by(
                &["group"],
                "raft_committed_index",
                "Highest log index known here to be committed.",
            )?,
            lag: by(
                &["group", "peer"],
                "raft_replication_lag",
                "Log entries a peer's replica is behind the leader here.",
            )?,
        }))
    }

    fn refresh(&self) {
        let status = self.replica.status();
        let leads = status.as_ref().is_some_and(|status| status.role == Role::Leader);
        self.is_leader.set(i64::from(leads));
        self.refresh_nodes(leads);
        for series in [&self.term, &self.role, &self.log_size, &self.committed, &self.lag] {
            series.reset();
        }
        if let Some(status) = status {
            self.refresh_group(&status);
        }
    }

    fn refresh_nodes(&self, leads: bool) {
        let state = Arc::clone(&self.state.borrow());
        self.epoch.set(signed(state.epoch().0));
        self.nodes.reset();
        let Some(topology) = state.topology().filter(|_| leads) else { return };
        let alive = self.observed.alive();
        for name in ["alive", "silent", "replaced"] {
            self.nodes.with_label_values(&[name]).set(0);
        }
        for node in topology.nodes.values() {
            let name = match node.state {
                NodeState::Active if alive.contains(&node.id) => "alive",
                NodeState::Active => "silent",
                NodeState::Replaced => "replaced",
            };
            self.nodes.with_label_values(&[name]).inc();
        }
    }

    fn refresh_group(&self, status: &GroupStatus) {
        let group = status.group.to_string();
        self.term.with_label_values(&[&group]).set(signed(status.term));
        self.role.with_label_values(&[&group]).set(status.role.number().into());
        self.log_size.with_label_values(&[&group]).set(signed(status.log_entries()));
        self.committed.with_label_values(&[&group]).set(signed(status.commit_index));
        for peer in &status.peers {
            let node = peer.node.to_string();
            self.lag.with_label_values(&[&group, &node]).set(signed(peer.lag_entries));
        }
    }

    fn families(&self) -> [&dyn Collector; 8] {
        [
            &self.epoch,
            &self.nodes,
            &self.is_leader,
            &self.term,
            &self.role,
            &self.log_size,
            &self.committed,
            &self.lag,
        ]
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.families().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_at_a_time = self.scrape.lock();
        self.refresh();
        self.families().into_iter().flat_map(Collector::collect).collect()
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
