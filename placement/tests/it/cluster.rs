//! Replicas of one placement, started and stopped one by one on ports of their own.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use clap::Parser as _;
use ringkv_placement::{Args, Config, Listeners, serve};
use ringkv_proto::v1::{
    DescribeReply, DescribeRequest, HeartbeatRequest, ListReplicasRequest, PlacementGroup,
    RegisterReply, RegisterRequest, TopologyUpdate, WatchRequest,
};
use ringkv_services::v1::placement_admin_client::PlacementAdminClient;
use ringkv_services::v1::placement_client::PlacementClient;
use ringkv_services::v1::placement_peers_client::PlacementPeersClient;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Far more than anything here takes; a test that needs it has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) type Client = PlacementClient<Channel>;

pub(crate) struct Cluster {
    dirs: Vec<TempDir>,
    addresses: Vec<SocketAddr>,
    admin: Vec<SocketAddr>,
    /// How many of the addresses are in --peers.
    pub(crate) listed: usize,
    running: Vec<Option<Running>>,
    pub(crate) flags: Vec<String>,
}

struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Cluster {
    /// Starts `count` replicas.
    pub(crate) fn start(count: usize, flags: &[&str]) -> Self {
        Self::start_some(count, count, flags)
    }

    /// Starts the first `started` of `count` replicas.
    pub(crate) fn start_some(started: usize, count: usize, flags: &[&str]) -> Self {
        let listeners: Vec<TcpListener> = (0..count).map(|_| bind()).collect();
        let mut cluster = Self {
            dirs: (0..count).map(|_| tempfile::tempdir().unwrap()).collect(),
            addresses: listeners.iter().map(|l| l.local_addr().unwrap()).collect(),
            admin: (0..count).map(|_| bind().local_addr().unwrap()).collect(),
            listed: count,
            running: (0..count).map(|_| None).collect(),
            flags: flags.iter().map(ToString::to_string).collect(),
        };
        for (at, listener) in listeners.into_iter().take(started).enumerate() {
            cluster.start_on(at, listener);
        }
        cluster
    }

    /// Starts a stopped replica again, at its address.
    pub(crate) fn restart(&mut self, at: usize) {
        let listener = TcpListener::bind(self.addresses[at]).unwrap();
        self.start_on(at, listener);
    }

    fn start_on(&mut self, at: usize, listener: TcpListener) {
        let shutdown = CancellationToken::new();
        let admin = TcpListener::bind(self.admin[at]).unwrap();
        let listeners = Listeners { grpc: listener, metrics: bind(), admin: Some(admin) };
        let config = self.config(at, self.dirs[at].path());
        let task = tokio::spawn(serve(config, listeners, shutdown.clone()));
        self.running[at] = Some(Running { shutdown, task });
    }

    /// The settings of a replica, but in any directory.
    pub(crate) fn config(&self, at: usize, dir: &Path) -> Config {
        let peers: Vec<String> =
            (1..).zip(&self.addresses).map(|(id, address)| format!("{id}={address}")).collect();
        let peers = &peers[..self.listed];
        let own = [
            "ringkv-placement".to_owned(),
            format!("--id={}", at + 1),
            format!("--peers={}", peers.join(",")),
            format!("--data-dir={}", dir.display()),
        ];
        let args = Args::try_parse_from(own.iter().chain(&self.flags)).unwrap();
        Config::try_from(args).unwrap()
    }

    /// Starts the first `listed` of `count` replicas, which do not know of the others.
    pub(crate) fn start_listed(listed: usize, count: usize, flags: &[&str]) -> Self {
        let mut cluster = Self::start_some(0, count, flags);
        cluster.listed = listed;
        (0..listed).for_each(|at| cluster.restart(at));
        cluster
    }

    /// Removes all files of a stopped replica.
    pub(crate) fn wipe(&mut self, at: usize) {
        self.dirs[at] = tempfile::tempdir().unwrap();
    }

    /// A stopped replica is started at another address from now on.
    pub(crate) fn relocate(&mut self, at: usize) {
        self.addresses[at] = bind().local_addr().unwrap();
    }

    pub(crate) fn address(&self, at: usize) -> String {
        self.addresses[at].to_string()
    }

    pub(crate) fn admin(&self, at: usize) -> PlacementAdminClient<Channel> {
        let address = format!("http://{}", self.admin[at]);
        PlacementAdminClient::new(Endpoint::from_shared(address).unwrap().connect_lazy())
    }

    /// What a process says of itself.
    pub(crate) async fn describe(&self, at: usize) -> DescribeReply {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.addresses[at])).unwrap();
        let mut client = PlacementPeersClient::new(endpoint.connect_lazy());
        client.describe(DescribeRequest {}).await.unwrap().into_inner()
    }

    /// Lists placement's replicas until they are as wanted.
    pub(crate) async fn replicas_until(
        &self,
        at: usize,
        wanted: impl Fn(&PlacementGroup) -> bool,
    ) -> PlacementGroup {
        let mut last = None;
        let list = async {
            loop {
                let listed = self.admin(at).list_replicas(ListReplicasRequest {}).await;
                let group = listed.ok().and_then(|listed| listed.into_inner().group);
                if let Some(group) = group {
                    if wanted(&group) {
                        return group;
                    }
                    last = Some(group);
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let listed = tokio::time::timeout(PATIENCE, list).await;
        listed.unwrap_or_else(|_| panic!("the replicas do not become as wanted: {last:?}"))
    }

    pub(crate) fn dir(&self, at: usize) -> &Path {
        self.dirs[at].path()
    }

    /// Stops a replica and returns its result.
    pub(crate) async fn stop(&mut self, at: usize) -> anyhow::Result<()> {
        let running = self.running[at].take().expect("a running replica");
        running.shutdown.cancel();
        tokio::time::timeout(PATIENCE, running.task).await.expect("it stops in time").unwrap()
    }

    /// Waits for a replica to end by itself.
    pub(crate) async fn ended(&mut self, at: usize) -> anyhow::Result<()> {
        let running = self.running[at].take().expect("a running replica");
        tokio::time::timeout(PATIENCE, running.task).await.expect("it ends in time").unwrap()
    }

    pub(crate) async fn stop_all(&mut self) {
        for at in 0..self.running.len() {
            if self.running[at].is_some() {
                self.stop(at).await.unwrap();
            }
        }
    }

    pub(crate) fn client(&self, at: usize) -> Client {
        let address = format!("http://{}", self.addresses[at]);
        PlacementClient::new(Endpoint::from_shared(address).unwrap().connect_lazy())
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        (0..self.running.len()).filter(|at| self.running[*at].is_some()).collect()
    }

    pub(crate) fn at_address(&self, address: &str) -> Option<usize> {
        self.addresses.iter().position(|other| other.to_string() == address)
    }

    /// Registers with whichever replica leads; asks until one answers for good.
    pub(crate) async fn register(&self, request: RegisterRequest) -> Result<RegisterReply, Status> {
        self.ask_leader(async |mut client| client.register(request.clone()).await).await
    }

    /// A new node's registration, and a first heartbeat under the identity it gets.
    pub(crate) async fn join(&self, node: u64) -> RegisterReply {
        let reply = self.register(new_node(node)).await.unwrap();
        self.heartbeat(&heartbeat_of(node, &reply)).await.unwrap();
        reply
    }

    pub(crate) async fn heartbeat(&self, request: &HeartbeatRequest) -> Result<u64, Status> {
        let reply = self.ask_leader(async |mut client| client.heartbeat(request.clone()).await);
        reply.await.map(|reply| reply.epoch)
    }

    async fn ask_leader<T>(
        &self,
        call: impl AsyncFn(Client) -> Result<tonic::Response<T>, Status>,
    ) -> Result<T, Status> {
        let ask = async {
            loop {
                for at in self.running() {
                    match call(self.client(at)).await {
                        Err(status) if status.code() == Code::Unavailable => {}
                        answer => return answer.map(tonic::Response::into_inner),
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, ask).await.expect("a leader answers in time")
    }

    /// Watches one replica until an update is as wanted.
    pub(crate) async fn watch_until(
        &self,
        at: usize,
        wanted: impl Fn(&TopologyUpdate) -> bool,
    ) -> TopologyUpdate {
        let watch = async {
            let mut client = self.client(at).max_decoding_message_size(32 << 20);
            let mut updates = loop {
                match client.watch(WatchRequest {}).await {
                    Ok(updates) => break updates.into_inner(),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            while let Some(update) = updates.message().await.unwrap() {
                if wanted(&update) {
                    return update;
                }
            }
            panic!("the watch ended before");
        };
        tokio::time::timeout(PATIENCE, watch).await.expect("the update comes in time")
    }
}

/// The first registration of a test's node; its number is its incarnation and its directory too.
pub(crate) fn new_node(number: u64) -> RegisterRequest {
    RegisterRequest {
        address: format!("node-{number}:50051"),
        incarnation: number,
        starts: 1,
        directory: number,
        ..Default::default()
    }
}

/// A registration of a later start of the node, from its directory.
pub(crate) fn returning(
    number: u64,
    first: &RegisterReply,
    incarnation: u64,
    starts: u64,
) -> RegisterRequest {
    let RegisterReply { cluster, node, secret, .. } = first.clone();
    RegisterRequest { cluster, node, secret, incarnation, starts, ..new_node(number) }
}

/// The heartbeat of the process that registered first.
pub(crate) fn heartbeat_of(number: u64, first: &RegisterReply) -> HeartbeatRequest {
    let RegisterReply { cluster, node, secret, .. } = first.clone();
    let RegisterRequest { address, incarnation, .. } = new_node(number);
    HeartbeatRequest { cluster, node, secret, address, incarnation, ..Default::default() }
}

pub(crate) fn is_bootstrapped(update: &TopologyUpdate) -> bool {
    update.topology.as_ref().is_some_and(|topology| !topology.slot_owners.is_empty())
}

fn bind() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}
