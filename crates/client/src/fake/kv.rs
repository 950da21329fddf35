//! The fake's `Kv` service of one node: script first, then leadership, then the shared map.

use std::pin::Pin;
use std::sync::Arc;

use futures::{Stream, StreamExt as _};
use ringkv_proto::v1::kv_request::Operation;
use ringkv_proto::v1::{self, ErrorCode, kv_reply};
use ringkv_services::MESSAGE_BYTES_MAX;
use ringkv_services::v1::kv_server::{Kv, KvServer};
use ringkv_topology::{GroupId, NodeId};
use tonic::{Request, Response, Status, Streaming};

use super::{Seen, Shared, Step};

pub(super) fn server(node: NodeId, shared: Arc<Shared>) -> KvServer<impl Kv> {
    KvServer::new(FakeNode { node, shared })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX)
}

#[derive(Clone)]
struct FakeNode {
    node: NodeId,
    shared: Arc<Shared>,
}

/// What a node does with a request.
enum Deed {
    Answer(kv_reply::Result),
    Silence,
    Cut,
}

impl FakeNode {
    fn handle(&self, request: &v1::KvRequest) -> Deed {
        let mut state = self.shared.state.lock();
        state.seen.push(Seen { node: self.node, request: request.clone() });
        let step = state.scripts.get_mut(&self.node).and_then(|script| script.pop_front());
        match step {
            Some(Step::Fail(error)) => return Deed::Answer(kv_reply::Result::Error(error)),
            Some(Step::Hang) => return Deed::Silence,
            Some(Step::Cut) => return Deed::Cut,
            _ => {}
        }
        let owner = key_of(request).and_then(|key| state.topology.locate(key));
        if owner.is_some_and(|(_, group)| group.id.0 != request.group) {
            let error = v1::Error::new(ErrorCode::Moved, "another group owns the slot");
            let epoch = state.topology.epoch.0;
            return Deed::Answer(kv_reply::Result::Error(v1::Error { epoch, ..error }));
        }
        let leader = state.leaders.get(&GroupId(request.group)).copied();
        if step.is_none() && leader != Some(self.node) {
            let leader_node = leader.map_or(0, |node| node.0);
            let error = v1::Error::new(ErrorCode::NotLeader, "another node leads the group");
            return Deed::Answer(kv_reply::Result::Error(v1::Error { leader_node, ..error }));
        }
        let result = state.store.apply(request.operation.as_ref());
        match step {
            Some(Step::ApplyAndFail(error)) => Deed::Answer(kv_reply::Result::Error(error)),
            Some(Step::ApplyAndHang) => Deed::Silence,
            Some(Step::ApplyAndCut) => Deed::Cut,
            _ => Deed::Answer(result),
        }
    }

    /// The replies to one batch, and whether the stream continues after them.
    fn handle_batch(&self, batch: v1::KvRequests) -> (v1::KvReplies, bool) {
        let mut replies = Vec::new();
        for request in batch.requests {
            match self.handle(&request) {
                Deed::Answer(result) => {
                    let timing = Some(super::TIMING);
                    replies.push(v1::KvReply { id: request.id, timing, result: Some(result) });
                }
                Deed::Silence => {}
                Deed::Cut => return (v1::KvReplies { replies }, false),
            }
        }
        (v1::KvReplies { replies }, true)
    }
}

fn key_of(request: &v1::KvRequest) -> Option<&[u8]> {
    match request.operation.as_ref()? {
        Operation::Get(get) => Some(&get.key),
        Operation::Put(put) => Some(&put.key),
        Operation::Delete(delete) => Some(&delete.key),
    }
}

#[tonic::async_trait]
impl Kv for FakeNode {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<v1::KvReplies, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::KvRequests>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let node = self.clone();
        let batches = request.into_inner();
        let replies =
            futures::stream::unfold((node, batches, true), |(node, mut batches, on)| async move {
                if !on {
                    return Some((Err(Status::unavailable("cut")), (node, batches, false)));
                }
                let batch = batches.next().await?;
                let (reply, on) = match batch {
                    Ok(batch) => {
                        let (reply, on) = node.handle_batch(batch);
                        (Ok(reply), on)
                    }
                    Err(status) => (Err(status), false),
                };
                Some((reply, (node, batches, on)))
            });
        Ok(Response::new(Box::pin(replies)))
    }

    async fn execute(&self, _: Request<v1::KvRequest>) -> Result<Response<v1::KvReply>, Status> {
        Err(Status::unimplemented("the client speaks the stream"))
    }
}
