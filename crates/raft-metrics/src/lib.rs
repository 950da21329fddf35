//! The `raft_*` series of the groups on a node, from the engine's status. One place defines their
//! names and meaning for every service that runs the engine.
//!
//! Never counts and keeps no state: the owner of the engine passes in its status for each scrape.
//! Bounded: groups beyond the first [`GROUPS_MAX`] have no series here. The series of a group end
//! when its replica leaves the node.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};
use ringkv_consensus::GroupStatus;

/// The most groups with their own series: about 1,500 series at three replicas.
pub const GROUPS_MAX: usize = 256;

/// The series; call [`RaftSeries::show`] before each collection.
pub struct RaftSeries {
    term: IntGaugeVec,
    state: IntGaugeVec,
    log_size: IntGaugeVec,
    committed: IntGaugeVec,
    lag: IntGaugeVec,
}

impl RaftSeries {
    /// Creates the series.
    ///
    /// # Errors
    /// None in practice: the names are well-formed, but the API of `prometheus` returns a result.
    pub fn new() -> prometheus::Result<Self> {
        let by = |labels: &[&str], name: &str, help: &str| {
            IntGaugeVec::new(Opts::new(name, help), labels)
        };
        Ok(Self {
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
                "Index of the last entry known here to be committed.",
            )?,
            lag: by(
                &["group", "peer"],
                "raft_replication_lag",
                "Log entries a peer node's replica is behind the leader here.",
            )?,
        })
    }

    /// Shows these groups and removes all others.
    pub fn show(&self, groups: &[GroupStatus]) {
        self.all().into_iter().for_each(IntGaugeVec::reset);
        groups.iter().take(GROUPS_MAX).for_each(|group| self.show_one(group));
    }

    fn show_one(&self, status: &GroupStatus) {
        let id = status.group.to_string();
        let group = [id.as_str()];
        self.term.with_label_values(&group).set(gauge(status.term.0));
        self.state.with_label_values(&group).set(status.role.number().into());
        self.log_size.with_label_values(&group).set(gauge(status.log_entries()));
        self.committed.with_label_values(&group).set(gauge(status.commit_index.0));
        for peer in &status.peers {
            let labels = [id.as_str(), &peer.node.to_string()];
            self.lag.with_label_values(&labels).set(gauge(peer.lag_entries));
        }
    }

    fn all(&self) -> [&IntGaugeVec; 5] {
        [&self.term, &self.state, &self.log_size, &self.committed, &self.lag]
    }
}

impl Collector for RaftSeries {
    fn desc(&self) -> Vec<&Desc> {
        self.all().into_iter().flat_map(Collector::desc).collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.all().into_iter().flat_map(Collector::collect).collect()
    }
}

fn gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use ringkv_consensus::{LogIndex, PeerStatus, Role, Term};
    use ringkv_topology::{GroupId, NodeId, ReplicaId};

    use super::*;

    fn led(group: u64) -> GroupStatus {
        let peer = |node| PeerStatus {
            node: NodeId(node),
            replica: ReplicaId(10 * group + node),
            matched: LogIndex(7),
            lag_entries: 3,
            recently_active: true,
            voter: true,
        };
        GroupStatus {
            group: GroupId(group),
            replica: ReplicaId(10 * group),
            role: Role::Leader,
            term: Term(4),
            leader: Some(NodeId(1)),
            commit_index: LogIndex(10),
            applied_index: LogIndex(9),
            first_index: LogIndex(2),
            last_index: LogIndex(10),
            members: std::sync::Arc::default(),
            peers: vec![peer(2), peer(3)],
        }
    }

    fn series(shown: &RaftSeries) -> usize {
        shown.collect().iter().map(|family| family.get_metric().len()).sum()
    }

    #[test]
    fn a_group_is_shown_as_the_engine_says() {
        let shown = RaftSeries::new().unwrap();
        shown.show(&[led(5)]);
        let of_group = |series: &IntGaugeVec| series.with_label_values(&["5"]).get();
        let values = [&shown.term, &shown.state, &shown.log_size, &shown.committed].map(of_group);
        assert_eq!(values, [4, 2, 9, 10]);
        assert_eq!(shown.lag.with_label_values(&["5", "3"]).get(), 3);
    }

    #[test]
    fn the_number_of_series_is_bounded_however_many_groups_there_are() {
        let shown = RaftSeries::new().unwrap();
        let groups: Vec<GroupStatus> = (1..=1_000).map(led).collect();
        shown.show(&groups);
        assert_eq!(series(&shown), GROUPS_MAX * 6);
        shown.show(&groups[..2]);
        assert_eq!(series(&shown), 2 * 6, "groups that have left have no series");
    }
}
