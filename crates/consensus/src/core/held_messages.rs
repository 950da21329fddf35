//! Messages that may be sent only once a log batch is durable.
//!
//! Everything a follower or candidate says waits for the batch that holds what it says, and for all
//! earlier ones of the group (I-1, pitfall 3; Raft thesis §10.2.1). Invariant: messages leave in the
//! order in which raft-rs made them.

use std::collections::VecDeque;

use raft::eraftpb::Message;

/// The messages of one group that wait.
#[derive(Default)]
pub(crate) struct HeldMessages(VecDeque<Held>);

/// A ready of raft-rs whose log batch is not durable yet.
struct Held {
    /// The log batch that holds it (or, for one with nothing to sync, its predecessor's).
    batch: u64,
    /// raft-rs's number of the ready.
    ready: u64,
    messages: Vec<Message>,
}

/// What a durable batch lets out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Released {
    pub(crate) messages: Vec<Message>,
    /// The last ready that is persisted now.
    pub(crate) ready: Option<u64>,
}

impl HeldMessages {
    /// The batch that the last messages wait for; `None` if nothing waits.
    pub(crate) fn last_batch(&self) -> Option<u64> {
        self.0.back().map(|held| held.batch)
    }

    /// Holds the messages of a ready until `batch` is durable.
    pub(crate) fn hold(&mut self, batch: u64, ready: u64, messages: Vec<Message>) {
        self.0.push_back(Held { batch, ready, messages });
    }

    /// Log batches up to `batch` are durable.
    pub(crate) fn release(&mut self, batch: u64) -> Released {
        let mut released = Released::default();
        while let Some(held) = self.0.pop_front_if(|held| held.batch <= batch) {
            released.ready = Some(held.ready);
            released.messages.extend(held.messages);
        }
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(index: u64) -> Message {
        Message { index, ..Message::default() }
    }

    #[test]
    fn messages_leave_in_order_when_their_batch_is_durable() {
        let mut held = HeldMessages::default();
        assert_eq!(held.last_batch(), None);
        held.hold(3, 10, vec![message(1), message(2)]);
        held.hold(3, 11, vec![message(3)]);
        held.hold(4, 12, vec![message(4)]);
        assert_eq!(held.last_batch(), Some(4));
        assert_eq!(held.release(2), Released::default());
        let first = held.release(3);
        assert_eq!(first.messages, [message(1), message(2), message(3)]);
        assert_eq!(first.ready, Some(11));
        assert_eq!(held.release(9).ready, Some(12));
        assert_eq!(held.last_batch(), None);
    }
}
