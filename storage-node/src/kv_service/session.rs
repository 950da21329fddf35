//! One Kv stream, as a stream of replies.
//!
//! All work happens in `poll_next`, on the task that writes the replies to the socket, in a fixed
//! order: new requests, completions, passed deadlines. It returns a batch as soon as it has any
//! reply, and closes it at [`BATCH_BYTES`]. Every request gets exactly one reply.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ringkv_consensus::{Completion, Done, Request, RequestError, Ticket};
use ringkv_engine::{Registration, Sink, boot_us};
use ringkv_proto::v1::kv_reply::Result as ReplyResult;
use ringkv_proto::v1::{Error, ErrorCode, KvReplies, KvReply, KvRequests};
use ringkv_storage_core::machine::ReadError;
use ringkv_storage_core::service::accept::{self, Accepted, Op, Read};
use ringkv_storage_core::service::open_requests::{OPEN_MAX, OpenRequests};
use ringkv_storage_core::service::stages::Stages;
use ringkv_storage_core::service::{convert, reply};
use ringkv_storage_core::store::StoreError;
use ringkv_telemetry::trace::SpanContext;
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;

use crate::kv_service::Context;
use crate::kv_service::inbox::Inbox;
use crate::kv_service::spans::{self, End, OpenEntry, Traced};

/// A batch of replies is closed at this size; the last reply may go over it by one value.
const BATCH_BYTES: usize = 1 << 20;
/// Batches read before replies are made.
const BATCHES_PER_TURN: usize = 8;
/// How late a deadline may be noticed.
const SWEEP_INTERVAL: Duration = Duration::from_millis(50);

/// A stream of requests turned into the stream of their replies.
pub(crate) struct Session<S> {
    context: Arc<Context>,
    /// `None` once it has ended.
    incoming: Option<S>,
    inbox: Arc<Inbox>,
    registration: Registration,
    open: OpenRequests<Waiting>,
    /// Taken from the inbox and not replied to yet.
    completed: VecDeque<Completion>,
    /// The log entry that traced completions were last in.
    entry: Option<OpenEntry>,
    batch: Vec<KvReply>,
    batch_bytes: usize,
    /// Where deadlines are counted from.
    began: Instant,
    /// Armed while requests are open.
    sweep: Option<Pin<Box<Sleep>>>,
    stopped: Pin<Box<WaitForCancellationFutureOwned>>,
    /// The error that ended the stream early; sent to the client last.
    failure: Option<Status>,
}

/// What is needed to reply to an open request.
#[derive(Debug)]
struct Waiting {
    /// The client's own.
    id: u64,
    op: Op,
    /// By the engine's clock.
    arrived_us: u64,
    /// For a get: what to read once the engine says so.
    read: Option<Read>,
    /// Only of a traced request.
    traced: Option<Box<Traced>>,
}

