//! Makes the engine match the topology: replicas, members, and who leads.
//!
//! One task does all of it: it follows the topology, sends heartbeats, and looks at the engine at
//! fixed intervals. Decides nothing: `replicas`, `members` and `leadership` of the core do. All is
//! level-triggered, so a lost message costs only the time to the next look.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use parking_lot::Mutex;
use ringkv_consensus::GroupStatus;
use ringkv_engine::Handle;
use ringkv_proto::v1::HeartbeatReply;
use ringkv_storage_core::leadership::LeadershipReturn;
use ringkv_storage_core::machine::Reader;
use ringkv_storage_core::owned_slots::OwnedSlots;
use ringkv_storage_core::peer_health::PeerHealth;
use ringkv_storage_core::{members, replicas, report};
use ringkv_topology::{GroupId, Topology};
use ringkv_transport::Transfers;
use tokio::time::MissedTickBehavior;

use super::Node;
use super::changes::Changes;
use super::server::GrpcHealth;
use crate::layout;
use crate::metrics::bytes_under;
use crate::placement_link::{self, Member, Report};
use crate::store::RocksStore;
use crate::topology_file;

/// Looks at the peers.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// Looks between two checks for missing replicas and for members that differ.
const LOOKS_PER_CHECK: u32 = 5;
/// Looks between two groups whose leadership returns.
const LOOKS_PER_RETURN: u32 = 10;
/// Time between two checks of readiness, while the node is not ready and while it is.
const UNREADY_INTERVAL: Duration = Duration::from_millis(50);
const READY_INTERVAL: Duration = Duration::from_millis(500);

pub(super) struct Reconciler<'a> {
    node: &'a Node,
    engine: Handle,
    reader: Reader<RocksStore>,
    transfers: Transfers,
    peers: Arc<Mutex<PeerHealth>>,
    grpc_health: GrpcHealth,
    changes: Changes,
}

impl<'a> Reconciler<'a> {
    pub(super) fn new(
        node: &'a Node,
        engine: Handle,
        reader: Reader<RocksStore>,
        transfers: Transfers,
        peers: Arc<Mutex<PeerHealth>>,
        grpc_health: GrpcHealth,
    ) -> Self {
        let changes = Changes::new(engine.clone());
        Self { node, engine, reader, transfers, peers, grpc_health, changes }
    }

