//! The snapshots that this node is sending: how many at a time, how fast, and how far they are.
//!
//! Owns the bounds of all transfers together. A clone is a way to set the rate and to see the
//! progress; it keeps no transfer running.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use ringkv_topology::{GroupId, NodeId, ReplicaId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use crate::throttle::Bucket;

/// The most snapshots sent at the same time; more would share the same disk and network.
const AT_ONCE: usize = 2;
/// About half of what a gigabit network carries.
const RATE_DEFAULT: u64 = 64 << 20;
/// A slower rate counts as this one: below it a receiver could take the sender for gone, which it
/// does when no chunk of 1 MiB arrives within 30 s.
const RATE_MIN: u64 = 1 << 20;
/// How often a transfer that waits looks for a new rate.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// All transfers of a node. Clones share them.
#[derive(Clone)]
pub struct Transfers {
    shared: Arc<Shared>,
}

struct Shared {
    turns: Arc<Semaphore>,
    rate: AtomicU64,
    started: Instant,
    bucket: Mutex<Bucket>,
    next: AtomicU64,
    /// At most as many as there are turns.
    running: Mutex<BTreeMap<u64, Transfer>>,
}

/// The progress of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub group: GroupId,
    pub to_node: NodeId,
    pub to_replica: ReplicaId,
    /// Taken over by the network; the receiver may have less.
    pub bytes_sent: u64,
    pub bytes_total: u64,
}

impl Default for Transfers {
    fn default() -> Self {
        let shared = Shared {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            rate: AtomicU64::new(RATE_DEFAULT),
            started: Instant::now(),
            bucket: Mutex::default(),
            next: AtomicU64::new(0),
            running: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }
}

impl Transfers {
    /// Sets how fast snapshots leave this node, all together, in bytes per second; 64 MiB until then.
    /// Less than 1 MiB counts as 1 MiB. Running transfers follow within a second.
    pub fn set_rate(&self, bytes_per_s: u64) {
        self.shared.rate.store(bytes_per_s.max(RATE_MIN), Ordering::Relaxed);
    }

    /// The transfers that are running, at most two. Those that wait for their turn are not among them.
    pub fn running(&self) -> Vec<Transfer> {
        self.shared.running.lock().values().cloned().collect()
    }

    /// Waits for a turn, then counts the transfer as running until the result is dropped.
    pub(crate) async fn begin(&self, transfer: Transfer) -> Sending {
        let turns = Arc::clone(&self.shared.turns);
        let turn = turns.acquire_owned().await.expect("the semaphore is never closed");
        let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
        self.shared.running.lock().insert(id, transfer);
        Sending { transfers: self.clone(), id, _turn: turn }
    }

    /// Waits until this many bytes may go.
    async fn pass(&self, bytes: u64) {
        let shared = &self.shared;
        loop {
            let rate = shared.rate.load(Ordering::Relaxed);
            let taken = shared.bucket.lock().take(bytes, shared.started.elapsed(), rate);
            let Err(wait) = taken else { return };
            sleep(wait.min(LOOK_INTERVAL)).await;
        }
    }
}

/// A transfer that has its turn.
pub(crate) struct Sending {
    transfers: Transfers,
    id: u64,
    _turn: OwnedSemaphorePermit,
}

impl Sending {
    /// Waits until this many bytes may go.
    pub(crate) async fn pass(&self, bytes: u64) {
        self.transfers.pass(bytes).await;
    }

    /// So many bytes more are on their way.
    pub(crate) fn sent(&self, bytes: u64) {
        if let Some(transfer) = self.transfers.shared.running.lock().get_mut(&self.id) {
            transfer.bytes_sent += bytes;
        }
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        self.transfers.shared.running.lock().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn transfer(replica: u64) -> Transfer {
        Transfer {
            group: GroupId(1),
            to_node: NodeId(replica),
            to_replica: ReplicaId(replica),
            bytes_sent: 0,
            bytes_total: 8 * MIB,
        }
    }

    async fn send(transfers: Transfers, replica: u64) {
        let sending = transfers.begin(transfer(replica)).await;
        for _ in 0..8 {
            sending.pass(MIB).await;
            sending.sent(MIB);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn all_transfers_together_keep_to_the_rate() {
        let transfers = Transfers::default();
        transfers.set_rate(4 * MIB);
        let began = Instant::now();
        tokio::join!(send(transfers.clone(), 1), send(transfers.clone(), 2));
        let took = began.elapsed();
        // 16 MiB, of which the last one need not be waited for.
        assert!(
            (Duration::from_millis(3_650)..=Duration::from_secs(4)).contains(&took),
            "{took:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_rate_takes_effect_while_a_transfer_waits() {
        let transfers = Transfers::default();
        transfers.set_rate(0);
        let began = Instant::now();
        let sending = tokio::spawn(send(transfers.clone(), 1));
        sleep(Duration::from_millis(1_500)).await;
        transfers.set_rate(100 * MIB);
        sending.await.expect("sent");
        let took = began.elapsed();
        assert!((Duration::from_millis(1_500)..Duration::from_secs(3)).contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_third_transfer_waits_for_its_turn_and_is_not_shown_before() {
        let transfers = Transfers::default();
        let first = transfers.begin(transfer(1)).await;
        let _second = transfers.begin(transfer(2)).await;
        first.sent(3);
        let third = tokio::spawn({
            let transfers = transfers.clone();
            async move { drop(transfers.begin(transfer(3)).await) }
        });
        sleep(Duration::from_secs(1)).await;
        let shown: Vec<_> =
            transfers.running().iter().map(|t| (t.to_replica.0, t.bytes_sent)).collect();
        assert_eq!(shown, [(1, 3), (2, 0)]);
        assert!(!third.is_finished());
        drop(first);
        third.await.expect("had its turn");
        assert_eq!(transfers.running().len(), 1);
    }
}
