//! What all calls share: the router, the links, and updates of the topology.
//!
//! Owns the lock around the pure [`Router`]; held for a look-up, never across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use ringkv_routing::Router;
use ringkv_topology::{ClusterId, Epoch, GroupId, NodeId, Topology};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::links::Links;
use crate::observer::Observer;

/// The cluster as placement last described it.
#[derive(Clone, Debug)]
pub struct View {
    /// Nodes, groups and slot owners.
    pub topology: Arc<Topology>,
    /// The leader last reported for each group: a hint that may be old.
    pub leaders: BTreeMap<GroupId, NodeId>,
    /// Nodes that have reported to placement recently.
    pub alive: BTreeSet<NodeId>,
}

/// Placement sent the topology of another cluster than the one this client is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("placement is of cluster {theirs}, this client stays with cluster {ours}")]
pub(crate) struct OtherCluster {
    pub(crate) ours: ClusterId,
    pub(crate) theirs: ClusterId,
}

pub(crate) struct Cluster {
    pub(crate) router: Arc<RwLock<Router>>,
    pub(crate) links: Links,
    pub(crate) observer: Arc<dyn Observer>,
    view: ArcSwapOption<View>,
    /// The epoch in use; sent at every update.
    updates: watch::Sender<Epoch>,
    /// Notified when a node knows a newer topology than this one.
    pub(crate) refresh: Notify,
    /// Since when no placement replica is watched; `None` while one is.
    unwatched: Mutex<Option<Instant>>,
}

impl Cluster {
    pub(crate) fn new(observer: Arc<dyn Observer>, stop: CancellationToken) -> Self {
        let router = Arc::new(RwLock::new(Router::new()));
        let connected = {
            let router = Arc::clone(&router);
            Arc::new(move |node| router.write().on_connected(node))
        };
        Self {
            router,
            links: Links::new(stop, connected),
            observer,
            view: ArcSwapOption::empty(),
            updates: watch::Sender::new(Epoch(0)),
            refresh: Notify::new(),
            unwatched: Mutex::new(Some(Instant::now())),
        }
    }

    /// A watch of a placement replica has begun or ended.
    pub(crate) fn watching(&self, watching: bool) {
        let mut unwatched = self.unwatched.lock();
        *unwatched = if watching { None } else { unwatched.or_else(|| Some(Instant::now())) };
    }

    /// How long no placement replica has been watched; zero while one is.
    pub(crate) fn topology_age(&self) -> Duration {
        self.unwatched.lock().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Takes what placement sent, unless it is older than what is in use.
    ///
    /// # Errors
    /// It is of another cluster than the first: that one's keys are not there.
    pub(crate) fn on_view(&self, view: View) -> Result<(), OtherCluster> {
        let theirs = view.topology.cluster;
        let ours = self.view.load().as_ref().map_or(theirs, |view| view.topology.cluster);
        if theirs != ours {
            return Err(OtherCluster { ours, theirs });
        }
        let leaders = view.leaders.iter().map(|(group, node)| (*group, *node));
        let mut router = self.router.write();
        if !router.on_topology(Arc::clone(&view.topology), leaders) {
            return Ok(());
        }
        let addresses = router.addresses().clone();
        drop(router);
        self.links.update(&addresses);
        let epoch = view.topology.epoch;
        self.view.store(Some(Arc::new(view)));
        self.observer.topology(epoch);
        self.updates.send_replace(epoch);
        Ok(())
    }

    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// The largest value the cluster takes, in bytes, once known.
    pub(crate) fn value_bytes_max(&self) -> Option<u64> {
        let view = self.view.load();
        view.as_ref().map(|view| u64::from(view.topology.settings.value_bytes_max))
    }

    /// Receives every update from now on.
    pub(crate) fn updates(&self) -> watch::Receiver<Epoch> {
        self.updates.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Deaf;

    impl Observer for Deaf {}

    #[tokio::test(start_paused = true)]
    async fn the_topology_ages_only_while_nobody_is_watched() {
        let cluster = Cluster::new(Arc::new(Deaf), CancellationToken::new());
        let age_after = async |seconds| {
            tokio::time::advance(Duration::from_secs(seconds)).await;
            cluster.topology_age().as_secs()
        };
        assert_eq!(age_after(5).await, 5);
        cluster.watching(true);
        assert_eq!(age_after(60).await, 0);
        cluster.watching(false);
        assert_eq!(age_after(3).await, 3);
        // The next replica cannot be reached either.
        cluster.watching(false);
        assert_eq!(age_after(3).await, 6);
    }
}
