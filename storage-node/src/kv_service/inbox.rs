//! Where the engine delivers the completions of a stream, and how it wakes the stream.

use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;
use ringkv_consensus::Completion;
use ringkv_engine::Sink;

/// Bounded by the number of requests that may be open on the stream.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    completions: Vec<Completion>,
    waiting: Option<Waker>,
}

impl Inbox {
    /// Takes all delivered completions; if there are none, the next delivery wakes the task.
    pub(super) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Vec<Completion>> {
        let mut state = self.state.lock();
        if state.completions.is_empty() {
            state.waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut state.completions))
    }
}

impl Sink for Inbox {
    fn deliver(&self, mut completions: Vec<Completion>) {
        let mut state = self.state.lock();
        if state.completions.is_empty() {
            state.completions = completions;
        } else {
            state.completions.append(&mut completions);
        }
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waker) = waiting {
            waker.wake();
        }
    }
}
