//! Starting and stopping: brings the parts together, and takes them apart in the right order.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use ringkv_consensus::{
    ApplyTask, Fetch, Flusher, Input, Installer, LogBatch, LogReader, LogWriter, Poller,
    SnapshotBuilder, SnapshotId, StateMachine,
};
use ringkv_topology::GroupId;

use crate::config::EngineConfig;
use crate::handle::Handle;
use crate::inbox::Message;
use crate::observer::Observer;
use crate::poller::{PollerThread, Senders};
use crate::repair::EngineError;
use crate::shared::Shared;
use crate::snapshot_dir::SnapshotDir;
use crate::threads::{fatal, spawn};
use crate::transport::Transport;
use crate::{apply, flush, install, log, repair, snapshot};

/// A running engine: all groups of one node. Dropping it without [`Engine::stop`] is
/// equivalent to a crash: threads end, nothing is handed over or flushed.
pub struct Engine {
    handle: Handle,
    flusher: Arc<dyn Flusher>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Loads the log, finishes what the last run left half done, and starts the threads.
    ///
    /// The clones of `log` share one store: one thread writes it, another one reads it. `transport`
    /// is made with the handle it reports to. Requests are taken at once, and refused as long as no
    /// leader is known.
    ///
    /// # Errors
    /// `EngineError` when a store cannot be read, or log and state do not belong together.
    pub fn start<L: LogReader + LogWriter + Clone, M: StateMachine>(
        config: EngineConfig,
        log: L,
        mut machine: M,
        observer: Arc<dyn Observer>,
        transport: impl FnOnce(Handle) -> Arc<dyn Transport>,
    ) -> Result<Self, EngineError> {
        let stored = log.load().map_err(EngineError::Log)?;
        let tombstones = log.tombstones().map_err(EngineError::Log)?;
        let dirs = SnapshotDir::open(&config.snapshot_dir, &repair::marked(&stored))
            .map_err(EngineError::Snapshots)?;
        let applied = repair::repair(&mut machine, &stored, &tombstones, &dirs)?;
        let reader: Arc<dyn LogReader> = Arc::new(log.clone());
        let poller = Poller::new(config.poller.clone(), stored, applied, Arc::clone(&reader))
            .map_err(EngineError::Core)?;

        let shared = Arc::new(Shared::new(&config, dirs, observer));
        shared.publish(poller.status(), poller.counters());
        let handle = Handle { shared };
        let (senders, receivers) = channels(transport(handle.clone()));
        let flusher = machine.flusher();
        let poller = PollerThread { poller, handle: handle.clone(), senders, tick: config.tick };
        let parts = Parts {
            log,
            reader,
            builder: machine.snapshot_builder(),
            installer: machine.installer(),
            machine,
            flusher: Arc::clone(&flusher),
            life: config.poller.seed,
        };
        let threads = parts.start(receivers, poller).map_err(EngineError::Threads)?;
        Ok(Self { handle, flusher, threads })
    }

    /// A handle for requests and frames.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Blocks. Hands over what is led here, waits for open requests up to `deadline`, then ends the
    /// threads and makes the state machine durable. Requests still open then get no completion:
    /// their outcome is unknown.
    pub fn stop(mut self, deadline: Duration) {
        self.handle.input(Input::Retire);
        if !self.handle.shared.wait_retired(Instant::now() + deadline) {
            tracing::warn!("stopping with leaders or open requests left at the deadline");
        }
        self.end_threads();
        if let Err(error) = self.flusher.flush() {
            fatal(&error);
        }
    }

    fn end_threads(&mut self) {
        // The poller takes this as its last message; the others end when its channels go.
        let _ = self.handle.shared.inbox.put(Message::Stop);
        for thread in self.threads.drain(..) {
            thread.join().expect("a panic in an engine thread ends the process");
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end_threads();
    }
}

/// The other ends of [`Senders`].
struct Receivers {
    log: Receiver<LogBatch>,
    apply: Receiver<Vec<ApplyTask>>,
    flush: Receiver<()>,
    fetch: Receiver<Fetch>,
    build: Receiver<GroupId>,
    discard: Receiver<(GroupId, SnapshotId)>,
}

/// A queue whose content is bounded before it is put in: what goes to apply by the poller's limit
/// on unapplied bytes; fetches by one per follower; builds, discards and installs by one per group.
#[expect(
    clippy::disallowed_methods,
    reason = "bounded in bytes at the entry; a bound in messages could block the poller"
)]
fn gated<T>() -> (Sender<T>, Receiver<T>) {
    unbounded()
}

/// One batch and one waiting flush have room.
fn channels(transport: Arc<dyn Transport>) -> (Senders, Receivers) {
    let (log, log_end) = bounded(1);
    let (apply, apply_end) = gated();
    let (flush, flush_end) = bounded(1);
    let (fetch, fetch_end) = gated();
    let (build, build_end) = gated();
    let (discard, discard_end) = gated();
    let receivers = Receivers {
        log: log_end,
        apply: apply_end,
        flush: flush_end,
        fetch: fetch_end,
        build: build_end,
        discard: discard_end,
    };
    (Senders { log, apply, flush, fetch, build, discard, transport }, receivers)
}

/// What the threads work on.
struct Parts<L, M> {
    log: L,
    reader: Arc<dyn LogReader>,
    machine: M,
    builder: Arc<dyn SnapshotBuilder>,
    installer: Arc<dyn Installer>,
    flusher: Arc<dyn Flusher>,
    life: u64,
}

impl<L: LogWriter, M: StateMachine> Parts<L, M> {
    /// Starts all threads, the poller's last: it sends work to the others.
    fn start(
        self,
        receivers: Receivers,
        poller: PollerThread,
    ) -> std::io::Result<Vec<JoinHandle<()>>> {
        let Self { log, reader, machine, builder, installer, flusher, life } = self;
        let Receivers { log: batches, apply: tasks, flush: requests, fetch, build, discard } =
            receivers;
        let (work, work_end) = gated();
        let (done_end, done) = gated();
        let queues = apply::Queues { tasks, work, done };
        let handle = || poller.handle.clone();
        let (h1, h2, h3, h4, h5) = (handle(), handle(), handle(), handle(), handle());
        let (h6, h7) = (handle(), handle());
        Ok(vec![
            spawn("raft-log", move || log::run(log, &batches, &h1))?,
            spawn("raft-apply", move || apply::run(machine, queues, &h2))?,
            spawn("raft-install", move || install::run(&installer, &work_end, &done_end, &h3))?,
            spawn("raft-flush", move || flush::run(&flusher, &requests, &h4))?,
            spawn("raft-fetch", move || snapshot::run_fetch(&reader, &fetch, &h5))?,
            spawn("raft-snapshot", move || snapshot::run(&builder, life, &build, &h6))?,
            spawn("raft-discard", move || snapshot::run_discard(&discard, &h7))?,
            spawn("raft-poller", move || poller.run())?,
        ])
    }
}
