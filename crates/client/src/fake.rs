//! A cluster in memory behind the real gRPC services, on loopback ports of its own.
//!
//! For tests of the client and of what uses it (feature `fake`): one placement and some storage
//! nodes that share one map, with a script per node of what happens to its next requests. No
//! consensus and no disk; never part of a release build.

mod kv;
mod placement;
mod store;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use ringkv_proto::v1;
use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, SlotCount, Topology,
};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use store::Store;

/// The largest value the fake cluster is set to, in bytes.
pub const VALUE_BYTES_MAX: u32 = 1 << 20;

/// The times in the answers of every node.
pub const TIMING: v1::Timing =
    v1::Timing { queue_us: 120, raft_us: 1_400, fsync_us: 800, apply_us: 50, read_us: 7 };

/// A running fake cluster; its servers end with the runtime.
pub struct FakeCluster {
    shared: Arc<Shared>,
    placement: String,
}

/// What happens to one scripted request.
#[derive(Clone, Debug)]
pub enum Step {
    /// This answer, and nothing applied.
    Fail(v1::Error),
    /// Applied, and this answer nevertheless.
    ApplyAndFail(v1::Error),
    /// No answer, ever.
    Hang,
    /// Applied, and no answer, ever.
    ApplyAndHang,
    /// The stream ends without an answer.
    Cut,
    /// Applied, then the stream ends without an answer.
    ApplyAndCut,
}

/// A request that reached a node.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The node it reached.
    pub node: NodeId,
    /// The request as it was sent.
    pub request: v1::KvRequest,
}

struct Shared {
    state: Mutex<State>,
    update: watch::Sender<v1::TopologyUpdate>,
}

struct State {
    topology: Topology,
    leaders: BTreeMap<GroupId, NodeId>,
    scripts: HashMap<NodeId, VecDeque<Step>>,
    seen: Vec<Seen>,
    operations: v1::ListOperationsReply,
    store: Store,
}

impl FakeCluster {
    /// A bootstrapped cluster of `nodes` nodes and as many groups, each with a replica everywhere;
    /// group `n` is led by node `n`.
    ///
    /// # Panics
    /// If no loopback port can be bound.
    pub async fn start(nodes: u64) -> Self {
        let mut listeners = Vec::new();
        for _ in 0..nodes {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.expect("a loopback port"));
        }
        let address = |listener: &TcpListener| {
            listener.local_addr().expect("a bound socket has an address").to_string()
        };
        let addresses: Vec<String> = listeners.iter().map(address).collect();
        let topology = topology(&addresses);
        let leaders = topology.groups.keys().map(|id| (*id, NodeId(id.0))).collect();
        let shared = Arc::new(Shared {
            update: watch::Sender::new(placement::update(&topology)),
            state: Mutex::new(State {
                topology,
                leaders,
                scripts: HashMap::new(),
                seen: Vec::new(),
                operations: v1::ListOperationsReply::default(),
                store: Store::default(),
            }),
        });
        for (id, listener) in (1..).zip(listeners) {
            let service = kv::server(NodeId(id), Arc::clone(&shared));
            let incoming = TcpListenerStream::new(listener);
            tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        }
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        let placement = address(&listener);
        let service = placement::server(Arc::clone(&shared));
        let incoming = TcpListenerStream::new(listener);
        tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { shared, placement }
    }

    /// The placement addresses to connect to.
    pub fn placement(&self) -> Vec<String> {
        vec![self.placement.clone()]
    }

    /// `steps` happen to the next requests that reach `node`, in order.
    pub fn script(&self, node: u64, steps: impl IntoIterator<Item = Step>) {
        self.shared.state.lock().scripts.entry(NodeId(node)).or_default().extend(steps);
    }

    /// Makes `node` the leader of every group; placement goes on reporting no leaders.
    pub fn lead_all(&self, node: u64) {
        self.shared.state.lock().leaders.values_mut().for_each(|leader| *leader = NodeId(node));
    }

    /// Publishes a changed topology; nodes use it at once.
    pub fn change(&self, change: impl FnOnce(&mut Topology)) {
        self.change_unannounced(change);
        self.shared.update.send_replace(placement::update(&self.shared.state.lock().topology));
    }

    /// Changes the topology without an update to its watchers: only a request returns it.
    pub fn change_unannounced(&self, change: impl FnOnce(&mut Topology)) {
        change(&mut self.shared.state.lock().topology);
    }

    /// Sets what placement answers about operations; without it there are none.
    pub fn set_operations(&self, operations: v1::ListOperationsReply) {
        self.shared.state.lock().operations = operations;
    }

    /// Every request that reached a node so far, in order.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.state.lock().seen.clone()
    }
}

fn topology(addresses: &[String]) -> Topology {
    let ids = || 1..=addresses.len() as u64;
    let node = |(id, address): (u64, &String)| Node {
        id: NodeId(id),
        address: address.clone(),
        zone: String::new(),
        capacity: 100,
        state: NodeState::Active,
    };
    let group = |id: u64| Group {
        id: GroupId(id),
        replicas: ids()
            .map(|node| Replica {
                id: ReplicaId(id * 100 + node),
                node: NodeId(node),
                role: Role::Voter,
            })
            .collect(),
        preferred_leader: NodeId(id),
        formed: Epoch(1),
        changed: Epoch(1),
    };
    let slot_count = SlotCount::new(16).expect("16 is a power of two");
    Topology {
        cluster: ClusterId(1),
        epoch: Epoch(1),
        settings: Settings {
            slot_count,
            replication_factor: 3,
            value_bytes_max: VALUE_BYTES_MAX,
            read_mode: ReadMode::ReadIndex,
        },
        runtime: RuntimeSettings::default(),
        nodes: ids().zip(addresses).map(node).map(|node| (node.id, node)).collect(),
        groups: ids().map(|id| (GroupId(id), group(id))).collect(),
        owners: (0..16).map(|slot| GroupId(slot % addresses.len() as u64 + 1)).collect(),
    }
}
