//! Replicas that were destroyed here: what is still under way for each, and what may follow it.
//!
//! A destroyed replica leaves answers behind that its group has asked for: entries being applied, a
//! snapshot being built or sent, a flush. They carry no replica id, so the next replica of the group
//! is created when all of them have come, and its files go then. Invariant: no replica id is used
//! again, also not after a restart, since the log keeps the last one as a tombstone.

use std::collections::BTreeMap;

use ringkv_topology::{GroupId, ReplicaId};

use crate::core::effects::SnapshotId;
use crate::machine::Genesis;
use crate::types::GroupStatus;

/// All groups of a node of which a replica was destroyed.
#[derive(Default)]
pub(crate) struct Destroyed {
    /// The last replica that was destroyed.
    tombstones: BTreeMap<GroupId, ReplicaId>,
    ending: BTreeMap<GroupId, Ending>,
}

/// What a replica leaves behind when it is destroyed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// A snapshot is being installed, which writes state.
    pub(crate) is_installing: bool,
    /// A snapshot is being built.
    pub(crate) is_building: bool,
    /// Transfers of snapshots under way.
    pub(crate) sends: u32,
    /// A flush is under way, which may report the group.
    pub(crate) is_flushing: bool,
    /// Its snapshots, which the answers to come may still need.
    pub(crate) files: Vec<SnapshotId>,
}

struct Ending {
    /// Until the tombstone is durable.
    written: Option<Written>,
    /// The state machine was asked to remove the group.
    is_asked: bool,
    /// The state machine has the group.
    has_state: bool,
    left: Unfinished,
    next: Option<Genesis>,
}

/// A tombstone that a crash may still undo.
struct Written {
    /// The log batch that holds it.
    batch: u64,
    /// The last state of the replica, which a crash would bring back.
    status: GroupStatus,
}

impl Ending {
    fn new(written: Option<Written>, left: Unfinished) -> Self {
        Self { written, is_asked: false, has_state: true, left, next: None }
    }

    /// Whether the state may go, which nothing writes any more and no crash needs.
    fn may_go(&self) -> bool {
        self.written.is_none() && !self.left.is_installing
    }

    fn is_over(&self) -> bool {
        let left = &self.left;
        !(self.has_state || left.is_building || left.is_flushing) && left.sends == 0
    }
}

/// A destroyed replica of which nothing is under way any more.
pub(crate) struct Ended {
    pub(crate) group: GroupId,
    pub(crate) files: Vec<SnapshotId>,
    /// The replica that is to follow it.
    pub(crate) next: Option<Genesis>,
}

impl Destroyed {
    /// As the log has them.
    pub(crate) fn new(tombstones: impl IntoIterator<Item = (GroupId, ReplicaId)>) -> Self {
        Self { tombstones: tombstones.into_iter().collect(), ending: BTreeMap::new() }
    }

    pub(crate) fn has_tombstone(&self, group: GroupId) -> bool {
        self.tombstones.contains_key(&group)
    }

    /// Whether this replica was here, or is older than one that was.
    pub(crate) fn excludes(&self, group: GroupId, replica: ReplicaId) -> bool {
        self.tombstones.get(&group).is_some_and(|last| replica <= *last)
    }

    /// A replica, last seen as `status`, is destroyed by log batch `batch`.
    pub(crate) fn begin(&mut self, status: GroupStatus, batch: u64, left: Unfinished) {
        let group = status.group;
        self.tombstones.insert(group, status.replica);
        let ending = Ending::new(Some(Written { batch, status }), left);
        let before = self.ending.insert(group, ending);
        assert!(before.is_none(), "group {group}: created while the last replica was ending");
    }

    /// The state machine still has a group whose log holds its tombstone.
    pub(crate) fn found(&mut self, group: GroupId) {
        self.ending.insert(group, Ending::new(None, Unfinished::default()));
    }

    /// Holds back a replica that is to follow one that is ending; returns it if none is. Of two, the
    /// newer one follows.
    pub(crate) fn hold_back(&mut self, genesis: Genesis) -> Option<Genesis> {
        let Some(ending) = self.ending.get_mut(&genesis.group) else { return Some(genesis) };
        if ending.next.as_ref().is_none_or(|next| next.replica < genesis.replica) {
            ending.next = Some(genesis);
        }
        None
    }

