//! A group's snapshots: asked for, built, sent; received, marked, installed.
//!
//! The files travel outside; raft-rs sees positions only. A snapshot message is stepped when its
//! files are here and checked, its install starts when the marker is durable, and the sender is
//! always notified how a transfer ended (pitfall 9). After an install members are the snapshot's,
//! and nothing of the old log remains (I-7).

use std::sync::Arc;

use raft::SnapshotStatus;
use raft::eraftpb::{Message, Snapshot};
use ringkv_topology::{NodeId, ReplicaId};

use crate::core::config::PollerConfig;
use crate::core::effects::{ApplyTask, Fetch, OutgoingSnapshot, ReceivedSnapshot, SnapshotBuilt};
use crate::core::frame::{self, FrameBuilder};
use crate::core::group::Group;
use crate::core::out::Out;
use crate::core::wire;
use crate::log_store::{Entry, InstallMarker};
use crate::types::Role;

impl Group {
    /// Passes on what raft-rs asked its storage for: reads of old entries, a snapshot.
    pub(super) fn ask_storage(&mut self, out: &mut Out) {
        out.effects.fetch.append(&mut self.raw.mut_store().take_fetches());
        if self.raw.mut_store().take_snapshot_wish() && self.snapshots.begin_build() {
            out.effects.build.push(self.id);
        }
    }

    /// Entries raft-rs had asked for are here.
    pub(crate) fn fetched(&mut self, fetch: Fetch, entries: &[Entry]) {
        let entries: Vec<_> = entries.iter().map(wire::to_raft).collect();
        let found = !entries.is_empty();
        self.raw.mut_store().put_fetched(fetch.from, entries);
        if found {
            self.raw.on_entries_fetched(fetch.context.0);
            self.raw.mut_store().drop_fetched();
        }
    }

    /// A snapshot was built here, or could not be; raft-rs asks again at its next heartbeat.
    pub(crate) fn snapshot_built(&mut self, built: Option<SnapshotBuilt>, out: &mut Out) {
        self.snapshots.end_build();
        let Some(built) = built else { return };
        if built.applied.position.index < self.raw.store().start().index {
            out.effects.discard.push((self.id, built.id));
            return;
        }
        self.withdraw_snapshot();
        self.raw.mut_store().offer_snapshot(Some(built));
    }

    /// Offers the built snapshot no more. Its files go when no transfer is under way.
    pub(super) fn withdraw_snapshot(&mut self) {
        if let Some(before) = self.raw.mut_store().offer_snapshot(None) {
            self.snapshots.retire(before.id);
        }
    }

    pub(super) fn send_snapshot(&mut self, node: NodeId, message: &Message, out: &mut Out) {
        let Some(offered) = self.raw.store().offered() else {
            // Withdrawn since raft-rs took it: it asks again.
            self.raw.report_snapshot(message.to, SnapshotStatus::Failure);
            return;
        };
        let mut frame = FrameBuilder::new();
        frame.push(self.id, message);
        self.snapshots.begin_send();
        out.effects.send.push(OutgoingSnapshot {
            group: self.id,
            to_replica: ReplicaId(message.to),
            to_node: node,
            id: offered.id,
            manifest: offered.manifest,
            message: frame.finish().expect("one message"),
        });
    }

