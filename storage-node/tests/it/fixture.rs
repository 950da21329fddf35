//! Nodes under test: started on free ports over a directory, stopped or crashed.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use ringkv_storage_node::{Config, Listeners, StopNow, serve};
use ringkv_topology::{
    ClusterId, Epoch, Group, GroupId, Node, NodeId, NodeState, ReadMode, Replica, ReplicaId, Role,
    RuntimeSettings, Settings, SlotCount, Topology,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fake_placement::FakePlacement;

pub(crate) const SLOT_COUNT: u32 = 16;
pub(crate) const VALUE_BYTES_MAX: u32 = 1 << 20;
/// Far more than anything here takes; ends a test that hangs with a clear failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A group per node with a replica on each; group `n` prefers node `n`.
pub(crate) fn topology(cluster: u64, addresses: &[String]) -> Topology {
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
                id: ReplicaId(100 * id + node),
                node: NodeId(node),
                role: Role::Voter,
            })
            .collect(),
        preferred_leader: NodeId(id),
        formed: Epoch(2),
        changed: Epoch(2),
    };
    Topology {
        cluster: ClusterId(cluster),
        epoch: Epoch(2),
        settings: Settings {
            slot_count: SlotCount::new(SLOT_COUNT).unwrap(),
            replication_factor: u8::try_from(addresses.len()).unwrap(),
            value_bytes_max: VALUE_BYTES_MAX,
            read_mode: ReadMode::ReadIndex,
        },
        runtime: RuntimeSettings::default(),
        nodes: ids().zip(addresses).map(node).map(|node| (node.id, node)).collect(),
        groups: ids().map(|id| (GroupId(id), group(id))).collect(),
        owners: (0..u64::from(SLOT_COUNT))
            .map(|slot| GroupId(slot % addresses.len() as u64 + 1))
            .collect(),
    }
}

/// A node of this process.
pub(crate) struct TestNode {
    pub(crate) grpc: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<anyhow::Result<()>>,
}

pub(crate) fn config(dir: &Path, placement: SocketAddr) -> Config {
    Config {
        listen: String::new(),
        advertise: None,
        metrics_listen: String::new(),
        admin_listen: None,
        placement: vec![placement.to_string()],
        data_dir: dir.to_owned(),
        zone: String::new(),
        capacity: 100,
        expect: None,
        refill: false,
        log_entries_max: 10_000,
        stop_now: StopNow::default(),
        trace: ringkv_telemetry::trace::Settings::default(),
    }
}

impl TestNode {
    pub(crate) fn start(config: Config) -> Self {
        let listener = || std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listeners = Listeners { grpc: listener(), metrics: listener(), admin: listener() };
        let grpc = listeners.grpc.local_addr().unwrap();
        let metrics = listeners.metrics.local_addr().unwrap();
        let admin = listeners.admin.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(config, listeners, stop.clone()));
        Self { grpc, metrics, admin, stop, task }
    }

    /// Waits until the node says that it is ready.
    pub(crate) async fn ready(&self) {
        self.page_saying("/readyz", "HTTP/1.1 200 ").await;
    }

    /// A page of the operator's port, with its head.
    pub(crate) async fn page(&self, path: &str) -> String {
        let mut stream = tokio::net::TcpStream::connect(self.metrics).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).await.unwrap();
        page
    }

    /// A page once it says `text`.
    pub(crate) async fn page_saying(&self, path: &str, text: &str) -> String {
        let page = async {
            loop {
                let page = self.page(path).await;
                if page.contains(text) {
                    return page;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, page).await.expect("the page says it at last")
    }

    /// How `serve` ended.
    pub(crate) async fn ended(self) -> anyhow::Result<()> {
        tokio::time::timeout(PATIENCE, self.task).await.expect("the node ends").unwrap()
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.ended().await.unwrap();
    }

    /// Drops the node without a clean stop.
    pub(crate) async fn crash(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// A cluster of one node and one group, ready.
pub(crate) async fn single(dir: &Path) -> (FakePlacement, TestNode, Topology) {
    let placement = FakePlacement::start(7, 1).await;
    let node = TestNode::start(config(dir, placement.address));
    node.ready().await;
    let topology = placement.bootstrapped().await;
    (placement, node, topology)
}
