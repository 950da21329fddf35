//! What the engine's threads and its handles share: sinks, budgets, and the published status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};
use ringkv_budget::Budget;
use ringkv_consensus::{Completion, Counters, GroupStatus, Role, SinkId};

use crate::admission::{Admission, DiskRoom};
use crate::config::EngineConfig;
use crate::inbox::Inbox;
use crate::leases::Leases;
use crate::observer::Observer;
use crate::sink::Sink;
use crate::snapshot_dir::SnapshotDir;

/// Shared by all threads and handles of one engine.
pub(crate) struct Shared {
    pub(crate) sinks: RwLock<BTreeMap<SinkId, Arc<dyn Sink>>>,
    pub(crate) sink_next: AtomicU32,
    /// Requests without a completion.
    pub(crate) requests: Budget,
    /// Bytes of requests the poller has not seen.
    pub(crate) request_bytes: Budget,
    /// Bytes of frames the poller has not seen.
    pub(crate) frame_bytes: Budget,
    pub(crate) inbox: Inbox,
    pub(crate) leases: Leases,
    pub(crate) dirs: SnapshotDir,
    pub(crate) admission: Mutex<Admission>,
    pub(crate) disk_room: DiskRoom,
    pub(crate) received_count: AtomicU64,
    pub(crate) observer: Arc<dyn Observer>,
    published: Mutex<Published>,
    publication: Condvar,
}

#[derive(Default)]
struct Published {
    status: Arc<Vec<GroupStatus>>,
    counters: Counters,
}

impl Shared {
    pub(crate) fn new(
        config: &EngineConfig,
        dirs: SnapshotDir,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            sinks: RwLock::default(),
            sink_next: AtomicU32::new(1),
            requests: Budget::new(config.requests_max),
            request_bytes: Budget::new(config.request_bytes_max),
            frame_bytes: Budget::new(config.frame_bytes_max),
            inbox: Inbox::default(),
            leases: Leases::default(),
            dirs,
            admission: Mutex::default(),
            disk_room: config.disk_room,
            received_count: AtomicU64::new(0),
            observer,
            published: Mutex::default(),
            publication: Condvar::new(),
        }
    }

    /// Passes completions of admitted requests to their sinks. Those of a sink that is gone are
    /// dropped: no caller waits for them.
    pub(crate) fn complete(&self, completions: Vec<(SinkId, Vec<Completion>)>) {
        for (sink, completions) in completions {
            self.requests.give_back(completions.len());
            self.deliver(sink, completions);
        }
    }

    /// Passes completions to a sink and returns nothing to the budgets.
    pub(crate) fn deliver(&self, sink: SinkId, completions: Vec<Completion>) {
        let sink = self.sinks.read().get(&sink).map(Arc::clone);
        if let Some(sink) = sink {
            sink.deliver(completions);
        }
    }

    pub(crate) fn publish(&self, status: Vec<GroupStatus>, counters: Counters) {
        *self.published.lock() = Published { status: Arc::new(status), counters };
        self.publication.notify_all();
    }

    pub(crate) fn status(&self) -> Arc<Vec<GroupStatus>> {
        Arc::clone(&self.published.lock().status)
    }

    pub(crate) fn counters(&self) -> Counters {
        self.published.lock().counters
    }

    /// Waits until nothing is led here that another voter could lead and no request is open.
    /// Returns whether that was so before the deadline.
    pub(crate) fn wait_retired(&self, deadline: Instant) -> bool {
        let mut published = self.published.lock();
        loop {
            let leads = |group: &GroupStatus| {
                group.role == Role::Leader && group.peers.iter().any(|peer| peer.voter)
            };
            if self.requests.used() == 0 && !published.status.iter().any(leads) {
                return true;
            }
            if self.publication.wait_until(&mut published, deadline).timed_out() {
                return false;
            }
        }
    }
}
