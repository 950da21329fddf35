//! Opening what the data directory holds, and the engine over it.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use ringkv_data_dir::DataDir;
use ringkv_engine::{Engine, EngineConfig};
use ringkv_raft_log::RocksLog;
use ringkv_storage_core::machine::{KvMachine, Reader};
use ringkv_transport::{AddressBook, GrpcTransport, Transfers};

use crate::cluster_view::ClusterView;
use crate::config::Config;
use crate::disk_space::DiskSpace;
use crate::identity::Identity;
use crate::layout;
use crate::metrics::{Figures, Metrics};
use crate::store::{RocksSettings, RocksStore};
use crate::topology_file;

/// The running engine, the reader of what it applies, and the snapshots that it sends.
pub(super) struct Opened {
    pub(super) engine: Engine,
    pub(super) reader: Reader<RocksStore>,
    pub(super) transfers: Transfers,
    pub(super) raft_figures: Figures,
    pub(super) data_figures: Figures,
}

/// The view from the last stored topology; empty for a node that never had one.
///
/// # Errors
/// The stored topology is damaged or of another cluster.
pub(super) fn stored_view(dir: &DataDir, identity: Identity) -> anyhow::Result<ClusterView> {
    let Some(topology) = topology_file::load(dir)? else { return Ok(ClusterView::default()) };
    ensure!(
        topology.cluster == identity.cluster,
        "--data-dir: the topology in {} belongs to cluster {}, the identity to cluster {}",
        dir.path().display(),
        topology.cluster,
        identity.cluster
    );
    Ok(ClusterView::starting_with(Some(topology)))
}

/// Opens both stores and starts the engine, on a thread that may block.
///
/// # Errors
/// A store cannot be opened, or log and state do not belong together.
pub(super) async fn open(
    config: &Config,
    dir: &Arc<DataDir>,
    identity: Identity,
    view: &Arc<ClusterView>,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<Opened> {
    let (dir, view) = (Arc::clone(dir), Arc::clone(view));
    let observer = Arc::clone(&metrics.engine);
    let log_entries_max = config.log_entries_max;
    let runtime = tokio::runtime::Handle::current();
    let open = move || {
        let log = RocksLog::open(&layout::raft(dir.path())).context("open the Raft log")?;
        let store = RocksStore::open(&layout::data(dir.path()), &RocksSettings::default())
            .context("open the data store")?;
        let raft_figures: Figures = Box::new(log.figures());
        let data_figures: Figures = Box::new(store.figures());
        let machine = KvMachine::new(store).context("load the state machine")?;
        let reader = machine.reader();
        let mut settings = EngineConfig::new(identity.node, rand::random(), dir.path());
        settings.snapshot_dir = layout::snapshots(dir.path());
        settings.disk_room = |dir| DiskSpace::of(dir).map(DiskSpace::room);
        settings.poller.log_entries_max = log_entries_max;
        settings.poller.log_entries_kept = settings.poller.log_entries_kept.min(log_entries_max);
        let Identity { cluster, node, .. } = identity;
        let (addresses, transfers) = (view as Arc<dyn AddressBook>, Transfers::default());
        let sent = transfers.clone();
        let engine = Engine::start(settings, log, machine, observer, |handle| {
            GrpcTransport::new(cluster, node, addresses, handle, sent, runtime)
        })
        .context("start the engine")?;
        Ok(Opened { engine, reader, transfers, raft_figures, data_figures })
    };
    tokio::task::spawn_blocking(open).await.context("join the opening thread")?
}

#[cfg(test)]
mod tests {
    use ringkv_storage_core::testing::topology::bootstrapped;
    use ringkv_topology::{ClusterId, NodeId, NodeSecret};

    use super::*;

    #[test]
    fn a_topology_of_another_cluster_is_refused() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = DataDir::open(temporary.path()).unwrap();
        let identity = Identity {
            cluster: ClusterId(42),
            node: NodeId(1),
            secret: NodeSecret::new([1; 16]),
            starts: 1,
            has_stores: true,
        };
        assert_eq!(stored_view(&dir, identity).unwrap().epoch(), 0);
        topology_file::store(&dir, &bootstrapped(1)).unwrap();
        assert_eq!(stored_view(&dir, identity).unwrap().epoch(), 2);
        let other = Identity { cluster: ClusterId(43), ..identity };
        assert!(stored_view(&dir, other).is_err());
    }
}