    /// Works until dropped.
    ///
    /// # Errors
    /// Placement no longer knows this node as one of the cluster's.
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        // The topology from the data directory: a restart does not wait for placement.
        self.adopt();
        tokio::select! {
            ended = self.beat() => ended,
            () = self.follow() => Ok(()),
            () = self.look_on() => Ok(()),
            () = self.report_readiness() => Ok(()),
        }
    }

    async fn beat(&self) -> anyhow::Result<()> {
        let Node { placement, registration, identity, foreign, confirmed, view, .. } = self.node;
        let member = Member { placement, registration, identity, foreign };
        let data_dir = layout::data(self.node.start.dir.path());
        let report = || {
            let groups = self.engine.status();
            let state_bytes =
                |status: &GroupStatus| (status.group, self.reader.state_bytes(status.group));
            Report {
                epoch: view.epoch(),
                state_bytes: groups.iter().map(state_bytes).collect(),
                groups,
                state_hashes: self.reader.state_hashes(),
                data_bytes: bytes_under(&data_dir).unwrap_or(0),
            }
        };
        placement_link::beat(member, *confirmed, report, |reply| self.obey(&reply)).await
    }

    /// Does what placement has found out about the replicas here.
    fn obey(&self, reply: &HeartbeatReply) {
        for group in reply.diverged_groups.iter().filter_map(|group| GroupId::from_wire(*group)) {
            tracing::error!(
                group = group.0,
                "replica state differs from the majority of its group; the replica stops serving \
                 until a snapshot from the leader replaces it"
            );
            self.engine.rebuild(group);
        }
        let removed = report::removed(&self.engine.status(), &reply.removed_replicas);
        for (group, replica) in removed {
            tracing::info!(group = group.0, replica = replica.0, "destroying a removed replica");
            self.engine.destroy(group, replica);
        }
    }

    async fn follow(&self) {
        let Node { placement, identity, foreign, .. } = self.node;
        let take = |topology| self.take(topology);
        placement_link::follow(placement, identity.cluster, foreign, take).await;
    }

    /// Switches to a topology if it is newer, and stores it for a restart.
    async fn take(&self, topology: Topology) {
        let epoch = topology.epoch.0;
        if !self.node.view.advance(topology) {
            return;
        }
        tracing::info!(epoch, "topology updated");
        self.adopt();
        let (dir, view) = (Arc::clone(&self.node.start.dir), Arc::clone(&self.node.view));
        let store = move || match view.get() {
            Some(topology) => topology_file::store(&dir, &topology),
            None => Ok(()),
        };
        let stored = tokio::task::spawn_blocking(store).await.context("join the storing thread");
        if let Err(error) = stored.and_then(|stored| stored) {
            // Only a restart without placement needs the file, so serving continues.
            let error = format!("{error:#}");
            tracing::error!(epoch, error, "cannot store the topology for a restart");
        }
    }

    /// Makes the engine match the topology.
    fn adopt(&self) {
        if let Some(topology) = self.node.view.get() {
            self.engine.set_read_mode(topology.settings.read_mode);
            self.transfers.set_rate(topology.runtime.snapshot_bytes_per_s);
        }
        self.create_missing();
        self.change_members();
    }

    /// Asks for the next step of every group led here whose members differ from the topology.
    fn change_members(&self) {
        let Some(topology) = self.node.view.get() else { return };
        for status in self.engine.status().iter() {
            let Some(group) = topology.groups.get(&status.group) else { continue };
            match members::next(group, status) {
                Some(members::Step::Change(change)) => self.changes.propose(group.id, change),
                Some(members::Step::HandOver(to)) => {
                    tracing::info!(
                        group = group.id.0,
                        to = to.0,
                        "the replica here leaves: handing over"
                    );
                    self.engine.transfer_leader(group.id, to);
                }
                None => {}
            }
        }
    }

    fn create_missing(&self) {
        let Some(topology) = self.node.view.get() else { return };
        let settings = topology.settings;
        let encode = |slots: &[ringkv_topology::Slot]| {
            let slots = slots.iter().copied();
            OwnedSlots::new(settings.slot_count, settings.value_bytes_max, slots).encode()
        };
        let present = self.engine.status();
        for missing in replicas::missing(&topology, self.node.identity.node, &present, encode) {
            let group = missing.genesis.group;
            tracing::debug!(
                group = group.0,
                replica = missing.genesis.replica.0,
                "creating replica"
            );
            self.engine.create(missing.genesis);
            if missing.campaign {
                self.engine.campaign(group);
            }
        }
    }

    async fn look_on(&self) {
        let mut due = tokio::time::interval(LOOK_INTERVAL);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut returns = LeadershipReturn::default();
        for looks in 0u32.. {
            due.tick().await;
            self.peers.lock().look(self.node.identity.node, &self.engine.status());
            if looks % LOOKS_PER_CHECK == 0 {
                self.create_missing();
                self.change_members();
            }
            if looks % LOOKS_PER_RETURN == 0 {
                self.hand_back(&mut returns);
            }
        }
    }

    async fn report_readiness(&self) {
        let mut reported = None;
        loop {
            let topology = self.node.view.get();
            let (node, status) = (self.node.identity.node, self.engine.status());
            let reason = replicas::unready_reason(topology.as_deref(), node, &status);
            let ready = reason.is_none();
            // Watchers of the gRPC health service receive changes only.
            if reported.replace(ready) != Some(ready) {
                self.grpc_health.set(ready).await;
            }
            match reason {
                Some(reason) => self.node.start.pages.health.unready("groups", reason),
                None => self.node.start.pages.health.ready("groups"),
            }
            tokio::time::sleep(if ready { READY_INTERVAL } else { UNREADY_INTERVAL }).await;
        }
    }

    fn hand_back(&self, returns: &mut LeadershipReturn) {
        let Some(topology) = self.node.view.get() else { return };
        let (node, status) = (self.node.identity.node, self.engine.status());
        let due = returns.step(&topology, node, &status, &self.peers.lock());
        if let Some((group, to)) = due {
            tracing::info!(
                group = group.0,
                to = to.0,
                "transferring leadership to the preferred node"
            );
            self.engine.transfer_leader(group, to);
        }
    }
}
