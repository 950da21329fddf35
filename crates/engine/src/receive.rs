//! Takes in snapshots of other nodes: decides whether there is a use and room for one before any of
//! its data is taken, and hands it to the poller once it is whole.
//!
//! Blocks for the disk, as all of the receiver does.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use ringkv_consensus::{Input, Manifest, ReceivedSnapshot, addressee, is_plain};
use ringkv_topology::{GroupId, NodeId, ReplicaId};

use crate::handle::Handle;
use crate::snapshot_dir::{Announced, Receipt, ReceiveError, SnapshotReceiver};

impl Handle {
    /// Begins to take in the snapshot `id` of a group, cut on the node `from`.
    ///
    /// # Errors
    /// `ReceiveError`: nothing was written then. The replica that `message` is for must be here, the
    /// disk must have room for the files and for the store's copy of them, and not more than four
    /// snapshots are received at a time.
    pub fn receive_snapshot(
        &self,
        group: GroupId,
        from: NodeId,
        id: &str,
        manifest: Bytes,
        message: Bytes,
    ) -> Result<SnapshotReceiver, ReceiveError> {
        let admitted = self.admit_snapshot(group, id, &manifest, &message);
        let receipt = admitted.inspect_err(|refusal| {
            self.shared.observer.snapshot_refused(group, refusal.reason());
        })?;
        // The sender may send the same snapshot again while an earlier one is being installed.
        let count = self.shared.received_count.fetch_add(1, Ordering::Relaxed);
        let id = format!("{from}-{id}-{count}");
        let announced = Announced { group, from, id, manifest, message };
        SnapshotReceiver::begin(&self.shared.dirs, announced, Box::new(receipt))
    }

    fn admit_snapshot(
        &self,
        group: GroupId,
        id: &str,
        manifest: &[u8],
        message: &Bytes,
    ) -> Result<ReceiptToPoller, ReceiveError> {
        if !is_plain(id) {
            return Err(ReceiveError::Id);
        }
        if !self.is_open() {
            return Err(ReceiveError::Stopping);
        }
        let manifest = Manifest::decode(manifest).map_err(ReceiveError::Manifest)?;
        let (message_group, replica) = addressee(message).map_err(ReceiveError::Message)?;
        for other in [manifest.group, message_group] {
            if other != group {
                return Err(ReceiveError::Group { other, snapshot: group });
            }
        }
        self.check_replica(group, replica)?;
        let bytes = manifest.bytes();
        let room = (self.shared.disk_room)(self.shared.dirs.incoming())?;
        self.shared.admission.lock().admit(bytes, room)?;
        Ok(ReceiptToPoller { handle: self.clone(), bytes })
    }

    /// Whether the replica is here, as of the last published status.
    fn check_replica(&self, group: GroupId, replica: ReplicaId) -> Result<(), ReceiveError> {
        let status = self.status();
        match status.iter().find(|status| status.group == group) {
            None => Err(ReceiveError::NoGroup { group }),
            Some(here) if here.replica != replica => {
                Err(ReceiveError::OtherReplica { group, replica, here: here.replica })
            }
            Some(_) => Ok(()),
        }
    }
}

/// Hands a received snapshot to the poller; counts it as under way until dropped.
struct ReceiptToPoller {
    handle: Handle,
    bytes: u64,
}

impl Receipt for ReceiptToPoller {
    fn received(&self, snapshot: ReceivedSnapshot) {
        self.handle.shared.observer.snapshot_received(snapshot.group, self.bytes);
        self.handle.input(Input::SnapshotReceived(snapshot));
    }
}

impl Drop for ReceiptToPoller {
    fn drop(&mut self) {
        self.handle.shared.admission.lock().end(self.bytes);
    }
}
