//! The engine's transport: one link per peer, created on first use, and snapshot transfers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use ringkv_consensus::OutgoingSnapshot;
use ringkv_engine::{Handle, Transport};
use ringkv_topology::{ClusterId, NodeId};
use tokio::task::AbortHandle;

use crate::AddressBook;
use crate::backoff::Backoff;
use crate::link::{Link, Route};
use crate::snapshot::{self, SendError};
use crate::transfers::Transfers;

/// Frames and snapshots to the other nodes over gRPC. Its tasks end when it is dropped.
pub struct GrpcTransport {
    cluster: ClusterId,
    me: NodeId,
    addresses: Arc<dyn AddressBook>,
    handle: Handle,
    runtime: tokio::runtime::Handle,
    peers: RwLock<BTreeMap<NodeId, Peer>>,
    transfers: Transfers,
    backoff: Arc<Mutex<Backoff>>,
}

struct Peer {
    link: Arc<Link>,
    task: AbortHandle,
}

impl GrpcTransport {
    /// A transport for the node `me`; it reports lost frames to `handle`. Its tasks run on
    /// `runtime`, its snapshots within the bounds of `transfers`.
    #[expect(clippy::new_ret_no_self, reason = "callers need nothing but the engine's view of it")]
    pub fn new(
        cluster: ClusterId,
        me: NodeId,
        addresses: Arc<dyn AddressBook>,
        handle: Handle,
        transfers: Transfers,
        runtime: tokio::runtime::Handle,
    ) -> Arc<dyn Transport> {
        Arc::new(Self {
            cluster,
            me,
            addresses,
            handle,
            runtime,
            peers: RwLock::default(),
            transfers,
            backoff: Arc::default(),
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
        let (handle, transfers) = (self.handle.clone(), self.transfers.clone());
        let backoff = Arc::clone(&self.backoff);
        self.runtime.spawn(async move {
            let counted = handle.clone();
            let count = move |bytes| counted.snapshot_bytes_sent(bytes);
            let sent = snapshot::send(route, address, &snapshot, &dir, &transfers, count).await;
            let (group, to) = (snapshot.group, snapshot.to_replica);
            if let Err(error) = &sent {
                say(&snapshot, error);
                let pause = backoff.lock().failed(group, to);
                tokio::time::sleep(pause).await;
            } else {
                backoff.lock().succeeded(group, to);
            }
            handle.snapshot_sent(group, to, sent.is_ok());
        });
    }
}

fn say(snapshot: &OutgoingSnapshot, error: &SendError) {
    let OutgoingSnapshot { group, to_node, .. } = snapshot;
    let cause = std::error::Error::source(error).map(ToString::to_string);
    if error.is_refusal() {
        tracing::debug!(%group, peer = %to_node, %error, "a peer takes no snapshot at present");
    } else {
        tracing::warn!(
            %group, peer = %to_node, %error, cause,
            "cannot send a snapshot; Raft will request it again"
        );
    }
}

impl Drop for GrpcTransport {
    fn drop(&mut self) {
        for peer in self.peers.get_mut().values() {
            peer.task.abort();
        }
    }
}
