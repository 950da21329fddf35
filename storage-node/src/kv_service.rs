//! The Kv service: reads batches of requests, submits them to the engine, and replies in batches.
//!
//! One task per stream does all of its work: it reads the requests that have arrived, submits them
//! together, and replies to all that have completed. So batches form under load, and without load
//! nothing waits; a client that does not read its replies is not read from either. Every request
//! gets exactly one reply, at the latest at its deadline.

mod inbox;
mod session;
mod spans;

use std::sync::Arc;

use ringkv_data_dir::DataDir;
use ringkv_engine::Handle;
use ringkv_proto::v1::{KvReply, KvRequest, KvRequests};
use ringkv_services::v1::kv_server::Kv;
use ringkv_storage_core::machine::Reader;
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::cluster_view::ClusterView;
use crate::disk_watch::DiskWatch;
use crate::kv_service::session::Session;
use crate::metrics::Metrics;
use crate::store::RocksStore;
pub(crate) use spans::Spans;

/// What all streams share.
pub(crate) struct Context {
    pub(crate) engine: Handle,
    pub(crate) reader: Reader<RocksStore>,
    pub(crate) view: Arc<ClusterView>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) disk: DiskWatch,
    pub(crate) spans: Spans,
    /// A stream keeps the store open, so it keeps the directory locked too.
    pub(crate) _dir: Arc<DataDir>,
    /// Ends all streams, once the engine has stopped.
    pub(crate) stopped: CancellationToken,
}

/// The service.
pub(crate) struct KvService {
    context: Arc<Context>,
}

impl KvService {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl Kv for KvService {
    type StreamStream = Session<Streaming<KvRequests>>;

    async fn stream(
        &self,
        request: Request<Streaming<KvRequests>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        Ok(Response::new(Session::new(Arc::clone(&self.context), request.into_inner())))
    }

    async fn execute(&self, request: Request<KvRequest>) -> Result<Response<KvReply>, Status> {
        let requests = KvRequests { requests: vec![request.into_inner()] };
        let mut session = Session::new(Arc::clone(&self.context), tokio_stream::once(Ok(requests)));
        let replies = session.next().await.transpose()?;
        let reply = replies.and_then(|mut replies| replies.replies.pop());
        reply.map(Response::new).ok_or_else(|| Status::internal("a request got no reply"))
    }
}
