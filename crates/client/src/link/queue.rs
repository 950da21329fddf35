//! The state of a link: requests to be sent, requests that wait for an answer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use ringkv_proto::v1;
use ringkv_routing::Failure;
use tokio::sync::oneshot;

use super::{Answer, Reply};

/// Requests in one message at most; a longer queue goes out as several.
const BATCH_REQUESTS_MAX: usize = 512;
/// Size at which a message is closed, in bytes; the request that passes it still goes with it.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Approximate bytes of a request on the wire, without its key and value.
const OVERHEAD_BYTES: usize = 64;

/// The sending and waiting side of one connection; shared by callers and the connection's tasks.
#[derive(Default)]
pub(crate) struct Link {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whether requests are taken: false while the node is known to be unreachable.
    open: bool,
    /// Whether there is a stream.
    connected: bool,
    /// Numbers the streams; a stream of an older number takes nothing more.
    generation: u64,
    next_id: u64,
    queue: VecDeque<Queued>,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    /// The current stream, asleep until something is queued.
    sender: Option<Waker>,
}

struct Queued {
    request: v1::KvRequest,
    answer: oneshot::Sender<Answer>,
}

impl Link {
    /// A link that takes requests, for a connection about to be made.
    pub(crate) fn new() -> Arc<Self> {
        let link = Self::default();
        link.state.lock().open = true;
        Arc::new(link)
    }

    /// Queues a request; its id is set here and returned.
    ///
    /// # Errors
    /// [`Failure::NotSent`] at once while the node is known to be unreachable.
    pub(super) fn enqueue(
        &self,
        mut request: v1::KvRequest,
        answer: oneshot::Sender<Answer>,
    ) -> Result<u64, Failure> {
        let mut state = self.state.lock();
        if !state.open {
            return Err(Failure::NotSent);
        }
        let id = state.next_id;
        state.next_id += 1;
        request.id = id;
        state.queue.push_back(Queued { request, answer });
        let sender = state.sender.take();
        drop(state);
        if let Some(sender) = sender {
            sender.wake();
        }
        Ok(id)
    }

    /// Forgets a request without a caller; returns whether it was on a stream. One that is
    /// still queued is left out when its batch is made: its receiver is closed.
    pub(super) fn forget(&self, id: u64) -> bool {
        self.state.lock().waiting.remove(&id).is_some()
    }

    /// Starts the next stream: takes requests, returns the stream's number.
    pub(super) fn begin(&self) -> u64 {
        let mut state = self.state.lock();
        state.open = true;
        state.generation += 1;
        state.generation
    }

    /// The stream is up.
    pub(super) fn connected(&self) {
        self.state.lock().connected = true;
    }

    /// Whether a stream is up.
    pub(crate) fn is_connected(&self) -> bool {
        self.state.lock().connected
    }

