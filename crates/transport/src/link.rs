//! The one connection that carries frames to one peer: opened when there is something to send,
//! reopened after a pause when it breaks.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use ringkv_engine::Handle;
use ringkv_proto::v1::RaftFrame;
use ringkv_topology::{ClusterId, NodeId};
use tokio_stream::StreamExt;

use crate::AddressBook;
use crate::connect::connect;
use crate::queue::Queue;

/// The minimum interval between two reports of an unreachable peer to the engine: two heartbeats.
const UNREACHABLE_INTERVAL: Duration = Duration::from_millis(200);
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A connection that was open for this long counts as healthy: the next pause is short again.
const GOOD_LIFE: Duration = Duration::from_secs(2);

/// The two ends of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Route {
    pub(crate) cluster: ClusterId,
    pub(crate) me: NodeId,
    pub(crate) peer: NodeId,
}

/// The queue of one peer and the task that sends its frames.
pub(crate) struct Link {
    route: Route,
    queue: Arc<Queue>,
    handle: Handle,
    unreachable_told: Mutex<Option<Instant>>,
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("the node's address is not known")]
    NoAddress,
    #[error("connect to {address}")]
    Connect { address: String, source: tonic::transport::Error },
    #[error("the stream to {address} ended: {status}")]
    Ended { address: String, status: tonic::Status },
    #[error("the peer at {address} ended the stream")]
    Closed { address: String },
}

impl Link {
    pub(crate) fn new(route: Route, handle: Handle) -> Self {
        let queue = Arc::new(Queue::default());
        queue.open();
        Self { route, queue, handle, unreachable_told: Mutex::new(None) }
    }

    /// Queues a frame, or drops it and reports the loss to the engine.
    pub(crate) fn send(&self, frame: Bytes) {
        if !self.queue.push(frame) {
            self.tell_unreachable();
        }
    }

    /// Connects and reconnects until the task is aborted.
    pub(crate) async fn run(self: Arc<Self>, addresses: Arc<dyn AddressBook>) {
        let mut pause = PAUSE_MIN;
        let mut said = None;
        loop {
            poll_fn(|context| self.queue.poll_waiting(context)).await;
            let began = Instant::now();
            let error = self.connection(&*addresses).await;
            self.queue.close();
            self.tell_unreachable();
            if began.elapsed() >= GOOD_LIFE {
                pause = PAUSE_MIN;
                said = None;
            }
            self.say(&error, &mut said);
            tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.5))).await;
            pause = (pause * 2).min(PAUSE_MAX);
            self.queue.open();
        }
    }

    /// Runs one connection until it ends.
    async fn connection(&self, addresses: &dyn AddressBook) -> LinkError {
        let Some(address) = addresses.address(self.route.peer) else {
            return LinkError::NoAddress;
        };
        let mut client = match connect(&address).await {
            Ok(client) => client,
            Err(source) => return LinkError::Connect { address, source },
        };
        let Route { cluster, me, peer } = self.route;
        let frames = self.queue.stream().map(move |messages| RaftFrame {
            cluster: cluster.0,
            from_node: me.0,
            to_node: peer.0,
            messages,
        });
        match client.stream(frames).await {
            Ok(_) => LinkError::Closed { address },
            Err(status) => LinkError::Ended { address, status },
        }
    }

    fn tell_unreachable(&self) {
        let now = Instant::now();
        let mut told = self.unreachable_told.lock();
        if told.is_none_or(|told| now.duration_since(told) >= UNREACHABLE_INTERVAL) {
            *told = Some(now);
            drop(told);
            self.handle.unreachable(self.route.peer);
        }
    }

    /// Logs a failure once, and again only when its reason changes.
    fn say(&self, error: &LinkError, said: &mut Option<String>) {
        let reason = error.to_string();
        if said.as_ref() != Some(&reason) {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(peer = %self.route.peer, reason, cause, "no connection to a peer");
            *said = Some(reason);
        }
    }
}
