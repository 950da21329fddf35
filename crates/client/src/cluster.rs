//! What all calls share: the router, the links, and news of the topology.
//!
//! Owns the lock around the pure [`Router`]; held for a look-up, never across an await.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use parking_lot::RwLock;
use ringkv_topology::{Epoch, GroupId, NodeId, Topology};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Observer;
use crate::links::Links;
use crate::routing::Router;

/// The cluster as placement last described it.
#[derive(Clone, Debug)]
pub struct View {
    pub topology: Arc<Topology>,
    /// The last leader reported of each group: a hint, may be old.
    pub leaders: BTreeMap<GroupId, NodeId>,
    /// Nodes that reported lately.
    pub alive: BTreeSet<NodeId>,
}

pub(crate) struct Cluster {
    pub(crate) router: Arc<RwLock<Router>>,
    pub(crate) links: Links,
    pub(crate) observer: Arc<dyn Observer>,
    view: ArcSwapOption<View>,
    /// The epoch in use; sent at every update.
    updates: watch::Sender<Epoch>,
    /// A call met a newer topology than this one.
    pub(crate) refresh: Notify,
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
        }
    }

    /// Takes what placement sent, unless it is older than what is used.
    pub(crate) fn on_view(&self, view: View) {
        let leaders = view.leaders.iter().map(|(group, node)| (*group, *node));
        let mut router = self.router.write();
        if !router.on_topology(Arc::clone(&view.topology), leaders) {
            return;
        }
        let addresses = router.addresses().clone();
        drop(router);
        self.links.update(&addresses);
        let epoch = view.topology.epoch;
        self.view.store(Some(Arc::new(view)));
        self.observer.topology(epoch);
        self.updates.send_replace(epoch);
    }

    pub(crate) fn view(&self) -> Option<Arc<View>> {
        self.view.load_full()
    }

    /// The largest value the cluster takes, in bytes, once known.
    pub(crate) fn value_bytes_max(&self) -> Option<u64> {
        let view = self.view.load();
        view.as_ref().map(|view| u64::from(view.topology.settings.value_bytes_max))
    }

    /// Sees the next update from now on.
    pub(crate) fn updates(&self) -> watch::Receiver<Epoch> {
        self.updates.subscribe()
    }
}
