//! How the rest of the process speaks to the engine. Nothing here blocks.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use ringkv_consensus::{
    Completion, Counters, Genesis, GroupStatus, Input, Request, RequestError, SinkId, Ticket,
};
use ringkv_topology::{GroupId, NodeId, ReadMode, ReplicaId};

use crate::clock::boot_us;
use crate::inbox::Message;
use crate::shared::Shared;
use crate::sink::Sink;

/// A way into the engine; cheap to clone, of no effect once the engine has stopped.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

/// A sink's place in the engine; completions for it are dropped once this is.
pub struct Registration {
    id: SinkId,
    shared: Arc<Shared>,
}

impl Registration {
    /// To put in [`Ticket::sink`].
    pub fn id(&self) -> SinkId {
        self.id
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.shared.sinks.write().remove(&self.id);
    }
}

impl Handle {
    /// Makes `sink` known; it receives the completions of tickets with the registration's id.
    pub fn register(&self, sink: Arc<dyn Sink>) -> Registration {
        let id = SinkId(self.shared.sink_next.fetch_add(1, Ordering::Relaxed));
        self.shared.sinks.write().insert(id, sink);
        Registration { id, shared: Arc::clone(&self.shared) }
    }

    /// Hands requests in. Each gets exactly one completion, unless the engine is stopped before
    /// its outcome is known; those that find a budget used up get `Busy` at once.
    pub fn submit(&self, mut requests: Vec<Request>) {
        let mut rejected = Vec::new();
        let mut bytes = self.weight(requests.iter().map(request_bytes).sum());
        if !self.admit(requests.len(), bytes) {
            bytes = 0;
            let (fit, full) = requests.into_iter().partition(|request| {
                let weight = self.weight(request_bytes(request));
                let fits = self.admit(1, weight);
                bytes += if fits { weight } else { 0 };
                fits
            });
            (requests, rejected) = (fit, full);
        }
        if !requests.is_empty()
            && let Err(Message::Requests { requests, bytes }) =
                self.shared.inbox.put(Message::Requests { requests, bytes })
        {
            self.shared.requests.give_back(requests.len());
            self.shared.request_bytes.give_back(bytes);
            self.reject(requests, RequestError::ShuttingDown);
        }
        if !rejected.is_empty() {
            self.shared.observer.rejected(rejected.len());
            self.reject(rejected, RequestError::Busy);
        }
    }

    fn weight(&self, bytes: usize) -> usize {
        self.shared.request_bytes.weight(bytes)
    }

    fn admit(&self, count: usize, bytes: usize) -> bool {
        if !self.shared.requests.take(count) {
            return false;
        }
        let fits = self.shared.request_bytes.take(bytes);
        if !fits {
            self.shared.requests.give_back(count);
        }
        fits
    }

    /// Completes requests that were never admitted.
    fn reject(&self, requests: Vec<Request>, error: RequestError) {
        for request in requests {
            let Ticket { sink, id } = ticket(&request);
            self.shared.deliver(sink, vec![Completion::rejected(id, error)]);
        }
    }

    /// A frame from a peer's [`crate::Transport`]. Dropped, and counted, if too many bytes of
    /// frames wait already: Raft sends again.
    pub fn frame(&self, from: NodeId, frame: Bytes) {
        let bytes = self.shared.frame_bytes.weight(frame.len());
        if !self.shared.frame_bytes.take(bytes) {
            return self.shared.observer.frame_dropped(frame.len());
        }
        if self.shared.inbox.put(Message::Frame { from, frame }).is_err() {
            self.shared.frame_bytes.give_back(bytes);
        }
    }

    /// Frames to `node` were lost, or it is not connected.
    pub fn unreachable(&self, node: NodeId) {
        self.input(Input::Unreachable { node });
    }

    /// So many bytes of a snapshot have left for another node.
    pub fn snapshot_bytes_sent(&self, bytes: u64) {
        self.shared.observer.snapshot_bytes_sent(bytes);
    }

    /// The end of [`crate::Transport::send_snapshot`]; `ok` once the other side has it whole.
    pub fn snapshot_sent(&self, group: GroupId, to: ReplicaId, ok: bool) {
        self.input(Input::SnapshotSent { group, to, ok });
    }

    /// Whether a read of the group, asked for before this call, may be served from the state
    /// machine here at once. Never with [`ReadMode::ReadIndex`]; a read that may not asks by
    /// [`Request::Read`].
    pub fn may_read(&self, group: GroupId) -> bool {
        self.shared.leases.hold(group, boot_us)
    }

    /// Says how reads are served; until then by read-index.
    pub fn set_read_mode(&self, mode: ReadMode) {
        self.input(Input::ReadMode(mode));
    }

    /// Sets a group up on this node; nothing happens if it is here already.
    pub fn create(&self, genesis: Genesis) {
        self.input(Input::Create(genesis));
    }

    /// The replica is out of its group for good: removes all of it here. Nothing happens if it is
    /// not here.
    pub fn destroy(&self, group: GroupId, replica: ReplicaId) {
        self.input(Input::Destroy { group, replica });
    }

    /// Makes this node's replica stand for election, if the group has no leader.
    pub fn campaign(&self, group: GroupId) {
        self.input(Input::Campaign { group });
    }

    /// The state of the group's replica here is wrong: it serves no more until the leader's
    /// snapshot has replaced it.
    pub fn rebuild(&self, group: GroupId) {
        self.input(Input::Rebuild { group });
    }

    /// Hands leadership of a group led here to its replica on `to`.
    pub fn transfer_leader(&self, group: GroupId, to: NodeId) {
        self.input(Input::TransferLeader { group, to });
    }

    /// The state of every group, ascending by id, as of at most a few ticks ago.
    pub fn status(&self) -> Arc<Vec<GroupStatus>> {
        self.shared.status()
    }

    /// What has happened since the start, as of at most a few ticks ago.
    pub fn counters(&self) -> Counters {
        self.shared.counters()
    }

    /// Whether the engine still takes requests.
    pub fn is_open(&self) -> bool {
        self.shared.inbox.is_open()
    }

    pub(crate) fn input(&self, input: Input) {
        // A closed inbox means that the engine has stopped: no caller waits for the answer.
        let _ = self.shared.inbox.put(Message::Input(Box::new(input)));
    }
}

/// What a request counts for in the budget, in bytes: its command and the room it takes in queues.
fn request_bytes(request: &Request) -> usize {
    const OVERHEAD: usize = 64;
    OVERHEAD
        + match request {
            Request::Propose { command, .. } => command.len(),
            Request::Read { .. } | Request::ChangeMembers { .. } => 0,
        }
}

pub(crate) fn ticket(request: &Request) -> Ticket {
    match request {
        Request::Propose { ticket, .. }
        | Request::Read { ticket, .. }
        | Request::ChangeMembers { ticket, .. } => *ticket,
    }
}
