//! A placement service that knows one topology and assigns node ids in the order of registration.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use ringkv_proto::v1::{
    GetTopologyRequest, HeartbeatReply, HeartbeatRequest, ListOperationsReply,
    ListOperationsRequest, RegisterReply, RegisterRequest, TopologyUpdate, WatchRequest,
};
use ringkv_services::v1::placement_server::{Placement, PlacementServer};
use ringkv_services::{NodeRefusal, REFUSAL_METADATA};
use ringkv_topology::Topology;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::{TcpListenerStream, WatchStream};
use tonic::metadata::MetadataValue;
use tonic::{Request, Response, Status};

use crate::fixture;

/// A running fake; gone when dropped.
pub(crate) struct FakePlacement {
    pub(crate) address: SocketAddr,
    cluster: u64,
    nodes_wanted: usize,
    state: Arc<State>,
    server: JoinHandle<()>,
}

struct State {
    addresses: Mutex<Vec<String>>,
    /// A node that is refused, and with what.
    refusal: Mutex<Option<(u64, Status)>>,
    topology: watch::Sender<Option<Topology>>,
}

impl FakePlacement {
    /// Bootstraps the cluster once `nodes` have registered: one group per node, a replica on each.
    pub(crate) async fn start(cluster: u64, nodes: usize) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let topology = watch::Sender::new(None);
        let state =
            Arc::new(State { addresses: Mutex::default(), refusal: Mutex::default(), topology });
        let service = Service { cluster, nodes, state: Arc::clone(&state) };
        let server = tokio::spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            let router =
                tonic::transport::Server::builder().add_service(PlacementServer::new(service));
            router.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, cluster, nodes_wanted: nodes, state, server }
    }

    /// From now on refuses the registrations and heartbeats of this node.
    pub(crate) fn refuse(&self, node: u64, reason: NodeRefusal, message: &str) {
        *self.state.refusal.lock().unwrap() = Some((node, refusal(reason, message)));
    }

    /// The topology, once the cluster is bootstrapped.
    pub(crate) async fn bootstrapped(&self) -> Topology {
        let mut topology = self.state.topology.subscribe();
        topology.wait_for(Option::is_some).await.unwrap();
        let addresses = self.state.addresses.lock().unwrap().clone();
        assert_eq!(addresses.len(), self.nodes_wanted);
        fixture::topology(self.cluster, &addresses)
    }
}

impl Drop for FakePlacement {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn refusal(reason: NodeRefusal, message: &str) -> Status {
    let mut status = Status::failed_precondition(message);
    status.metadata_mut().insert(REFUSAL_METADATA, MetadataValue::from_static(reason.name()));
    status
}

/// The secret of every node.
const SECRET: [u8; 16] = [7; 16];

struct Service {
    cluster: u64,
    nodes: usize,
    state: Arc<State>,
}

impl Service {
    fn check(&self, cluster: u64, node: u64, secret: &[u8]) -> Result<(), Status> {
        if cluster != self.cluster {
            let message = format!("this is cluster {}", self.cluster);
            return Err(refusal(NodeRefusal::Foreign, &message));
        }
        assert_eq!(secret, SECRET, "a node proves its identity");
        let refusal = self.state.refusal.lock().unwrap().clone();
        refusal.filter(|(refused, _)| *refused == node).map_or(Ok(()), |(_, status)| Err(status))
    }
}

#[tonic::async_trait]
impl Placement for Service {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterReply>, Status> {
        let request = request.into_inner();
        if request.cluster != 0 {
            self.check(request.cluster, request.node, &request.secret)?;
        }
        let mut addresses = self.state.addresses.lock().unwrap();
        if request.node == 0 {
            addresses.push(request.address);
        }
        if addresses.len() == self.nodes {
            let topology = fixture::topology(self.cluster, &addresses);
            self.state.topology.send_replace(Some(topology));
        }
        let node = if request.node == 0 { addresses.len() as u64 } else { request.node };
        let secret = if request.node == 0 { SECRET.to_vec() } else { Vec::new() };
        Ok(Response::new(RegisterReply {
            cluster: self.cluster,
            node,
            slot_count: fixture::SLOT_COUNT,
            secret: secret.into(),
            warning: String::new(),
        }))
    }

    async fn heartbeat(
        &self,
        request: Request<HeartbeatRequest>,
    ) -> Result<Response<HeartbeatReply>, Status> {
        let HeartbeatRequest { cluster, node, secret, .. } = request.into_inner();
        self.check(cluster, node, &secret)?;
        Ok(Response::new(HeartbeatReply::default()))
    }

    type WatchStream =
        Pin<Box<dyn tokio_stream::Stream<Item = Result<TopologyUpdate, Status>> + Send>>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let topologies = WatchStream::new(self.state.topology.subscribe());
        let updates = topologies.filter_map(|topology| {
            let topology = Some(ringkv_proto::topology::to_proto(&topology?));
            Some(Ok(TopologyUpdate { topology, ..TopologyUpdate::default() }))
        });
        Ok(Response::new(Box::pin(updates)))
    }

    async fn get_topology(
        &self,
        _: Request<GetTopologyRequest>,
    ) -> Result<Response<TopologyUpdate>, Status> {
        Err(Status::unimplemented("nodes watch"))
    }

    async fn list_operations(
        &self,
        _: Request<ListOperationsRequest>,
    ) -> Result<Response<ListOperationsReply>, Status> {
        Err(Status::unimplemented("nodes list no operations"))
    }
}
