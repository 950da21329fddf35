//! Starts what runs behind the gRPC server: directory, log, state machine and engine, in that order.

use std::sync::Arc;

use anyhow::Context as _;
use bytes::Bytes;
use ringkv_consensus::{Genesis, LogReader as _, Members};
use ringkv_data_dir::DataDir;
use ringkv_engine::{Engine, EngineConfig, NoObserver};
use ringkv_placement_core::image::GROUP;
use ringkv_placement_core::member_steps::node_of;
use ringkv_placement_core::state::{PlacementMembers, State};
use ringkv_raft_log::RocksLog;
use ringkv_telemetry::trace::Tracer;
use ringkv_transport::{GrpcTransport, Transfers};
use tokio_util::sync::CancellationToken;

use crate::addresses::Addresses;
use crate::config::Config;
use crate::feed::{self, Sources};
use crate::hints;
use crate::identity::{Beginning, Identity};
use crate::machine::Machine;
use crate::member::Member;
use crate::observed::Observed;
use crate::overview::Overview;
use crate::refusals::Refusals;
use crate::replica::Replica;
use crate::service::Service;
use crate::watches::Watches;

/// Cluster ids fit the integers that every JSON reader represents exactly.
const CLUSTER_ID_BITS: u32 = 53;

/// What runs behind the gRPC server.
pub(crate) struct Parts {
    pub(crate) engine: Engine,
    pub(crate) member: Member,
    pub(crate) observed: Arc<Observed>,
    pub(crate) overview: Overview,
    pub(crate) watches: Watches,
    pub(crate) refusals: Refusals,
}

impl Parts {
    /// Starts the engine on the data directory of this replica. The caller keeps `dir` while the
    /// engine runs.
    ///
    /// # Errors
    /// The directory is damaged, has lost its log, or belongs to another place.
    pub(crate) fn start(
        config: &Config,
        identity: Identity,
        dir: &DataDir,
        tracer: &Tracer,
    ) -> anyhow::Result<Self> {
        check_place(config, identity, dir)?;
        let log = RocksLog::open(&dir.path().join("raft")).context("--data-dir: open the log")?;
        let beginning = beginning(&log, dir)?;
        let machine = Machine::open(dir.path()).context("--data-dir: open the state")?;
        let state = machine.state();
        let joined = match &beginning {
            Some(beginning) => State::from_context(&beginning.context)
                .context("--data-dir: genesis is damaged")?
                .members()
                .clone(),
            None => PlacementMembers::default(),
        };
        let addresses = Arc::new(Addresses::new(state.clone(), config.peers.clone(), joined));
        let book = Arc::clone(&addresses);
        let runtime = tokio::runtime::Handle::current();
        let (cluster, id) = (identity.raft_cluster, node_of(identity.replica));
        let engine = Engine::start(
            EngineConfig::new(id, random_id(), dir.path()),
            log,
            machine,
            Arc::new(NoObserver),
            |handle| GrpcTransport::new(cluster, id, book, handle, Transfers::default(), runtime),
        )
        .context("start the consensus engine")?;
        let handle = engine.handle();
        let founds = beginning.as_ref().is_some_and(|beginning| beginning.founds);
        if let Some(beginning) = beginning {
            handle.create(genesis(identity, beginning));
        }
        // The only voter does not wait for an election timeout.
        if founds || config.peers.len() == 1 {
            handle.campaign(GROUP);
        }
        let replica = Arc::new(Replica::new(handle, tracer.clone()));
        let (observed, watches) = (Arc::new(Observed::new()), Watches::new());
        let member = Member { identity, replica, state, live: Arc::default(), addresses };
        let overview = Overview::new(member.clone(), Arc::clone(&observed));
        let refusals = Refusals::new().context("count refused registrations")?;
        Ok(Self { engine, member, observed, overview, watches, refusals })
    }

    /// Starts the feed and returns the gRPC service; both end with `closing`.
    pub(crate) fn service(&self, closing: &CancellationToken) -> Service {
        let Member { identity, replica, state, addresses, .. } = self.member.clone();
        let me = node_of(identity.replica);
        let (peers, followed) = (Arc::clone(&addresses), Arc::clone(&replica));
        let hints = hints::follow(me, followed, peers, closing.clone());
        let leading = Arc::clone(&replica);
        let updates = feed::start(Sources {
            state: state.clone(),
            leads: move || leading.leads(),
            observed: Arc::clone(&self.observed),
            passed_on: hints,
        });
        Service {
            replica,
            state,
            observed: Arc::clone(&self.observed),
            overview: self.overview.clone(),
            updates,
            peers: addresses,
            watches: self.watches.clone(),
            refusals: self.refusals.clone(),
            stopping: closing.clone(),
        }
    }
}

/// A directory of another place is most likely the wrong volume.
fn check_place(config: &Config, identity: Identity, dir: &DataDir) -> anyhow::Result<()> {
    anyhow::ensure!(
        identity.place == config.place,
        "--id: {} belongs to placement replica number {}, not {}",
        dir.path().display(),
        identity.place,
        config.place
    );
    Ok(())
}

/// What the replica begins with; `None` if its log holds it.
fn beginning(log: &RocksLog, dir: &DataDir) -> anyhow::Result<Option<Beginning>> {
    let groups = log.load().context("--data-dir: read the log")?;
    let found = Beginning::read(dir)?;
    if groups.iter().any(|stored| stored.genesis.group == GROUP) {
        return Ok(found.map(|found| Beginning { founds: false, ..found }));
    }
    if found.is_none() {
        let dir = dir.path().display();
        anyhow::bail!(
            "--data-dir: {dir} has lost its log (raft/): move all its files away; the replica then \
             joins under a new id"
        );
    }
    Ok(found)
}

/// A founder is the only member of its group; one that joins learns the members from the leader.
fn genesis(identity: Identity, beginning: Beginning) -> Genesis {
    let Identity { replica, .. } = identity;
    let (members, context) = if beginning.founds {
        (Members::of_voters([(replica, node_of(replica))]), beginning.context)
    } else {
        (Members::default(), Bytes::new())
    };
    Genesis { group: GROUP, replica, members, context }
}

/// A random id that is not 0 and fits JSON.
pub(crate) fn random_id() -> u64 {
    (rand::random::<u64>() >> (u64::BITS - CLUSTER_ID_BITS)).max(1)
}
