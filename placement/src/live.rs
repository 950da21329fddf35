//! Which of placement's own replicas the leader has heard from lately.
//!
//! Raft clears its own mark of activity at every check of its quorum, so a replica that is alive may
//! look silent for an instant; here it counts as live for some seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ringkv_consensus::{GroupStatus, Role};
use ringkv_topology::ReplicaId;

/// A replica that was silent for this long is not live, and a leader must have led for this long
/// before it says so.
const SILENT_AFTER: Duration = Duration::from_secs(3);

/// What this replica has seen while it leads.
#[derive(Default)]
pub(crate) struct Live {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    leads_since: Option<Instant>,
    heard: BTreeMap<ReplicaId, Instant>,
}

impl Live {
    /// Takes the status of the group into account; to be called several times a second.
    pub(crate) fn look(&self, status: Option<&GroupStatus>) {
        let mut seen = self.seen.lock();
        let Some(status) = status.filter(|status| status.role == Role::Leader) else {
            *seen = Seen::default();
            return;
        };
        let now = Instant::now();
        seen.leads_since.get_or_insert(now);
        seen.heard.insert(status.replica, now);
        let active = status.peers.iter().filter(|peer| peer.recently_active);
        seen.heard.extend(active.map(|peer| (peer.replica, now)));
        seen.heard.retain(|id, _| status.members.node_of(*id).is_some());
    }

    /// The live replicas, this one included; none unless this replica leads.
    pub(crate) fn replicas(&self) -> BTreeSet<ReplicaId> {
        let seen = self.seen.lock();
        let live = seen.heard.iter().filter(|(_, heard)| heard.elapsed() < SILENT_AFTER);
        live.map(|(id, _)| *id).collect()
    }

    /// Whether this replica has led for long enough to say that another is not live.
    pub(crate) fn is_settled(&self) -> bool {
        self.seen.lock().leads_since.is_some_and(|since| since.elapsed() >= SILENT_AFTER)
    }
}
