//! One call from start to end: route, send, wait, and again until an answer or the deadline.
//!
//! Owns time and randomness for the pure decisions of `routing`. A write keeps its request id
//! through every attempt.

use std::time::Duration;

use bytes::Bytes;
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, ErrorCode, kv_reply};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::error::{Error, ErrorKind, Outcome};
use crate::link::{Fault, Reply};
use crate::observer::RetryReason;
use crate::routing::{Attempts, Failure, Next, Route};
use crate::trace::{CallTrace, Timing};
use crate::watched::Watched;

/// Pauses between attempts that found no one to serve them.
const PAUSE_FIRST: Duration = Duration::from_millis(5);
const PAUSE_LONGEST: Duration = Duration::from_millis(200);

/// A call under way.
pub(crate) struct Call<'a> {
    cluster: &'a Cluster,
    key: Bytes,
    operation: Operation,
    trace: Option<CallTrace>,
    /// Key and value, in bytes.
    bytes: usize,
    timeout: Duration,
    deadline: Instant,
    attempt_timeout: Duration,
    attempts: Attempts,
    backoff: Backoff,
}

/// How one attempt ended without a result.
enum Ended {
    Reply(v1::Error, Timing),
    NotSent,
    Lost,
    Silent,
}

impl<'a> Call<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        operation: Operation,
        trace: Option<CallTrace>,
        timeout: Duration,
        attempt_timeout: Duration,
    ) -> Self {
        let (key, value_bytes, attempts) = match &operation {
            Operation::Get(get) => (get.key.clone(), 0, Attempts::read()),
            Operation::Put(put) => (put.key.clone(), put.value.len(), Attempts::write()),
            Operation::Delete(delete) => (delete.key.clone(), 0, Attempts::write()),
        };
        Self {
            cluster,
            bytes: key.len() + value_bytes,
            key,
            operation,
            trace,
            timeout,
            deadline: Instant::now() + timeout,
            attempt_timeout,
            attempts,
            backoff: Backoff::new(PAUSE_FIRST, PAUSE_LONGEST),
        }
    }

    /// The result, or why there is none by the deadline.
    pub(crate) async fn run(mut self) -> Result<Reply, Error> {
        let mut retry = None;
        loop {
            let routed = self.cluster.router.read().route(&self.key, &self.attempts);
            let Ok(route) = routed else {
                if self.pause().await {
                    self.cluster.observer.retried(RetryReason::NotReady);
                    retry = Some(RetryReason::NotReady);
                    continue;
                }
                return Err(self.give_up(None, RetryReason::NotReady));
            };
            let ended = match self.attempt(&route, retry).await {
                Ok(reply) => {
                    self.learn(&route);
                    return Ok(reply);
                }
                Err(ended) => ended,
            };
            let reason = ended.reason();
            let next = self.decide(&route, &ended);
            let goes_on = match next {
                Next::GiveUp(outcome) => return Err(final_error(ended, &route, outcome)),
                Next::RetryAt(_) => Instant::now() < self.deadline,
                Next::Backoff => self.pause().await,
                Next::Refresh(_) => {
                    self.cluster.refresh.notify_one();
                    self.pause().await
                }
            };
            if !goes_on {
                return Err(self.give_up(Some(&route), reason));
            }
            self.cluster.observer.retried(reason);
            retry = Some(reason);
        }
    }

    /// One attempt at the node of `route`, which its observer hears of if the call is traced.
    async fn attempt(&self, route: &Route, retry: Option<RetryReason>) -> Result<Reply, Ended> {
        let Some(trace) = &self.trace else { return self.exchange(route, None).await };
        let (observer, operation) = (&*self.cluster.observer, name(&self.operation));
        let watched = Watched::begin(observer, trace, operation, route, retry);
        let answer = self.exchange(route, Some(watched.to_proto())).await;
        watched.end(answer.as_ref().err().map(Ended::slug));
        answer
    }

    /// Sends the request to the node of `route` and waits for its answer, at most until the
    /// attempt's end.
    async fn exchange(
        &self,
        route: &Route,
        trace: Option<v1::TraceContext>,
    ) -> Result<Reply, Ended> {
        let now = Instant::now();
        let end = self.deadline.min(now + self.attempt_timeout);
        let left_ms = end.saturating_duration_since(now).as_millis().max(1);
        let request = v1::KvRequest {
            id: 0,
            group: route.group.0,
            epoch: route.epoch.0,
            timeout_ms: u32::try_from(left_ms).unwrap_or(u32::MAX),
            trace,
            operation: Some(self.operation.clone()),
        };
        let link = self.cluster.links.get(route.node, self.bytes).ok_or(Ended::NotSent)?;
        let mut pending = link.send(request)?;
        match tokio::time::timeout_at(end, &mut pending).await {
            Err(_) => match pending.abandon() {
                Fault::NotSent => Err(Ended::NotSent),
                Fault::Lost => Err(Ended::Silent),
            },
            Ok(Err(fault)) => Err(fault.into()),
            Ok(Ok(Reply { result: kv_reply::Result::Error(error), timing })) => {
                Err(Ended::Reply(error, timing))
            }
            Ok(Ok(reply)) => Ok(reply),
        }
    }

    fn decide(&mut self, route: &Route, ended: &Ended) -> Next {
        let failure = match ended {
            Ended::Reply(error, _) => Failure::Reply(error),
            Ended::NotSent => Failure::NotSent,
            Ended::Lost => Failure::Lost,
            Ended::Silent => Failure::Silent,
        };
        self.attempts.on_error(&mut self.cluster.router.write(), route, failure)
    }

    fn learn(&self, route: &Route) {
        if self.cluster.router.read().teaches(route) {
            self.cluster.router.write().on_success(route);
        }
    }

    /// Waits for the next topology or the end of the pause; false if the deadline has passed.
    async fn pause(&mut self) -> bool {
        let end = self.deadline.min(Instant::now() + self.backoff.pause());
        let mut updates = self.cluster.updates();
        // Either way there is something new to try: time has passed, or the topology changed.
        let _ = tokio::time::timeout_at(end, updates.changed()).await;
        Instant::now() < self.deadline
    }

    /// The error of a call whose deadline passed.
    fn give_up(&self, route: Option<&Route>, last: RetryReason) -> Error {
        let outcome = self.attempts.outcome();
        let timeout_ms = self.timeout.as_millis();
        let (kind, message) = match (outcome, last) {
            (Outcome::Unknown, _) => (
                ErrorKind::OutcomeUnknown,
                format!("no answer within {timeout_ms} ms tells whether the write applied"),
            ),
            (_, RetryReason::NotReady) => (
                ErrorKind::NotReady,
                format!("the cluster was not formed, or not known here, for {timeout_ms} ms"),
            ),
            (_, RetryReason::Busy) => {
                (ErrorKind::Busy, format!("the key's group stayed too busy for {timeout_ms} ms"))
            }
            _ => (
                ErrorKind::Unavailable,
                format!("no leader of the key's group answered within {timeout_ms} ms"),
            ),
        };
        let group = route.map(|route| route.group);
        let leader = group.and_then(|group| self.cluster.router.read().leader(group));
        Error { group, leader, ..Error::new(kind, outcome, message) }
    }
}

