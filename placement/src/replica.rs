//! This replica's access to its consensus group: propose a command, get a read point, see who
//! leads.
//!
//! Owns the open requests of the service and ends each by its deadline. Distinguishes three
//! results: done, not done (`NotLeader`, `Busy`, `Stopping`), and unknown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use parking_lot::Mutex;
use ringkv_consensus::{Completion, Done, GroupStatus, MembersChange, Request, Role, Term, Ticket};
use ringkv_engine::{Handle, Registration, Sink};
use ringkv_placement_core::command::{Command, CommandResult};
use ringkv_placement_core::image::GROUP;
use ringkv_telemetry::trace::{
    Span, SpanKind, TraceState, Tracer, new_span_id, new_trace_id, sampled,
};
use ringkv_topology::NodeId;
use tokio::sync::oneshot;

/// Timeout of a request. A change of leader takes about 2 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("this placement replica is not the leader")]
    NotLeader { leader: Option<NodeId> },
    #[error("this placement replica has too many open requests")]
    Busy,
    #[error("this placement replica is stopping")]
    Stopping,
    #[error("the result of the request is unknown: {0}")]
    Unknown(String),
}

impl RequestError {
    fn slug(&self) -> &'static str {
        match self {
            Self::NotLeader { .. } => "not_leader",
            Self::Busy => "busy",
            Self::Stopping => "shutting_down",
            Self::Unknown(_) => "unknown",
        }
    }
}

fn span_name(command: &Command) -> &'static str {
    match command {
        Command::Init { .. } => "placement.init",
        Command::Register { .. } => "placement.register",
        Command::Bootstrap { .. } => "placement.form",
        Command::Replicas(_) => "placement.replicas",
        Command::Operation(_) => "placement.operation",
        Command::Members(_) => "placement.members",
    }
}

/// Proposes and reads through the engine.
pub(crate) struct Replica {
    handle: Handle,
    registration: Registration,
    open: Arc<Open>,
    next: AtomicU64,
    tracer: Tracer,
    /// The term in which this replica leads, and when that was first seen.
    led: Mutex<Option<(Term, Instant)>>,
}

/// Requests that wait for a completion. The engine bounds their number.
#[derive(Default)]
struct Open {
    requests: Mutex<BTreeMap<u64, oneshot::Sender<Result<Done, ringkv_consensus::RequestError>>>>,
}

impl Sink for Open {
    fn deliver(&self, completions: Vec<Completion>) {
        let mut requests = self.requests.lock();
        for completion in completions {
            if let Some(waiting) = requests.remove(&completion.id) {
                // The waiting task may have been dropped.
                let _ = waiting.send(completion.result);
            }
        }
    }
}

impl Replica {
    pub(crate) fn new(handle: Handle, tracer: Tracer) -> Self {
        let open = Arc::new(Open::default());
        let registration = handle.register(Arc::clone(&open) as Arc<dyn Sink>);
        let (next, led) = (AtomicU64::new(1), Mutex::default());
        Self { handle, registration, open, next, tracer, led }
    }

    /// Replicates and applies a command. Returns its result.
    pub(crate) async fn propose(&self, command: &Command) -> Result<CommandResult, RequestError> {
        let (trace, began) = (new_trace_id(), SystemTime::now());
        let done = self.propose_bytes(command.encode()).await;
        // Every change of the cluster starts its own trace: there are few.
        if self.tracer.samples(trace, None) {
            let context = sampled(trace, new_span_id(), TraceState::NONE);
            let times = (began, SystemTime::now());
            let error = done.as_ref().err().map(RequestError::slug);
            let span = Span::new(span_name(command), SpanKind::Internal, context, times);
            self.tracer.record(Span { error, ..span });
        }
        done
    }

    async fn propose_bytes(&self, command: Bytes) -> Result<CommandResult, RequestError> {
        match self.request(|ticket| Request::Propose { group: GROUP, command, ticket }).await? {
            Done::Applied(result) => decode(&result),
            Done::ReadReady => Err(RequestError::Unknown("unexpected completion type".into())),
        }
    }

    /// Changes the members of the group, as its leader.
    pub(crate) async fn change_members(&self, change: MembersChange) -> Result<(), RequestError> {
        let request = |ticket| Request::ChangeMembers { group: GROUP, change, ticket };
        self.request(request).await.map(|_| ())
    }

    /// Hands leadership to the replica on another node.
    pub(crate) fn hand_over(&self, to: NodeId) {
        self.handle.transfer_leader(GROUP, to);
    }

    /// Returns once this replica has applied every change that was acknowledged before the call.
    pub(crate) async fn read_point(&self) -> Result<(), RequestError> {
        self.request(|ticket| Request::Read { group: GROUP, ticket }).await.map(|_| ())
    }

    /// The status of the group on this replica, as of a few ticks ago.
    pub(crate) fn status(&self) -> Option<GroupStatus> {
        self.handle.status().iter().find(|status| status.group == GROUP).cloned()
    }

    /// Whether this replica leads, as of a few ticks ago.
    pub(crate) fn leads(&self) -> bool {
        self.status().is_some_and(|status| status.role == Role::Leader)
    }

    /// How long this replica has led without a break; `None` if it does not lead. It counts from the
    /// first call in a term: the caller asks at least once a second.
    pub(crate) fn led_for(&self) -> Option<Duration> {
        let status = self.status().filter(|status| status.role == Role::Leader);
        let mut led = self.led.lock();
        *led = status.map(|status| match *led {
            Some((term, since)) if term == status.term => (term, since),
            _ => (status.term, Instant::now()),
        });
        led.map(|(_, since)| since.elapsed())
    }

    /// The leader, if known.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        self.status().and_then(|status| status.leader)
    }

    async fn request(&self, request: impl FnOnce(Ticket) -> Request) -> Result<Done, RequestError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.open.requests.lock().insert(id, sender);
        let _forget = Forget { open: &self.open, id };
        self.handle.submit(vec![request(Ticket { sink: self.registration.id(), id })]);
        match tokio::time::timeout(REQUEST_TIMEOUT, receiver).await {
            Ok(Ok(Ok(done))) => Ok(done),
            Ok(Ok(Err(refusal))) => Err(refused(refusal)),
            Ok(Err(_)) => Err(RequestError::Unknown("the engine has stopped".into())),
            Err(_) => Err(RequestError::Unknown("deadline exceeded".into())),
        }
    }
}

/// Removes a request from the list however its wait ends, also when the caller is dropped.
struct Forget<'a> {
    open: &'a Open,
    id: u64,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.open.requests.lock().remove(&self.id);
    }
}

fn decode(result: &Bytes) -> Result<CommandResult, RequestError> {
    CommandResult::decode(result).map_err(|error| RequestError::Unknown(error.to_string()))
}

fn refused(error: ringkv_consensus::RequestError) -> RequestError {
    use ringkv_consensus::RequestError as Engine;

    match error {
        Engine::NotLeader { leader } => RequestError::NotLeader { leader },
        Engine::NoGroup => RequestError::NotLeader { leader: None },
        Engine::Busy => RequestError::Busy,
        Engine::ShuttingDown => RequestError::Stopping,
        Engine::LeadershipLost | Engine::ChangeRejected | Engine::QuorumAtRisk => {
            RequestError::Unknown(error.to_string())
        }
    }
}
