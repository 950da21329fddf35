//! The poller's inbox: everything that has come is taken in one go.
//!
//! What is in it is bounded before it is put in: requests and frames by their budgets, answers by
//! the work they answer. A general channel would lock per message and spin before it sleeps,
//! which is most of what an idle node would cost. Closing is part of the same lock, so that
//! nothing is ever put in after the last look.

use std::time::Instant;

use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use ringkv_consensus::{Input, Request};
use ringkv_topology::NodeId;

/// What lies in the inbox.
pub(crate) enum Message {
    /// Admitted requests, and what they count for in the budget.
    Requests {
        requests: Vec<Request>,
        bytes: usize,
    },
    Frame {
        from: NodeId,
        frame: Bytes,
    },
    Input(Box<Input>),
    /// Leave after this.
    Stop,
}

#[derive(Default)]
pub(crate) struct Inbox {
    inner: Mutex<Inner>,
    arrived: Condvar,
}

#[derive(Default)]
struct Inner {
    messages: Vec<Message>,
    closed: bool,
    /// The poller sleeps and must be woken.
    waiting: bool,
}

impl Inbox {
    /// Puts a message in.
    ///
    /// # Errors
    /// The message itself, once the inbox is closed.
    pub(crate) fn put(&self, message: Message) -> Result<(), Message> {
        let mut inner = self.inner.lock();
        if inner.closed {
            return Err(message);
        }
        inner.messages.push(message);
        let wake = std::mem::take(&mut inner.waiting);
        drop(inner);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Puts everything there is at the end of `into`; waits until `deadline` if there is nothing.
    pub(crate) fn take(&self, deadline: Instant, into: &mut Vec<Message>) {
        let mut inner = self.inner.lock();
        while inner.messages.is_empty() {
            inner.waiting = true;
            if self.arrived.wait_until(&mut inner, deadline).timed_out() {
                inner.waiting = false;
                break;
            }
        }
        into.append(&mut inner.messages);
    }

    /// Takes nothing any more; returns what was left.
    pub(crate) fn close(&self) -> Vec<Message> {
        let mut inner = self.inner.lock();
        inner.closed = true;
        std::mem::take(&mut inner.messages)
    }

    pub(crate) fn is_open(&self) -> bool {
        !self.inner.lock().closed
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    fn tick() -> Message {
        Message::Input(Box::new(Input::Tick))
    }

    #[test]
    fn everything_that_has_come_is_taken_at_once() {
        let inbox = Inbox::default();
        let mut taken = Vec::new();
        for _ in 0..3 {
            assert!(inbox.put(tick()).is_ok());
        }
        inbox.take(Instant::now(), &mut taken);
        assert_eq!(taken.len(), 3);
        inbox.take(Instant::now(), &mut taken);
        assert_eq!(taken.len(), 3, "nothing came since");
    }

    #[test]
    fn a_sleeping_poller_is_woken_by_each_message() {
        let inbox = Arc::new(Inbox::default());
        let reader = Arc::clone(&inbox);
        let reader = std::thread::spawn(move || {
            let far = Instant::now() + Duration::from_secs(600);
            let mut taken = Vec::new();
            while taken.len() < 1_000 {
                reader.take(far, &mut taken);
            }
        });
        for _ in 0..1_000 {
            assert!(inbox.put(tick()).is_ok());
            std::thread::yield_now();
        }
        reader.join().expect("woken every time");
    }

    #[test]
    fn a_closed_inbox_gives_back_what_is_put_in() {
        let inbox = Inbox::default();
        assert!(inbox.put(tick()).is_ok());
        assert_eq!(inbox.close().len(), 1);
        assert!(matches!(inbox.put(Message::Stop), Err(Message::Stop)));
        assert!(!inbox.is_open());
    }
}