fn final_error(ended: Ended, route: &Route, outcome: Outcome) -> Error {
    let error = match ended {
        Ended::Reply(error, timing) => Error { timing, ..Error::from_reply(error, outcome) },
        // Only a reply is ever final.
        Ended::NotSent | Ended::Lost | Ended::Silent => {
            Error::new(ErrorKind::Unavailable, outcome, "the key's group could not be reached")
        }
    };
    Error { group: Some(route.group), ..error }
}

impl Ended {
    /// The name of it in a trace: the node's word, or what became of the connection.
    fn slug(&self) -> &'static str {
        match self {
            Self::Reply(error, _) => error.code().slug(),
            other => other.reason().slug(),
        }
    }

    fn reason(&self) -> RetryReason {
        match self {
            Self::NotSent => RetryReason::Unreachable,
            Self::Lost => RetryReason::ConnectionLost,
            Self::Silent => RetryReason::Silent,
            Self::Reply(error, _) => match error.code() {
                ErrorCode::Moved | ErrorCode::NoGroup => RetryReason::Moved,
                ErrorCode::Busy => RetryReason::Busy,
                ErrorCode::LeadershipLost => RetryReason::LeadershipLost,
                ErrorCode::Deadline => RetryReason::Silent,
                _ => RetryReason::NotLeader,
            },
        }
    }
}

/// The operation as the schema names it.
fn name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Get(_) => "Get",
        Operation::Put(_) => "Put",
        Operation::Delete(_) => "Delete",
    }
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::NotSent => Self::NotSent,
            Fault::Lost => Self::Lost,
        }
    }
}
