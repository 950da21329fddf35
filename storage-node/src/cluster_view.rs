//! The newest topology that this node knows, shared by all its tasks.
//!
//! Readers take it without a lock; its epoch only rises. In the storage node and not in the core,
//! because it is the address book of the transport.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use ringkv_topology::{NodeId, Topology};
use ringkv_transport::AddressBook;

/// The shared view; empty until there is a topology from placement or the data directory.
#[derive(Debug, Default)]
pub(crate) struct ClusterView {
    topology: ArcSwapOption<Topology>,
}

impl ClusterView {
    /// A view that starts with what the data directory held.
    pub(crate) fn starting_with(topology: Option<Topology>) -> Self {
        Self { topology: ArcSwapOption::from(topology.map(Arc::new)) }
    }

    /// The newest topology.
    pub(crate) fn get(&self) -> Option<Arc<Topology>> {
        self.topology.load_full()
    }

    /// The epoch of the newest topology; 0 for none.
    pub(crate) fn epoch(&self) -> u64 {
        self.topology.load().as_ref().map_or(0, |topology| topology.epoch.0)
    }

    /// Takes the topology if it is newer; returns whether it was. Called by one task only.
    pub(crate) fn advance(&self, topology: Topology) -> bool {
        let newer = topology.epoch.0 > self.epoch();
        if newer {
            self.topology.store(Some(Arc::new(topology)));
        }
        newer
    }
}

impl AddressBook for ClusterView {
    fn address(&self, node: NodeId) -> Option<String> {
        let topology = self.topology.load();
        Some(topology.as_ref()?.nodes.get(&node)?.address.clone())
    }
}

#[cfg(test)]
mod tests {
    use ringkv_storage_core::testing::topology::bootstrapped;
    use ringkv_topology::Epoch;

    use super::*;

    #[test]
    fn it_never_goes_back_to_an_older_epoch() {
        let view = ClusterView::default();
        assert_eq!((view.epoch(), view.address(NodeId(1))), (0, None));
        let (old, mut new) = (bootstrapped(1), bootstrapped(1));
        new.epoch = Epoch(9);
        assert!(view.advance(new));
        assert!(!view.advance(old));
        assert_eq!(view.epoch(), 9);
        assert_eq!(view.address(NodeId(1)).as_deref(), Some("node-1:50051"));
    }
}