    /// Log batches up to `batch` are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        for ending in self.ending.values_mut() {
            ending.written.take_if(|tombstone| tombstone.batch <= batch);
        }
    }

    /// The install ended.
    pub(crate) fn end_install(&mut self, group: GroupId) {
        if let Some(ending) = self.ending.get_mut(&group) {
            ending.left.is_installing = false;
        }
    }

    /// The groups whose state may go now, once each.
    pub(crate) fn take_due(&mut self) -> Vec<GroupId> {
        let due = self.ending.iter_mut().filter(|(_, e)| e.may_go() && !e.is_asked);
        due.map(|(group, ending)| {
            ending.is_asked = true;
            *group
        })
        .collect()
    }

    /// The replicas whose tombstones are not durable, as last seen.
    pub(crate) fn not_durable(&self) -> impl Iterator<Item = &GroupStatus> {
        let written = self.ending.values().filter_map(|ending| ending.written.as_ref());
        written.map(|written| &written.status)
    }

    /// The state machine has removed the group.
    pub(crate) fn state_removed(&mut self, group: GroupId) {
        if let Some(ending) = self.ending.get_mut(&group) {
            ending.has_state = false;
        }
    }

    /// A build ended; returns whether it was of a destroyed replica.
    pub(crate) fn end_build(&mut self, group: GroupId) -> bool {
        let ending = self.ending.get_mut(&group);
        ending.is_some_and(|ending| std::mem::take(&mut ending.left.is_building))
    }

    /// A transfer ended.
    pub(crate) fn end_send(&mut self, group: GroupId) {
        if let Some(ending) = self.ending.get_mut(&group) {
            ending.left.sends = ending.left.sends.saturating_sub(1);
        }
    }

    /// The flush ended.
    pub(crate) fn end_flush(&mut self) {
        self.ending.values_mut().for_each(|ending| ending.left.is_flushing = false);
    }

    /// The replicas of which nothing is under way any more, once each.
    pub(crate) fn take_ended(&mut self) -> Vec<Ended> {
        let over = self.ending.extract_if(.., |_, ending| ending.is_over());
        over.map(|(group, ending)| Ended { group, files: ending.left.files, next: ending.next })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;

    use super::*;
    use crate::members::Members;
    use crate::position::{LogIndex, Term};
    use crate::types::Role;

    const GROUP: GroupId = GroupId(7);

    fn genesis(replica: u64) -> Genesis {
        Genesis {
            group: GROUP,
            replica: ReplicaId(replica),
            members: Members::default(),
            context: Bytes::new(),
        }
    }

    fn status(replica: u64) -> GroupStatus {
        GroupStatus {
            group: GROUP,
            replica: ReplicaId(replica),
            role: Role::Follower,
            term: Term::ZERO,
            leader: None,
            commit_index: LogIndex::ZERO,
            applied_index: LogIndex::ZERO,
            first_index: LogIndex(1),
            last_index: LogIndex::ZERO,
            members: Arc::default(),
            peers: Vec::new(),
        }
    }

    #[test]
    fn a_tombstone_excludes_its_replica_and_older_ones() {
        let destroyed = Destroyed::new([(GROUP, ReplicaId(5))]);
        assert!(destroyed.excludes(GROUP, ReplicaId(4)) && destroyed.excludes(GROUP, ReplicaId(5)));
        assert!(!destroyed.excludes(GROUP, ReplicaId(6)));
        assert!(!destroyed.excludes(GroupId(8), ReplicaId(1)));
    }

    #[test]
    fn state_goes_once_and_only_after_the_tombstone_is_durable() {
        let mut destroyed = Destroyed::default();
        destroyed.begin(status(5), 3, Unfinished::default());
        destroyed.persisted(2);
        assert_eq!(destroyed.take_due(), []);
        assert_eq!(destroyed.not_durable().map(|s| s.replica.0).collect::<Vec<_>>(), [5]);
        destroyed.persisted(3);
        assert_eq!(destroyed.take_due(), [GROUP]);
        assert_eq!(destroyed.take_due(), []);
        assert_eq!(destroyed.not_durable().count(), 0);
    }

    #[test]
    fn state_stays_while_an_install_writes_it() {
        let mut destroyed = Destroyed::default();
        let left = Unfinished { is_installing: true, ..Unfinished::default() };
        destroyed.begin(status(5), 3, left);
        destroyed.persisted(3);
        assert_eq!(destroyed.take_due(), []);
        destroyed.end_install(GROUP);
        assert_eq!(destroyed.take_due(), [GROUP]);
    }

    #[test]
    fn the_next_replica_follows_when_every_answer_has_come() {
        let mut destroyed = Destroyed::default();
        let files = vec!["built".to_owned()];
        let left = Unfinished {
            is_installing: false,
            is_building: true,
            sends: 2,
            is_flushing: true,
            files,
        };
        destroyed.begin(status(5), 3, left);
        assert!(destroyed.hold_back(genesis(7)).is_none());
        assert!(destroyed.hold_back(genesis(6)).is_none(), "older than the one that waits");
        destroyed.persisted(3);
        let ends: [&dyn Fn(&mut Destroyed); 5] = [
            &|d| d.state_removed(GROUP),
            &|d| assert!(d.end_build(GROUP)),
            &|d| d.end_send(GROUP),
            &|d| d.end_send(GROUP),
            &|d| d.end_flush(),
        ];
        for end in ends {
            assert!(destroyed.take_ended().is_empty());
            end(&mut destroyed);
        }
        let ended = destroyed.take_ended();
        assert_eq!(ended.len(), 1);
        assert_eq!(ended[0].files, ["built"]);
        assert_eq!(ended[0].next, Some(genesis(7)));
        assert!(!destroyed.end_build(GROUP), "the next one's build is its own");
        assert_eq!(destroyed.hold_back(genesis(8)), Some(genesis(8)));
    }
}