impl<S> Session<S>
where
    S: Stream<Item = Result<KvRequests, Status>> + Unpin,
{
    /// A session over the requests of `incoming`.
    pub(super) fn new(context: Arc<Context>, incoming: S) -> Self {
        let inbox = Arc::new(Inbox::default());
        let registration = context.engine.register(Arc::clone(&inbox) as Arc<dyn Sink>);
        context.metrics.stream(1);
        Self {
            incoming: Some(incoming),
            inbox,
            registration,
            open: OpenRequests::new(OPEN_MAX),
            completed: VecDeque::new(),
            entry: None,
            batch: Vec::new(),
            batch_bytes: 0,
            began: Instant::now(),
            sweep: None,
            stopped: Box::pin(context.stopped.clone().cancelled_owned()),
            failure: None,
            context,
        }
    }

    /// Reads up to [`BATCHES_PER_TURN`] batches and submits their requests together. Returns
    /// whether there may be more.
    fn take_in(&mut self, cx: &mut TaskContext<'_>) -> bool {
        let mut requests = Vec::new();
        let mut more = true;
        for _ in 0..BATCHES_PER_TURN {
            let Some(incoming) = &mut self.incoming else {
                more = false;
                break;
            };
            match Pin::new(incoming).poll_next(cx) {
                Poll::Ready(Some(Ok(batch))) => self.accept(batch, &mut requests),
                Poll::Ready(Some(Err(status))) => {
                    self.failure = Some(status);
                    self.incoming = None;
                }
                Poll::Ready(None) => self.incoming = None,
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        if !requests.is_empty() {
            self.context.engine.submit(requests);
        }
        more
    }

    fn accept(&mut self, batch: KvRequests, requests: &mut Vec<Request>) {
        let context = Arc::clone(&self.context);
        let topology = context.view.get();
        let (arrived_us, disk_full) = (boot_us(), context.disk.is_full());
        let now_ms = self.elapsed_ms(Instant::now());
        for request in batch.requests {
            // A request that names no operation counts as a read: nothing was applied.
            let op = accept::op(&request).unwrap_or(Op::Get);
            let traced = context.spans.begin(request.trace.as_ref(), request.group);
            let waiting = Waiting { id: request.id, op, arrived_us, read: None, traced };
            match accept::accept(&request, topology.as_deref(), disk_full) {
                Ok(Accepted::Read { group, read }) if context.engine.may_read(group) => {
                    self.read_by_lease(waiting, &read);
                }
                Ok(accepted) => {
                    if let Some(request) =
                        self.keep(now_ms + accept::timeout_ms(&request), waiting, accepted)
                    {
                        requests.push(request);
                    }
                }
                Err(error) => self.turn_away(waiting, error),
            }
        }
    }

    /// Makes an accepted request an open one, for the engine to do; replies if there is no room.
    fn keep(
        &mut self,
        deadline_ms: u64,
        mut waiting: Waiting,
        accepted: Accepted,
    ) -> Option<Request> {
        let (asked, read) = accepted.split();
        waiting.read = read;
        let ticket = match self.open.insert(waiting, deadline_ms) {
            Ok(ticket) => ticket,
            Err(waiting) => {
                self.turn_away(waiting, reply::too_many(OPEN_MAX));
                return None;
            }
        };
        Some(asked.under(Ticket { sink: self.registration.id(), id: ticket }))
    }

    /// Replies to what has completed, until the batch is full or nothing is left.
    fn finish_completed(&mut self, cx: &mut TaskContext<'_>) {
        while self.batch_bytes < BATCH_BYTES {
            let Some(completion) = self.completed.pop_front() else {
                match self.inbox.poll_take(cx) {
                    Poll::Ready(completions) => {
                        self.completed = completions.into();
                        continue;
                    }
                    Poll::Pending => {
                        self.context.spans.end_entry(&mut self.entry);
                        return;
                    }
                }
            };
            // One whose deadline passed has had its reply.
            if let Some(waiting) = self.open.take(completion.id) {
                self.finish(waiting, completion);
            }
        }
    }

    fn finish(&mut self, mut waiting: Waiting, completion: Completion) {
        let (arrived_us, entry) = (waiting.arrived_us, completion.times);
        let mut stages = Stages { arrived_us, entry, ..Stages::default() };
        if waiting.read.is_some() && completion.result.is_ok() {
            stages.ready_us = boot_us();
            let took_us = stages.ready_us.saturating_sub(arrived_us);
            self.context.metrics.engine.stages.read_by_index(took_us);
        }
        let entry = waiting
            .traced
            .as_ref()
            .and_then(|traced| self.context.spans.join(&mut self.entry, traced, &completion));
        let result = self.result_of(&waiting, completion.result);
        let traced = waiting.traced.take().map(|traced| (traced, entry));
        self.reply(&waiting, stages, traced, result);
    }

    fn result_of(&self, waiting: &Waiting, result: Result<Done, RequestError>) -> ReplyResult {
        let look_up = |read: &Read| self.read(read, &waiting.traced);
        reply::ended(result, waiting.read.as_ref(), look_up).unwrap_or_else(|| {
            let (trace_id, op) = (spans::trace_id(&waiting.traced), waiting.op);
            tracing::error!(trace_id, ?op, "unexpected completion type for request");
            ReplyResult::Error(reply::unexpected())
        })
    }

    /// Serves a read at once: the engine has a lease for the group.
    fn read_by_lease(&mut self, mut waiting: Waiting, read: &Read) {
        let (arrived_us, ready_us) = (waiting.arrived_us, boot_us());
        let stages = Stages { arrived_us, ready_us, by_lease: true, ..Stages::default() };
        self.context.metrics.engine.stages.read_by_lease();
        let result = self.read(read, &waiting.traced);
        let traced = waiting.traced.take().map(|traced| (traced, None));
        self.reply(&waiting, stages, traced, result);
    }

    /// Reads the local store, at or past a read point.
    fn read(&self, read: &Read, traced: &Option<Box<Traced>>) -> ReplyResult {
        let Read { group, slot, key, without_value } = read;
        let record = self.context.reader.get(*group, *slot, key, *without_value);
        if let Err(ReadError::Store(error)) = &record {
            if matches!(error, StoreError::Damaged { .. }) {
                self.context.metrics.record_damaged();
            }
            let error: &dyn std::error::Error = error;
            let trace_id = spans::trace_id(traced);
            tracing::error!(trace_id, %group, %slot, error, "cannot read record");
        }
        convert::read_reply(record)
    }

    /// Replies to a request that the engine did not end.
    fn turn_away(&mut self, mut waiting: Waiting, error: Error) {
        let stages = Stages { arrived_us: waiting.arrived_us, ..Stages::default() };
        let traced = waiting.traced.take().map(|traced| (traced, None));
        self.reply(&waiting, stages, traced, ReplyResult::Error(error));
    }

    /// Adds a reply to the batch. What is traced comes with the span of its entry.
    fn reply(
        &mut self,
        waiting: &Waiting,
        mut stages: Stages,
        traced: Option<(Box<Traced>, Option<SpanContext>)>,
        mut result: ReplyResult,
    ) {
        stages.replied_us = boot_us();
        let is_read = waiting.op == Op::Get;
        reply::complete(&mut result, is_read, self.context.view.epoch());
        let error = match &result {
            ReplyResult::Error(error) => Some(error.code()),
            ReplyResult::Found(_) | ReplyResult::Written(_) => None,
        };
        let metrics = &self.context.metrics;
        let took_us = stages.replied_us.saturating_sub(stages.arrived_us);
        let trace = traced.as_ref().map(|(traced, _)| traced.context.trace_id());
        metrics.answered(waiting.op, Duration::from_micros(took_us), trace);
        if !is_read {
            metrics.write_result(error);
        }
        if let Some((traced, entry)) = traced {
            let (op, error) = (waiting.op, error.map(ErrorCode::slug));
            self.context.spans.end(*traced, End { op, stages, entry, error });
        }
        self.batch_bytes += reply::weight(&result);
        let timing = stages.timing();
        self.batch.push(KvReply { id: waiting.id, timing, result: Some(result) });
    }

    /// Replies to all open requests that are due by `now_ms`.
    fn give_up(&mut self, now_ms: u64, error: &Error) {
        for waiting in self.open.take_due(now_ms) {
            self.turn_away(waiting, error.clone());
        }
    }

    /// Looks for passed deadlines, every [`SWEEP_INTERVAL`] while requests are open.
    fn sweep(&mut self, cx: &mut TaskContext<'_>) {
        loop {
            if self.open.is_empty() {
                self.sweep = None;
                return;
            }
            let sleep =
                self.sweep.get_or_insert_with(|| Box::pin(tokio::time::sleep(SWEEP_INTERVAL)));
            if sleep.as_mut().poll(cx).is_pending() {
                return;
            }
            self.sweep = None;
            self.give_up(self.elapsed_ms(Instant::now()), &reply::too_late());
        }
    }

    fn elapsed_ms(&self, at: Instant) -> u64 {
        let elapsed = at.duration_since(self.began).as_millis();
        u64::try_from(elapsed).expect("milliseconds of an uptime fit 64 bits")
    }

    fn take_batch(&mut self) -> KvReplies {
        self.batch_bytes = 0;
        KvReplies { replies: std::mem::take(&mut self.batch) }
    }
}

impl<S> Stream for Session<S>
where
    S: Stream<Item = Result<KvRequests, Status>> + Unpin,
{
    type Item = Result<KvReplies, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let mut more = this.take_in(cx);
        this.finish_completed(cx);
        this.sweep(cx);
        if this.stopped.as_mut().poll(cx).is_ready() {
            (this.incoming, more) = (None, false);
            this.give_up(u64::MAX, &reply::stopped());
        }
        if !this.batch.is_empty() {
            return Poll::Ready(Some(Ok(this.take_batch())));
        }
        if this.incoming.is_none() && this.open.is_empty() {
            return Poll::Ready(this.failure.take().map(Err));
        }
        if more {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl<S> Drop for Session<S> {
    fn drop(&mut self) {
        self.context.metrics.stream(-1);
    }
}
