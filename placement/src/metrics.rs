//! The metrics of a placement replica, read from their sources at each scrape.

mod members;
mod operations;
mod ring;

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntCounter, IntGauge, IntGaugeVec, Opts, Registry};
use ringkv_consensus::Role;
use ringkv_placement_core::state::State;
use ringkv_raft_metrics::RaftSeries;
use ringkv_topology::{NodeState, Topology};
use tokio::sync::watch;

use crate::live::Live;
use crate::metrics::members::MemberSeries;
use crate::metrics::operations::OperationSeries;
use crate::metrics::ring::RingSeries;
use crate::observed::Observed;
use crate::refusals::Refusals;
use crate::replica::Replica;
use crate::watches::Watches;

/// The sources of the figures.
pub(crate) struct Sources {
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) watches: Watches,
    pub(crate) live: Arc<Live>,
    pub(crate) refusals: Refusals,
}

/// The collector.
pub(crate) struct Metrics {
    /// Held during a scrape, so that a concurrent one does not read half of it.
    scrape: Mutex<()>,
    sources: Sources,
    is_leader: IntGauge,
    has_leader: IntGauge,
    nodes: IntGaugeVec,
    under_replicated: IntGauge,
    heartbeats: IntCounter,
    watchers: IntGauge,
    operations: OperationSeries,
    members: MemberSeries,
    ring: RingSeries,
    raft: RaftSeries,
}

impl Metrics {
    /// Adds the series to the registry.
    ///
    /// # Errors
    /// The registry already has a series of one of these names.
    pub(crate) fn register(registry: &Registry, sources: Sources) -> prometheus::Result<()> {
        let nodes = Opts::new(
            "ringkv_placement_nodes",
            "Storage nodes by state: alive, silent (for 5 s) or draining. Leader only.",
        );
        registry.register(Box::new(Self {
            scrape: Mutex::new(()),
            sources,
            is_leader: IntGauge::new(
                "ringkv_placement_is_leader",
                "Whether this placement replica leads: 1 yes, 0 no.",
            )?,
            has_leader: IntGauge::new(
                "ringkv_placement_has_leader",
                "Whether this placement replica knows a leader, itself or another: 1 yes, 0 no.",
            )?,
            nodes: IntGaugeVec::new(nodes, &["state"])?,
            under_replicated: IntGauge::new(
                "ringkv_placement_groups_under_replicated",
                "Groups with too few voters or one on a silent node; 0 unless this replica leads.",
            )?,
            heartbeats: IntCounter::new(
                "ringkv_placement_heartbeats_total",
                "Heartbeats received from storage nodes; only the leader receives them.",
            )?,
            watchers: IntGauge::new(
                "ringkv_placement_watchers",
                "Open watches of the topology here, by gateways, nodes and other replicas.",
            )?,
            operations: OperationSeries::new()?,
            members: MemberSeries::new()?,
            ring: RingSeries::new()?,
            raft: RaftSeries::new()?,
        }))
    }

    fn refresh(&self) {
        let Sources { replica, state, observed, watches, live, .. } = &self.sources;
        let status = replica.status();
        let leads = status.as_ref().is_some_and(|status| status.role == Role::Leader);
        self.is_leader.set(leads.into());
        let leader = status.as_ref().and_then(|status| status.leader);
        self.has_leader.set(leader.is_some().into());
        self.raft.show(status.as_slice());
        self.heartbeats.inc_by(observed.heartbeats().saturating_sub(self.heartbeats.get()));
        self.watchers.set(signed(watches.open() as u64));
        let state = Arc::clone(&state.borrow());
        self.ring.show(state.topology());
        self.operations.show(Some(&*state).filter(|_| leads), observed);
        self.members.show(Some(&*state).filter(|_| leads), live);
        self.show_nodes(state.topology().filter(|_| leads));
    }

    /// Shows which nodes are alive and which groups lack a replica; `None` unless this replica leads.
    fn show_nodes(&self, topology: Option<&Topology>) {
        self.nodes.reset();
        self.under_replicated.set(0);
        let Some(topology) = topology else { return };
        let alive = self.sources.observed.alive();
        for name in ["alive", "silent", "draining"] {
            self.nodes.with_label_values(&[name]).set(0);
        }
        for node in topology.nodes.values() {
            let name = match node.state {
                _ if !alive.contains(&node.id) => "silent",
                NodeState::Active => "alive",
                NodeState::Draining => "draining",
            };
            self.nodes.with_label_values(&[name]).inc();
        }
        let factor = usize::from(topology.settings.replication_factor);
        let lacking = topology.groups.values().filter(|group| {
            group.voters().count() < factor
                || group.voters().any(|voter| !alive.contains(&voter.node))
        });
        self.under_replicated.set(signed(lacking.count() as u64));
    }

    fn families(&self) -> impl Iterator<Item = &dyn Collector> {
        let own: [&dyn Collector; 9] = [
            &self.is_leader,
            &self.has_leader,
            &self.nodes,
            &self.under_replicated,
            &self.heartbeats,
            &self.watchers,
            &self.raft,
            self.members.family(),
            self.sources.refusals.family(),
        ];
        own.into_iter().chain(self.operations.families()).chain(self.ring.families())
    }
}

impl Collector for Metrics {
    fn desc(&self) -> Vec<&Desc> {
        self.families().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let _one_at_a_time = self.scrape.lock();
        self.refresh();
        self.families().flat_map(Collector::collect).collect()
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
