//! What the engine's threads and its handles share: sinks, gates, and the published status.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};
use std::time::Instant;

use parking_lot::{Condvar, Mutex, RwLock};

use super::gates::Gate;
use super::inbox::Inbox;
use super::leases::Leases;
use super::{EngineConfig, Observer, Sink};
use crate::snapshot_dir::SnapshotDir;
use crate::{Completion, Counters, GroupStatus, Role, SinkId};

/// Shared by all threads and handles of one engine.
pub(super) struct Shared {
    pub(super) sinks: RwLock<BTreeMap<SinkId, Arc<dyn Sink>>>,
    pub(super) sink_next: AtomicU32,
    /// Requests without a completion.
    pub(super) requests: Gate,
    /// Bytes of requests the poller has not seen.
    pub(super) request_bytes: Gate,
    /// Bytes of frames the poller has not seen.
    pub(super) frame_bytes: Gate,
    pub(super) inbox: Inbox,
    pub(super) leases: Leases,
    pub(super) dirs: SnapshotDir,
    pub(super) receiving: AtomicUsize,
    pub(super) received_count: AtomicU64,
    pub(super) observer: Arc<dyn Observer>,
    published: Mutex<Published>,
    publication: Condvar,
}

#[derive(Default)]
struct Published {
    status: Arc<Vec<GroupStatus>>,
    counters: Counters,
}

impl Shared {
    pub(super) fn new(
        config: &EngineConfig,
        dirs: SnapshotDir,
        observer: Arc<dyn Observer>,
    ) -> Self {
        Self {
            sinks: RwLock::default(),
            sink_next: AtomicU32::new(1),
            requests: Gate::new(config.requests_max),
            request_bytes: Gate::new(config.request_bytes_max),
            frame_bytes: Gate::new(config.frame_bytes_max),
            inbox: Inbox::default(),
            leases: Leases::default(),
            dirs,
            receiving: AtomicUsize::new(0),
            received_count: AtomicU64::new(0),
            observer,
            published: Mutex::default(),
            publication: Condvar::new(),
        }
    }

    /// Gives completions of admitted requests to their sinks. Those of a sink that has gone are
    /// dropped: nobody waits for them.
    pub(super) fn complete(&self, completions: Vec<(SinkId, Vec<Completion>)>) {
        for (sink, completions) in completions {
            self.requests.leave(completions.len());
            self.deliver(sink, completions);
        }
    }

    /// Gives completions to a sink without letting anything out of the gate.
    pub(super) fn deliver(&self, sink: SinkId, completions: Vec<Completion>) {
        let sink = self.sinks.read().get(&sink).map(Arc::clone);
        if let Some(sink) = sink {
            sink.deliver(completions);
        }
    }

    pub(super) fn publish(&self, status: Vec<GroupStatus>, counters: Counters) {
        *self.published.lock() = Published { status: Arc::new(status), counters };
        self.publication.notify_all();
    }

    pub(super) fn status(&self) -> Arc<Vec<GroupStatus>> {
        Arc::clone(&self.published.lock().status)
    }

    pub(super) fn counters(&self) -> Counters {
        self.published.lock().counters
    }

    /// Waits until nothing is led here that another voter could lead and no request is open.
    /// Gives whether that was so before the deadline.
    pub(super) fn wait_retired(&self, deadline: Instant) -> bool {
        let mut published = self.published.lock();
        loop {
            let leads = |group: &GroupStatus| {
                group.role == Role::Leader && group.peers.iter().any(|peer| peer.voter)
            };
            if self.requests.inside() == 0 && !published.status.iter().any(leads) {
                return true;
            }
            if self.publication.wait_until(&mut published, deadline).timed_out() {
                return false;
            }
        }
    }
}
