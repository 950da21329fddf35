//! Series of the Raft groups, made from the engine's status when a scrape asks.
//!
//! What there is per group, `ringkv-raft-metrics` shows, bounded; here are the sums over all of them.

use std::sync::Arc;

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};
use ringkv_consensus::{GroupStatus, Role};
use ringkv_engine::Handle;
use ringkv_raft_metrics::RaftSeries;
use ringkv_storage_core::peer_health::PeerHealth;

use crate::cluster_view::ClusterView;

/// The collector.
pub(crate) struct GroupSeries {
    /// Held over a scrape, so that another one does not read half of it.
    scrape: Mutex<()>,
    engine: Handle,
    view: Arc<ClusterView>,
    peers: Arc<Mutex<PeerHealth>>,
    of_groups: RaftSeries,
    lag_max: IntGauge,
    health: IntGaugeVec,
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
            of_groups: RaftSeries::new()?,
            lag_max: IntGauge::new(
                "ringkv_raft_log_lag_entries",
                "Largest raft_replication_lag over all groups led here, in log entries.",
            )?,
            health: by(
                &["peer"],
                "raft_node_health",
                "Whether a peer node answers the replicas here: 1 yes, 0 no.",
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
                "Groups led here with a voter on a node that does not answer.",
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
        self.of_groups.show(&status);
        self.health.reset();
        let peers = self.peers.lock();
        for (node, alive) in peers.judged() {
            self.health.with_label_values(&[&node.to_string()]).set(i64::from(alive));
        }
        self.under_replicated.set(gauge(under_replicated(&status, &peers)));
        drop(peers);
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
        let behind = |group: &GroupStatus| group.commit_index.entries_after(group.applied_index);
        self.apply_lag.set(gauge(status.iter().map(behind).max().unwrap_or(0)));
        let leaders = status.iter().filter(|group| group.role == Role::Leader).count();
        self.leaders.set(gauge(leaders as u64));
        self.epoch.with_label_values(&["storage-node"]).set(self.view.epoch() as f64);
    }

    fn collectors(&self) -> [&dyn Collector; 9] {
        [
            &self.of_groups,
            &self.lag_max,
            &self.health,
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

/// Groups led here with a voter on a node that does not answer.
fn under_replicated(groups: &[GroupStatus], peers: &PeerHealth) -> u64 {
    let lacks =
        |group: &&GroupStatus| group.peers.iter().any(|p| p.voter && !peers.answers(p.node));
    groups.iter().filter(lacks).count() as u64
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use ringkv_consensus::{LogIndex, PeerStatus};
    use ringkv_topology::{NodeId, ReplicaId};

    use super::*;
    use ringkv_storage_core::testing::topology::status;

    fn led(group: u64, recently_active: bool) -> GroupStatus {
        let peer = |node, voter| PeerStatus {
            node: NodeId(node),
            replica: ReplicaId(10 * group + node),
            matched: LogIndex(1),
            lag_entries: 0,
            recently_active,
            voter,
        };
        GroupStatus { peers: vec![peer(2, true), peer(9, false)], ..status(group, 1, Some(1)) }
    }

    #[test]
    fn a_group_lacks_a_voter_only_once_its_node_has_been_silent_for_long() {
        let mut peers = PeerHealth::default();
        peers.look(NodeId(1), &[led(1, true)]);
        // Raft forgets what it has heard at every check of its quorum.
        let forgotten = [led(1, false), led(2, false), status(3, 1, Some(2))];
        assert_eq!(under_replicated(&forgotten, &peers), 0);
        for _ in 0..100 {
            peers.look(NodeId(1), &forgotten[..2]);
        }
        assert_eq!(under_replicated(&forgotten, &peers), 2);
    }
}
