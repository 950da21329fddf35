//! One call from start to end: route, send, wait, and again until an answer or the deadline.
//!
//! Owns time and randomness for the pure decisions of `ringkv-routing`. A write keeps its request
//! id through every attempt.

use std::time::Duration;

use bytes::Bytes;
use ringkv_kv_types::{ErrorKind, Outcome};
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, kv_reply};
use ringkv_routing::{Attempts, Failure, Next, RetryReason, Route};
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::cluster::Cluster;
use crate::config::ClientConfig;
use crate::error::Error;
use crate::link::Reply;
use crate::options::CallOptions;
use crate::trace::{CallTrace, Timing};
use crate::watched::Watched;

/// Pauses between attempts that no node could serve.
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

/// A failed attempt, with the node's times if it was the node that failed it.
type Failed = (Failure, Timing);

impl<'a> Call<'a> {
    pub(crate) fn new(
        cluster: &'a Cluster,
        config: &ClientConfig,
        operation: Operation,
        options: CallOptions,
    ) -> Self {
        let (key, value_bytes, attempts) = match &operation {
            Operation::Get(get) => (get.key.clone(), 0, Attempts::read()),
            Operation::Put(put) => (put.key.clone(), put.value.len(), Attempts::write()),
            Operation::Delete(delete) => (delete.key.clone(), 0, Attempts::write()),
        };
        let timeout = options.timeout.unwrap_or(config.timeout);
        Self {
            cluster,
            bytes: key.len() + value_bytes,
            key,
            operation,
            trace: options.trace,
            timeout,
            deadline: Instant::now() + timeout,
            attempt_timeout: config.attempt_timeout,
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
            let (failure, timing) = match self.attempt(&route, retry).await {
                Ok(reply) => {
                    self.learn(&route);
                    return Ok(reply);
                }
                Err(failed) => failed,
            };
            let reason = failure.reason();
            let next = self.attempts.on_error(&mut self.cluster.router.write(), &route, &failure);
            let goes_on = match next {
                Next::GiveUp(outcome) => return Err(final_error(failure, timing, &route, outcome)),
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

    /// One attempt at the node of `route`, reported to the observer if the call is traced.
    async fn attempt(&self, route: &Route, retry: Option<RetryReason>) -> Result<Reply, Failed> {
        let Some(trace) = &self.trace else { return self.exchange(route, None).await };
        let (observer, operation) = (&*self.cluster.observer, name(&self.operation));
        let watched = Watched::begin(observer, trace, operation, route, retry);
        let answer = self.exchange(route, Some(watched.to_proto())).await;
        watched.end(answer.as_ref().err().map(|(failure, _)| failure.slug()));
        answer
    }

    /// Sends the request to the node of `route` and waits for its answer, at most until the
    /// attempt's end.
    async fn exchange(
        &self,
        route: &Route,
        trace: Option<v1::TraceContext>,
    ) -> Result<Reply, Failed> {
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
        let answer = match self.cluster.links.get(route.node, self.bytes) {
            None => Err(Failure::NotSent),
            Some(link) => match link.send(request) {
                Err(failure) => Err(failure),
                Ok(mut pending) => match tokio::time::timeout_at(end, &mut pending).await {
                    Err(_) => Err(pending.abandon()),
                    Ok(answer) => answer,
                },
            },
        };
        match answer {
            Err(failure) => Err((failure, Timing::default())),
            Ok(Reply { result: kv_reply::Result::Error(error), timing }) => {
                Err((Failure::Reply(error), timing))
            }
            Ok(reply) => Ok(reply),
        }
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
        // In both cases another attempt is of use: time has passed, or the topology changed.
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
                format!("no answer came within {timeout_ms} ms: the write may have applied"),
            ),
            (_, RetryReason::NotReady) => (
                ErrorKind::NotReady,
                format!("the client had no topology of a bootstrapped cluster for {timeout_ms} ms"),
            ),
            (_, RetryReason::Busy) => (
                ErrorKind::Overloaded,
                format!("the key's group stayed too busy for {timeout_ms} ms"),
            ),
            _ => (
                ErrorKind::NoLeader,
                format!("no leader of the key's group answered within {timeout_ms} ms"),
            ),
        };
        let group = route.map(|route| route.group);
        let leader = group.and_then(|group| self.cluster.router.read().leader(group));
        Error { group, leader, ..Error::new(kind, outcome, message) }
    }
}

fn final_error(failure: Failure, timing: Timing, route: &Route, outcome: Outcome) -> Error {
    let error = match failure {
        Failure::Reply(error) => Error { timing, ..Error::from_reply(error, outcome) },
        // Only a reply is ever final.
        Failure::NotSent | Failure::Lost | Failure::Silent => {
            Error::new(ErrorKind::NoLeader, outcome, "the key's group could not be reached")
        }
    };
    Error { group: Some(route.group), ..error }
}

/// The operation as the schema names it.
fn name(operation: &Operation) -> &'static str {
    match operation {
        Operation::Get(_) => "Get",
        Operation::Put(_) => "Put",
        Operation::Delete(_) => "Delete",
    }
}
