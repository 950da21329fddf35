//! Which replicas are on the node: created, destroyed, and never taken back.
//!
//! Of a group there is one replica at most. A destroyed one leaves a tombstone in the log before its
//! state goes, so a crash between the two is finished at the next start; the next replica is created
//! when nothing of the old one is under way any more. Invariant: I-10.

use std::sync::Arc;

use ringkv_topology::{GroupId, ReplicaId};

use crate::core::effects::{ApplyTask, ReceivedSnapshot, SnapshotBuilt};
use crate::core::group::Group;
use crate::core::poller::{Flush, Poller};
use crate::core::start_error::StartError;
use crate::log_store::{GroupWrite, HardState, StoredGroup};
use crate::machine::{AppliedState, Genesis};
use crate::position::LogIndex;
use crate::types::{GroupStatus, Role};

impl Poller {
    /// Brings up every stored group, and finishes what a crash has left of destroyed ones.
    pub(super) fn start(
        &mut self,
        stored: Vec<StoredGroup>,
        applied: &[(GroupId, AppliedState)],
    ) -> Result<(), StartError> {
        for (id, _) in applied {
            let is_stored = stored.iter().any(|group| group.genesis.group == *id);
            if !is_stored && self.destroyed.has_tombstone(*id) {
                self.destroyed.found(*id);
            }
        }
        self.remove_states();
        for stored in stored {
            let id = stored.genesis.group;
            let found = applied.iter().find(|(group, _)| *group == id).map(|(_, state)| state);
            self.start_group(stored, found)?;
        }
        Ok(())
    }

    fn start_group(
        &mut self,
        stored: StoredGroup,
        applied: Option<&AppliedState>,
    ) -> Result<(), StartError> {
        let id = stored.genesis.group;
        let empty = AppliedState::default();
        let is_empty = stored.genesis.is_joining() && stored.start.index == LogIndex::ZERO;
        if is_empty && applied.is_some_and(|applied| *applied != empty) {
            // Of an earlier replica: this one has installed nothing.
            self.out.effects.apply.push(ApplyTask::Destroy(id));
        }
        let applied = if is_empty { Some(&empty) } else { applied };
        self.add(&stored, applied.ok_or(StartError::Missing { group: id })?)?;
        self.touch(id, |group, out| group.restarted(&out.config));
        if let Some(marker) = stored.install {
            // The shell has finished the install before this.
            self.out.batch.group(id).install = Some(None);
            self.out.batch.sync = true;
            self.discards.push((self.out.batch.number, id, marker.snapshot_id));
        }
        Ok(())
    }

    /// Creates a replica, unless one of its group is here, or it is not newer than one that was.
    pub(super) fn create(&mut self, genesis: Genesis) {
        let (id, replica) = (genesis.group, genesis.replica);
        if self.groups.contains_key(&id) || self.destroyed.excludes(id, replica) {
            return;
        }
        let Some(genesis) = self.destroyed.hold_back(genesis) else { return };
        let start = genesis.applied().position;
        let hard_state = HardState { term: start.term, vote: 0, commit: start.index };
        let stored = StoredGroup {
            genesis: genesis.clone(),
            hard_state,
            start,
            last_index: start.index,
            runs: vec![start],
            install: None,
        };
        self.add(&stored, &genesis.applied()).expect("genesis is a whole state");
        self.touch(id, |group, out| group.created(out.batch.number));
        let write = self.out.batch.group(id);
        write.create = Some(genesis.clone());
        write.reset = Some(start);
        write.hard_state = Some(hard_state);
        self.out.batch.sync = true;
        if !genesis.is_joining() {
            self.out.effects.apply.push(ApplyTask::Create(genesis));
        }
    }

    fn add(&mut self, stored: &StoredGroup, applied: &AppliedState) -> Result<(), StartError> {
        let id = stored.genesis.group;
        let reader = Arc::clone(&self.reader);
        self.groups.insert(id, Group::new(&self.out.config, stored, applied, reader)?);
        self.dirty.push(id);
        Ok(())
    }

    /// Destroys a replica: its log goes with the next batch, which leaves a tombstone, then its state
    /// and its snapshots.
    pub(super) fn destroy(&mut self, id: GroupId, replica: ReplicaId) {
        let entry = self.groups.get(&id).filter(|group| group.replica == replica);
        let Some(group) = entry.is_some().then(|| self.groups.remove(&id)).flatten() else {
            return;
        };
        let status =
            GroupStatus { role: Role::Follower, leader: None, peers: Vec::new(), ..group.status() };
        let mut left = group.end(&mut self.out);
        left.is_flushing = self.flush != Flush::Idle;
        // Nothing else of the group may be in the batch: it would follow the tombstone.
        *self.out.batch.group(id) = GroupWrite { destroy: Some(replica), ..GroupWrite::default() };
        self.out.batch.sync = true;
        self.destroyed.begin(status, self.out.batch.number, left);
    }

    /// Has the state machine remove the groups whose state may go.
    pub(super) fn remove_states(&mut self) {
        let due = self.destroyed.take_due().into_iter().map(ApplyTask::Destroy);
        self.out.effects.apply.extend(due);
    }

    /// An install ended: takes its marker away, if the replica is still here.
    pub(super) fn installed(&mut self, group: GroupId) {
        let number = self.out.batch.number;
        if let Some(files) = self.touch(group, |group, out| group.installed(out)) {
            self.discards.extend(files.map(|id| (number, group, id)));
        } else {
            self.destroyed.end_install(group);
            self.remove_states();
        }
    }

    /// The apply worker has removed a group's state.
    pub(super) fn state_removed(&mut self, group: GroupId) {
        self.destroyed.state_removed(group);
        self.follow_destroyed();
    }

    /// A build ended; what was built of a group that is gone is discarded.
    pub(super) fn snapshot_built(&mut self, id: GroupId, built: Option<SnapshotBuilt>) {
        if self.destroyed.end_build(id) || !self.groups.contains_key(&id) {
            self.out.effects.discard.extend(built.map(|built| (id, built.id)));
            self.follow_destroyed();
        } else {
            self.touch(id, |group, out| group.snapshot_built(built, out));
        }
    }

    /// A transfer ended.
    pub(super) fn snapshot_sent(&mut self, id: GroupId, to: ReplicaId, ok: bool) {
        if self.touch(id, |group, _| group.snapshot_sent(to, ok)).is_none() {
            self.destroyed.end_send(id);
            self.follow_destroyed();
        }
    }

    /// A snapshot has arrived; one for a group that is not here is discarded.
    pub(super) fn snapshot_received(&mut self, received: ReceivedSnapshot) {
        let id = received.group;
        if self.groups.contains_key(&id) {
            self.touch(id, |group, out| group.snapshot_received(received, out));
        } else {
            self.out.counters.messages_dropped += 1;
            self.out.effects.discard.push((id, received.id));
        }
    }

    /// Discards the files of destroyed replicas of which nothing is under way any more, and creates
    /// those that follow them.
    pub(super) fn follow_destroyed(&mut self) {
        for ended in self.destroyed.take_ended() {
            let files = ended.files.into_iter().map(|id| (ended.group, id));
            self.out.effects.discard.extend(files);
            if let Some(next) = ended.next {
                self.create(next);
            }
        }
    }
}
