//! Nodes on loopback ports: each has a listener that is opened and closed with the node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use ringkv_engine::{Handle, Transport};
use ringkv_topology::{ClusterId, NodeId};
use ringkv_transport::{AddressBook, GrpcTransport, Transfers, raft_service};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;

use crate::cluster::Wiring;

pub(crate) const CLUSTER: ClusterId = ClusterId(42);

/// Loopback sockets and the runtime under them.
pub(crate) struct Sockets {
    runtime: Runtime,
    book: Arc<Book>,
    servers: Mutex<BTreeMap<NodeId, JoinHandle<()>>>,
}

/// The last known address of each node. A stopped node stays listed, as in a real cluster.
#[derive(Default)]
pub(crate) struct Book(pub(crate) Mutex<BTreeMap<NodeId, SocketAddr>>);

impl AddressBook for Book {
    fn address(&self, node: NodeId) -> Option<String> {
        self.0.lock().get(&node).map(ToString::to_string)
    }
}

impl Sockets {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        Self { runtime, book: Arc::default(), servers: Mutex::default() }
    }

    pub(crate) fn address(&self, node: NodeId) -> String {
        self.book.address(node).expect("a node that was started")
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

impl Wiring for Sockets {
    fn connect(&self, node: NodeId, handle: Handle) -> Arc<dyn Transport> {
        let listen = tokio::net::TcpListener::bind("127.0.0.1:0");
        let listener = self.runtime.block_on(listen).expect("a free port");
        let address = listener.local_addr().expect("bound");
        self.book.0.lock().insert(node, address);
        let server = tonic::transport::Server::builder()
            .add_service(raft_service(CLUSTER, node, handle.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = self.runtime.spawn(async move { server.await.expect("served") });
        self.servers.lock().insert(node, server);
        let runtime = self.runtime.handle().clone();
        let (book, transfers) = (Arc::clone(&self.book) as _, Transfers::default());
        GrpcTransport::new(CLUSTER, node, book, handle, transfers, runtime)
    }

    fn disconnect(&self, node: NodeId) {
        self.servers.lock().remove(&node).expect("a server").abort();
    }
}
