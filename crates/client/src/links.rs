//! The links to all storage nodes: at most two to each, one for small requests and one for large.
//!
//! A large value on the small link would delay everything behind it; a second link is made when the
//! first large value is written. Links follow the topology: a node that leaves it, or changes its
//! address, loses its links.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;
use ringkv_topology::NodeId;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Endpoint;

use crate::link::{self, Link};

/// Requests above this many bytes take the link for large ones.
const LARGE_BYTES_MIN: usize = 64 << 10;

/// Called with the node whose stream came up.
pub(crate) type Connected = Arc<dyn Fn(NodeId) + Send + Sync>;

pub(crate) struct Links {
    nodes: ArcSwap<BTreeMap<NodeId, Arc<NodeLinks>>>,
    stop: CancellationToken,
    connected: Connected,
}

struct NodeLinks {
    node: NodeId,
    address: Arc<str>,
    endpoint: Endpoint,
    small: Arc<Link>,
    large: OnceLock<Arc<Link>>,
    stop: DropGuard,
    connected: Connected,
}

impl Links {
    /// No links; those made later end with `stop`. `connected` must not keep the links alive.
    pub(crate) fn new(stop: CancellationToken, connected: Connected) -> Self {
        Self { nodes: ArcSwap::default(), stop, connected }
    }

    /// Makes the links match `addresses`. Called by one task at a time, on a runtime.
    pub(crate) fn update(&self, addresses: &BTreeMap<NodeId, Arc<str>>) {
        let old = self.nodes.load();
        let mut nodes = BTreeMap::new();
        for (node, address) in addresses {
            let kept = old.get(node).filter(|links| links.address == *address).cloned();
            let links = kept.or_else(|| self.connect(*node, address));
            if let Some(links) = links {
                nodes.insert(*node, links);
            }
        }
        self.nodes.store(Arc::new(nodes));
    }

    fn connect(&self, node: NodeId, address: &Arc<str>) -> Option<Arc<NodeLinks>> {
        let endpoint = match link::endpoint(address) {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::warn!(node = node.0, %address, %error, "invalid address of a node");
                return None;
            }
        };
        let stop = self.stop.child_token();
        let links = Arc::new(NodeLinks {
            node,
            address: Arc::clone(address),
            small: spawn(node, &endpoint, &stop, &self.connected),
            endpoint,
            large: OnceLock::new(),
            stop: stop.drop_guard(),
            connected: Arc::clone(&self.connected),
        });
        Some(links)
    }

    /// The link to `node` for a request of `bytes`; `None` for a node not in the topology.
    pub(crate) fn get(&self, node: NodeId, bytes: usize) -> Option<Arc<Link>> {
        let nodes = self.nodes.load();
        let links = nodes.get(&node)?;
        if bytes < LARGE_BYTES_MIN {
            return Some(Arc::clone(&links.small));
        }
        let large = links.large.get_or_init(|| {
            spawn(links.node, &links.endpoint, links.stop.token(), &links.connected)
        });
        Some(Arc::clone(large))
    }

    /// Every node of the topology, ascending, and whether a stream to it is up.
    pub(crate) fn connected(&self) -> Vec<(NodeId, bool)> {
        let nodes = self.nodes.load();
        nodes.iter().map(|(node, links)| (*node, links.small.is_connected())).collect()
    }
}

fn spawn(
    node: NodeId,
    endpoint: &Endpoint,
    stop: &CancellationToken,
    connected: &Connected,
) -> Arc<Link> {
    let link = Link::new();
    let connected = Arc::clone(connected);
    tokio::spawn(link::run(Arc::clone(&link), endpoint.clone(), stop.clone(), move || {
        connected(node);
    }));
    link
}
