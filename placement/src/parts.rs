//! Starts what runs behind the gRPC server: directory, log, state machine and engine, in that order.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use ringkv_consensus::{Apply as _, Genesis, Members};
use ringkv_data_dir::DataDir;
use ringkv_engine::{Engine, EngineConfig, NoObserver};
use ringkv_placement_core::image::GROUP;
use ringkv_placement_core::state::State;
use ringkv_raft_log::RocksLog;
use ringkv_telemetry::trace::Tracer;
use ringkv_topology::{NodeId, ReplicaId};
use ringkv_transport::{AddressBook, GrpcTransport};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::feed::{self, Sources};
use crate::hints;
use crate::identity::Identity;
use crate::machine::Machine;
use crate::observed::Observed;
use crate::replica::Replica;
use crate::service::Service;
use crate::watches::Watches;

/// Cluster ids fit the integers that every JSON reader represents exactly.
const CLUSTER_ID_BITS: u32 = 53;

/// What runs behind the gRPC server.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) replica: Arc<Replica>,
    pub(crate) state: watch::Receiver<Arc<State>>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) watches: Watches,
}

impl Parts {
    /// Opens the data directory and starts the engine on it. The caller keeps `dir` while the
    /// engine runs.
    ///
    /// # Errors
    /// The directory is damaged or belongs to another replica.
    pub(crate) fn start(config: &Config, dir: &DataDir, tracer: &Tracer) -> anyhow::Result<Self> {
        let log = RocksLog::open(&dir.path().join("raft")).context("--data-dir: open the log")?;
        let members = config.peers.keys().copied().collect();
        Identity { replica: config.id, members }.claim(dir)?;
        let machine = Machine::open(dir.path()).context("--data-dir: open the state")?;
        let state = machine.state();
        let is_new = machine.groups().is_empty();
        let addresses = Arc::new(Peers(config.peers.clone()));
        let runtime = tokio::runtime::Handle::current();
        let (cluster, id) = (config.raft_cluster, config.id);
        let engine = Engine::start(
            EngineConfig::new(id, random_id(), dir.path()),
            log,
            machine,
            Arc::new(NoObserver),
            |handle| GrpcTransport::new(cluster, id, addresses, handle, runtime),
        )
        .context("start the consensus engine")?;
        let handle = engine.handle();
        handle.create(genesis(config));
        // No replica can lead yet, so the first one does not wait for an election timeout.
        let is_first = is_new && config.peers.keys().next() == Some(&id);
        if is_first || config.peers.len() == 1 {
            handle.campaign(GROUP);
        }
        let replica = Arc::new(Replica::new(handle, tracer.clone()));
        let (observed, watches) = (Arc::new(Observed::new()), Watches::new());
        Ok(Self { engine, replica, state, observed, watches })
    }

    /// Starts the feed and returns the gRPC service; both end with `closing`.
    pub(crate) fn service(&self, config: &Config, closing: &CancellationToken) -> Service {
        let peers = Arc::new(config.peers.clone());
        let replica = Arc::clone(&self.replica);
        let hints = hints::follow(config.id, replica, Arc::clone(&peers), closing.clone());
        let replica = Arc::clone(&self.replica);
        let updates = feed::start(Sources {
            state: self.state.clone(),
            leads: move || replica.leads(),
            observed: Arc::clone(&self.observed),
            passed_on: hints,
        });
        Service {
            replica: Arc::clone(&self.replica),
            state: self.state.clone(),
            observed: Arc::clone(&self.observed),
            updates,
            peers,
            watches: self.watches.clone(),
            stopping: closing.clone(),
        }
    }
}

/// The genesis of the placement group; replica ids are the ids of the peers.
fn genesis(config: &Config) -> Genesis {
    let voters = config.peers.keys().map(|id| (ReplicaId(id.0), *id));
    Genesis {
        group: GROUP,
        replica: ReplicaId(config.id.0),
        members: Members::of_voters(voters),
        context: Bytes::new(),
    }
}

struct Peers(BTreeMap<NodeId, String>);

impl AddressBook for Peers {
    fn address(&self, node: NodeId) -> Option<String> {
        self.0.get(&node).cloned()
    }
}

/// A random id that is not 0 and fits JSON.
pub(crate) fn random_id() -> u64 {
    (rand::random::<u64>() >> (u64::BITS - CLUSTER_ID_BITS)).max(1)
}
