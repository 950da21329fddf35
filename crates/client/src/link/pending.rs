//! The caller's end of a request on a link.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use ringkv_proto::v1;
use ringkv_routing::Failure;
use tokio::sync::oneshot;

use super::Answer;
use super::queue::Link;

/// A request handed to a link: the future of its answer. If it is dropped before the answer, the
/// link forgets the request; whether it was sent is then not known.
pub(crate) struct Pending {
    link: Arc<Link>,
    id: u64,
    receiver: oneshot::Receiver<Answer>,
    answered: bool,
}

impl Link {
    /// Queues a request; the result is the future of its answer.
    ///
    /// # Errors
    /// [`Failure::NotSent`] at once while the node is known to be unreachable.
    pub(crate) fn send(self: &Arc<Self>, request: v1::KvRequest) -> Result<Pending, Failure> {
        let (answer, receiver) = oneshot::channel();
        let id = self.enqueue(request, answer)?;
        Ok(Pending { link: Arc::clone(self), id, receiver, answered: false })
    }
}

impl Pending {
    /// Stops waiting. A request that is still queued will never be sent.
    pub(crate) fn abandon(mut self) -> Failure {
        self.answered = true;
        // Closed before the look: a batch made in between leaves the request out.
        self.receiver.close();
        if self.link.forget(self.id) { Failure::Silent } else { Failure::NotSent }
    }

    #[cfg(test)]
    pub(super) fn try_answer(&mut self) -> Option<Answer> {
        self.receiver.try_recv().ok()
    }
}

impl Future for Pending {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.receiver).poll(cx).map(|answer| {
            self.answered = true;
            answer.unwrap_or(Err(Failure::Lost))
        })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.answered {
            self.receiver.close();
            self.link.forget(self.id);
        }
    }
}
