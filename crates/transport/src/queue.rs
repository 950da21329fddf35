//! The frames that wait for one peer: bounded in bytes, consumed by one stream at a time.
//!
//! A frame for a peer that is not connected is dropped at once: Raft handles a reported loss better
//! than a delay. Every stream has a generation. When its link closes, the waiting frames are lost
//! and a late poll of the old stream returns its end, so that no frame is sent twice or out of
//! order.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio_stream::Stream;

/// The most bytes of frames that wait for a slow peer. This is less than three times the appends
/// that one group has in flight; more would be stale on arrival.
const BYTES_MAX: usize = 32 << 20;

#[derive(Debug, Default)]
pub(crate) struct Queue {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    frames: VecDeque<Bytes>,
    bytes: usize,
    /// Whether a connection exists or is being opened.
    open: bool,
    generation: u64,
    waker: Option<Waker>,
}

impl Queue {
    /// Appends a frame; returns whether it was accepted.
    pub(crate) fn push(&self, frame: Bytes) -> bool {
        let mut inner = self.inner.lock();
        if !inner.open || inner.bytes + frame.len() > BYTES_MAX {
            return false;
        }
        inner.bytes += frame.len();
        inner.frames.push_back(frame);
        let waker = inner.waker.take();
        drop(inner);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Accepts frames from now on.
    pub(crate) fn open(&self) {
        self.inner.lock().open = true;
    }

    /// Drops the waiting frames, ends the current stream, and drops new frames until the queue is
    /// opened again. Returns whether any frame was lost.
    pub(crate) fn close(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.open = false;
        inner.generation += 1;
        inner.bytes = 0;
        let lost = !inner.frames.is_empty();
        inner.frames.clear();
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        lost
    }

    /// Completes when a frame waits.
    pub(crate) fn poll_waiting(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.inner.lock();
        if inner.frames.is_empty() {
            inner.waker = Some(context.waker().clone());
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    }

    /// A stream of the frames from now on until the queue is closed.
    pub(crate) fn stream(self: &Arc<Self>) -> Frames {
        Frames { queue: Arc::clone(self), generation: self.inner.lock().generation }
    }
}

/// The frames of one connection.
pub(crate) struct Frames {
    queue: Arc<Queue>,
    generation: u64,
}

impl Stream for Frames {
    type Item = Bytes;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut inner = self.queue.inner.lock();
        if inner.generation != self.generation {
            return Poll::Ready(None);
        }
        match inner.frames.pop_front() {
            Some(frame) => {
                inner.bytes -= frame.len();
                Poll::Ready(Some(frame))
            }
            None => {
                inner.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order() {
        let queue = Arc::new(Queue::default());
        queue.open();
        let mut stream = queue.stream();
        for byte in 0..3 {
            assert!(queue.push(Bytes::from(vec![byte])));
        }
        for byte in 0..3 {
            assert_eq!(stream.next().await, Some(Bytes::from(vec![byte])));
        }
    }

    #[tokio::test]
    async fn a_waiting_stream_is_woken_by_a_frame_and_by_the_close() {
        let queue = Arc::new(Queue::default());
        queue.open();
        let mut stream = queue.stream();
        let reader = tokio::spawn(async move { (stream.next().await, stream.next().await) });
        tokio::task::yield_now().await;
        queue.push(Bytes::from_static(b"a"));
        while !queue.inner.lock().frames.is_empty() {
            tokio::task::yield_now().await;
        }
        queue.close();
        assert_eq!(reader.await.expect("ends"), (Some(Bytes::from_static(b"a")), None));
    }

    #[tokio::test]
    async fn a_stream_of_an_earlier_connection_takes_nothing_from_the_next() {
        let queue = Arc::new(Queue::default());
        queue.open();
        let mut before = queue.stream();
        queue.push(Bytes::from_static(b"lost"));
        assert!(queue.close(), "a frame was lost");
        assert!(!queue.push(Bytes::from_static(b"dropped")), "closed");
        queue.open();
        let mut after = queue.stream();
        queue.push(Bytes::from_static(b"new"));
        assert_eq!(before.next().await, None);
        assert_eq!(after.next().await, Some(Bytes::from_static(b"new")));
    }

    #[test]
    fn a_full_queue_takes_no_more_until_it_is_read() {
        let queue = Queue::default();
        queue.open();
        let half = Bytes::from(vec![0; BYTES_MAX / 2]);
        assert!(queue.push(half.clone()));
        assert!(queue.push(half));
        assert!(!queue.push(Bytes::from_static(b"a")));
    }
}
