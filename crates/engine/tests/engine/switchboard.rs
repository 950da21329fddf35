//! A network in memory: frames are handed over at once, snapshots by a thread.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use ringkv_consensus::{Manifest, OutgoingSnapshot};
use ringkv_engine::{Handle, ReceiveError, Transport};
use ringkv_topology::NodeId;

use crate::cluster::Wiring;

/// Who is connected.
#[derive(Clone, Default)]
pub(crate) struct Switchboard {
    nodes: Arc<Mutex<BTreeMap<NodeId, Handle>>>,
}

struct Port {
    me: NodeId,
    handle: Handle,
    board: Switchboard,
}

impl Wiring for Switchboard {
    fn connect(&self, node: NodeId, handle: Handle) -> Arc<dyn Transport> {
        self.nodes.lock().insert(node, handle.clone());
        Arc::new(Port { me: node, handle, board: self.clone() })
    }

    fn disconnect(&self, node: NodeId) {
        self.nodes.lock().remove(&node);
    }
}

impl Port {
    fn peer(&self, node: NodeId) -> Option<Handle> {
        self.board.nodes.lock().get(&node).cloned()
    }
}

impl Transport for Port {
    fn send(&self, to: NodeId, frame: Bytes) {
        match self.peer(to) {
            Some(peer) => peer.frame(self.me, frame),
            None => self.handle.unreachable(to),
        }
    }

    fn send_snapshot(&self, snapshot: OutgoingSnapshot, dir: PathBuf) {
        let (me, handle, peer) = (self.me, self.handle.clone(), self.peer(snapshot.to_node));
        std::thread::spawn(move || {
            let sent = peer.is_some_and(|peer| hand_over(me, &peer, &snapshot, &dir).is_ok());
            handle.snapshot_sent(snapshot.group, snapshot.to_replica, sent);
        });
    }
}

fn hand_over(
    me: NodeId,
    peer: &Handle,
    snapshot: &OutgoingSnapshot,
    dir: &Path,
) -> Result<(), ReceiveError> {
    let manifest = Manifest::decode(&snapshot.manifest).map_err(ReceiveError::Manifest)?;
    let mut receiver = peer.receive_snapshot(
        snapshot.group,
        me,
        &snapshot.id,
        snapshot.manifest.clone(),
        snapshot.message.clone(),
    )?;
    for (number, file) in (0..).zip(&manifest.files) {
        let content = std::fs::read(dir.join(&file.name))?;
        for (at, chunk) in content.chunks(1000).enumerate() {
            receiver.write(number, at as u64 * 1000, chunk)?;
        }
    }
    receiver.finish()
}
