//! The request side of a `Kv.Stream`: everything queued, as one message.
//!
//! Natural batching, no timer: gRPC asks for the next message when it has taken the last one, and
//! all requests queued by then go together.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures::Stream;
use ringkv_proto::v1;

use super::queue::{Link, Queueing};

/// The batches of one stream; ends when the link ends that stream.
pub(super) struct Batches {
    link: Arc<Link>,
    generation: u64,
    /// The other ready tasks of this worker have run since something was queued.
    gathered: bool,
}

impl Batches {
    pub(super) fn new(link: Arc<Link>, generation: u64) -> Self {
        Self { link, generation, gathered: false }
    }
}

impl Stream for Batches {
    type Item = v1::KvRequests;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<v1::KvRequests>> {
        loop {
            match ready!(self.link.poll_queued(self.generation, cx)) {
                Queueing::Ended => return Poll::Ready(None),
                // A caller's wake-up puts this task in front of all others. Going once to the end
                // of the run queue lets them queue their requests too: without it a busy gateway
                // sends batches of one.
                Queueing::Filled if !self.gathered => {
                    self.gathered = true;
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Queueing::Filled => {}
            }
            self.gathered = false;
            let requests = self.link.take_batch(self.generation);
            if !requests.is_empty() {
                return Poll::Ready(Some(v1::KvRequests { requests }));
            }
        }
    }
}