    /// A transfer ended.
    pub(crate) fn snapshot_sent(&mut self, to: ReplicaId, ok: bool) {
        self.snapshots.end_send(ok);
        let status = if ok { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.raw.report_snapshot(to.0, status);
    }

    /// Withdraws a snapshot that no follower has requested for some time.
    pub(super) fn expire_snapshot(&mut self, config: &PollerConfig) {
        if self.snapshots.tick(config.snapshot_ticks_kept) {
            self.withdraw_snapshot();
        }
    }

    /// A snapshot for this replica is here whole: steps its message.
    pub(crate) fn snapshot_received(&mut self, received: ReceivedSnapshot, out: &mut Out) {
        let decoded = frame::decode(&received.message).ok();
        let message = decoded.and_then(|mut messages| messages.pop());
        let busy = self.snapshots.is_installing();
        let Some((_, mut message)) = message
            .filter(|(group, message)| !busy && *group == self.id && message.to == self.replica.0)
        else {
            out.effects.discard.push((self.id, received.id));
            return;
        };
        self.forget_older_wish(message.term);
        if received.applied.position.index.0 < self.raw.raft.pending_request_snapshot {
            // Late, and of less than this replica has acknowledged. While a snapshot is asked for,
            // raft-rs takes any that is not behind the commit index (`restore`, raft.rs:2602).
            out.counters.messages_dropped += 1;
            out.effects.discard.push((self.id, received.id));
            return;
        }
        message.set_snapshot(wire::snapshot(&received.applied));
        self.unknown_peers.insert(ReplicaId(message.from), received.from);
        self.snapshots.receive(received);
        let _ = self.raw.step(message);
        self.settle_timeout(&out.config);
        self.handle_ready(out);
        // Not taken: this replica has all of it already.
        if let Some(ignored) = self.snapshots.take_received() {
            out.effects.discard.push((self.id, ignored.id));
        }
    }

    /// The state here is wrong, though its log is right: from now on this replica serves nothing.
    pub(crate) fn rebuild(&mut self, out: &mut Out) {
        if self.snapshots.diverge() {
            out.counters.replicas_diverged += 1;
            self.lose_leadership(out);
            self.seek_rebuild();
        }
    }

    /// Lets go of leadership, or asks the leader for a snapshot of everything this replica has ever
    /// acknowledged. There may be no leader to ask, and a change of term withdraws the wish: called
    /// with every tick until an install has come.
    pub(super) fn seek_rebuild(&mut self) {
        if self.role() == Role::Leader {
            self.abdicate();
        } else if !self.snapshots.is_installing() {
            // Rejected without a leader, and while it has asked already.
            let _ = self.raw.request_snapshot();
        }
    }

    /// A message of a later term ends the wish for a snapshot. raft-rs keeps it over a change of
    /// term, but a new leader may never get to the index it names.
    pub(super) fn forget_older_wish(&mut self, term: u64) {
        if term > self.raw.raft.term {
            self.raw.raft.pending_request_snapshot = raft::INVALID_INDEX;
        }
    }

    /// raft-rs took the snapshot: its position replaces the log, under a marker.
    pub(super) fn accept_snapshot(&mut self, snapshot: &Snapshot, out: &mut Out) {
        let received = self.snapshots.take_received().expect("snapshots are stepped one at a time");
        let applied = &received.applied;
        let start = applied.position;
        assert_eq!(start.index.0, snapshot.get_metadata().index, "the snapshot just stepped");
        self.raw.mut_store().reset(start);
        self.withdraw_snapshot();
        self.compaction.log_replaced();
        self.members = Arc::new(applied.members.clone());
        self.reported.changed(Arc::clone(&self.members), out.batch.number);
        self.cursor.jump(start);
        let write = out.batch.group(self.id);
        write.reset = Some(start);
        write.truncate_from = None;
        write.append.clear();
        write.compact_to = None;
        let marker =
            InstallMarker { snapshot_id: received.id.clone(), manifest: received.manifest.clone() };
        write.install = Some(Some(marker));
        out.batch.sync = true;
        self.snapshots.mark(received, out.batch.number);
    }

    /// Starts the install once its marker is durable.
    pub(super) fn start_install(&mut self, batch: u64, out: &mut Out) {
        let starting = self.snapshots.start_install(batch);
        out.effects.apply.extend(starting.map(ApplyTask::Install));
    }

    /// The install is done and durable: takes the marker away. Returns the name of the files, which
    /// may go once that is durable too.
    pub(crate) fn installed(&mut self, out: &mut Out) -> Option<String> {
        let installed = self.snapshots.end_install()?;
        let index = installed.applied.position.index;
        self.applied(index, out);
        self.compaction.installed(index);
        // Synced: the files go with this batch, and a marker that came back would miss them.
        out.batch.group(self.id).install = Some(None);
        out.batch.sync = true;
        out.counters.snapshots_installed += 1;
        Some(installed.id)
    }
}