    /// Ends the current stream and every request on it; takes none until [`Link::begin`].
    pub(super) fn end(&self) {
        let mut state = self.state.lock();
        state.open = false;
        state.connected = false;
        state.generation += 1;
        let queue = std::mem::take(&mut state.queue);
        let waiting = std::mem::take(&mut state.waiting);
        let sender = state.sender.take();
        drop(state);
        for queued in queue {
            // The caller may have gone; then the answer has no receiver.
            let _ = queued.answer.send(Err(Failure::NotSent));
        }
        #[allow(
            clippy::iter_over_hash_type,
            reason = "every waiter gets the same answer, in any order"
        )]
        for answer in waiting.into_values() {
            let _ = answer.send(Err(Failure::Lost));
        }
        if let Some(sender) = sender {
            sender.wake();
        }
    }

    /// Whether something waits to be sent on stream `generation`; wakes `cx` once something does.
    pub(super) fn poll_queued(&self, generation: u64, cx: &mut Context<'_>) -> Poll<Queueing> {
        let mut state = self.state.lock();
        if state.generation != generation {
            return Poll::Ready(Queueing::Ended);
        }
        if state.queue.is_empty() {
            match &mut state.sender {
                Some(waker) => waker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        Poll::Ready(Queueing::Filled)
    }

    /// Takes the next batch for stream `generation`; may be empty if all callers have gone.
    pub(super) fn take_batch(&self, generation: u64) -> Vec<v1::KvRequest> {
        let mut state = self.state.lock();
        if state.generation != generation {
            return Vec::new();
        }
        let mut batch = Vec::with_capacity(state.queue.len().min(BATCH_REQUESTS_MAX));
        let mut bytes = 0;
        while batch.len() < BATCH_REQUESTS_MAX && bytes < BATCH_BYTES_MAX {
            let Some(queued) = state.queue.pop_front() else {
                break;
            };
            if queued.answer.is_closed() {
                continue;
            }
            bytes += bytes_of(&queued.request);
            state.waiting.insert(queued.request.id, queued.answer);
            batch.push(queued.request);
        }
        batch
    }

    /// Delivers each reply to the request with its id; a reply without a caller is dropped.
    pub(super) fn complete(&self, replies: Vec<v1::KvReply>) {
        let mut answers = Vec::with_capacity(replies.len());
        let mut state = self.state.lock();
        for reply in replies {
            if let Some(answer) = state.waiting.remove(&reply.id) {
                let timing = reply.timing.into();
                answers.push((answer, reply.result.map(|result| Reply { result, timing })));
            }
        }
        drop(state);
        for (answer, reply) in answers {
            // A reply without a result is no answer.
            let _ = answer.send(reply.ok_or(Failure::Lost));
        }
    }
}

/// Whether a stream has requests to send.
pub(super) enum Queueing {
    Filled,
    Ended,
}

fn bytes_of(request: &v1::KvRequest) -> usize {
    use v1::kv_request::Operation;
    OVERHEAD_BYTES
        + match &request.operation {
            Some(Operation::Get(get)) => get.key.len(),
            Some(Operation::Put(put)) => put.key.len() + put.value.len(),
            Some(Operation::Delete(delete)) => delete.key.len(),
            None => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn put(bytes: usize) -> v1::KvRequest {
        let put = v1::Put { value: Bytes::from(vec![0; bytes]), ..v1::Put::default() };
        v1::KvRequest {
            operation: Some(v1::kv_request::Operation::Put(put)),
            ..v1::KvRequest::default()
        }
    }

    fn found(id: u64, revision: u64) -> v1::KvReply {
        let record = v1::Record { revision, ..v1::Record::default() };
        let result = kv_reply_found(record);
        v1::KvReply { id, result: Some(result), ..v1::KvReply::default() }
    }

    fn kv_reply_found(record: v1::Record) -> v1::kv_reply::Result {
        v1::kv_reply::Result::Found(v1::Found { record: Some(record) })
    }

    #[test]
    fn a_batch_closes_at_512_requests_and_at_one_mebibyte() {
        let link = Link::new();
        let generation = link.begin();
        let small: Vec<_> = (0..513).map(|_| link.send(put(1)).unwrap()).collect();
        assert_eq!(link.take_batch(generation).len(), 512);
        assert_eq!(link.take_batch(generation).len(), 1);
        let large: Vec<_> = (0..5).map(|_| link.send(put(400_000)).unwrap()).collect();
        assert_eq!(link.take_batch(generation).len(), 3);
        assert_eq!(link.take_batch(generation).len(), 2);
        drop((small, large));
    }

    #[test]
    fn replies_reach_their_request_in_any_order() {
        let link = Link::new();
        let generation = link.begin();
        let mut pending: Vec<_> = (0..3).map(|_| link.send(put(1)).unwrap()).collect();
        let ids: Vec<u64> = link.take_batch(generation).iter().map(|r| r.id).collect();
        link.complete(vec![found(ids[2], 12), found(ids[0], 10), found(99, 9), found(ids[1], 11)]);
        for (pending, revision) in pending.iter_mut().zip(10..) {
            let record = v1::Record { revision, ..v1::Record::default() };
            let answer = pending.try_answer().unwrap().unwrap();
            assert_eq!(answer.result, kv_reply_found(record));
        }
    }

    #[test]
    fn the_end_of_a_stream_tells_sent_from_unsent() {
        let link = Link::new();
        let generation = link.begin();
        let mut sent = link.send(put(1)).unwrap();
        assert_eq!(link.take_batch(generation).len(), 1);
        let mut unsent = link.send(put(1)).unwrap();
        link.end();
        assert_eq!(sent.try_answer(), Some(Err(Failure::Lost)));
        assert_eq!(unsent.try_answer(), Some(Err(Failure::NotSent)));
        assert!(matches!(link.send(put(1)), Err(Failure::NotSent)));
        assert!(link.take_batch(generation).is_empty());
    }

    #[test]
    fn a_request_given_up_counts_as_sent_only_if_it_left() {
        let link = Link::new();
        let generation = link.begin();
        let (first, second) = (link.send(put(1)).unwrap(), link.send(put(1)).unwrap());
        assert_eq!(first.abandon(), Failure::NotSent);
        assert_eq!(link.take_batch(generation).len(), 1);
        assert_eq!(second.abandon(), Failure::Silent);
    }

    #[test]
    fn a_request_nobody_waits_for_is_neither_sent_nor_kept() {
        let link = Link::new();
        let generation = link.begin();
        drop(link.send(put(1)).unwrap());
        assert!(link.take_batch(generation).is_empty());
        let sent = link.send(put(1)).unwrap();
        assert_eq!(link.take_batch(generation).len(), 1);
        drop(sent);
        assert!(link.state.lock().waiting.is_empty());
    }
}
