//! The engine's transport: one link per peer, created on first use, and snapshot transfers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::RwLock;
use ringkv_consensus::OutgoingSnapshot;
use ringkv_engine::{Handle, Transport};
use ringkv_topology::{ClusterId, NodeId};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

use crate::AddressBook;
use crate::link::{Link, Route};
use crate::snapshot;

/// The most snapshots sent at the same time; more would share the same disk and network.
const SNAPSHOTS_MAX: usize = 2;

/// Frames and snapshots to the other nodes over gRPC. Its tasks end when it is dropped.
pub struct GrpcTransport {
    cluster: ClusterId,
    me: NodeId,
    addresses: Arc<dyn AddressBook>,
    handle: Handle,
    runtime: tokio::runtime::Handle,
    peers: RwLock<BTreeMap<NodeId, Peer>>,
    sending: Arc<Semaphore>,
}

struct Peer {
    link: Arc<Link>,
    task: AbortHandle,
}

impl GrpcTransport {
    /// A transport for the node `me`; it reports lost frames to `handle`. Its tasks run on
    /// `runtime`.
    #[expect(clippy::new_ret_no_self, reason = "callers need nothing but the engine's view of it")]
    pub fn new(
        cluster: ClusterId,
        me: NodeId,
        addresses: Arc<dyn AddressBook>,
        handle: Handle,
        runtime: tokio::runtime::Handle,
    ) -> Arc<dyn Transport> {
        Arc::new(Self {
            cluster,
            me,
            addresses,
            handle,
            runtime,
            peers: RwLock::default(),
            sending: Arc::new(Semaphore::new(SNAPSHOTS_MAX)),
        })
    }

    fn route(&self, peer: NodeId) -> Route {
        Route { cluster: self.cluster, me: self.me, peer }
    }

    fn link(&self, to: NodeId) -> Arc<Link> {
        if let Some(peer) = self.peers.read().get(&to) {
            return Arc::clone(&peer.link);
        }
        let mut peers = self.peers.write();
        let peer = peers.entry(to).or_insert_with(|| {
            let link = Arc::new(Link::new(self.route(to), self.handle.clone()));
            let run = Arc::clone(&link).run(Arc::clone(&self.addresses));
            Peer { link, task: self.runtime.spawn(run).abort_handle() }
        });
        Arc::clone(&peer.link)
    }
}

impl Transport for GrpcTransport {
    fn send(&self, to: NodeId, frame: Bytes) {
        self.link(to).send(frame);
    }

    fn send_snapshot(&self, snapshot: OutgoingSnapshot, dir: PathBuf) {
        let route = self.route(snapshot.to_node);
        let address = self.addresses.address(snapshot.to_node);
        let handle = self.handle.clone();
        let sending = Arc::clone(&self.sending);
        self.runtime.spawn(async move {
            let sent = snapshot::send(route, address, &snapshot, &dir, &sending).await;
            if let Err(error) = &sent {
                let cause = std::error::Error::source(error).map(ToString::to_string);
                tracing::warn!(
                    group = %snapshot.group, peer = %route.peer, %error, cause,
                    "cannot send a snapshot; Raft will request it again"
                );
            }
            handle.snapshot_sent(snapshot.group, snapshot.to_replica, sent.is_ok());
        });
    }
}

impl Drop for GrpcTransport {
    fn drop(&mut self) {
        for peer in self.peers.get_mut().values() {
            peer.task.abort();
        }
    }
}
