//! The state of a group's snapshots: being built, sent, received, marked, installed.
//!
//! Owns those states and whether the replica's own state is wrong; holds no files. At most one build
//! and one install are under way. Invariant (I-7): an install starts when its marker is durable.

use crate::core::destroyed::Unfinished;
use crate::core::effects::{ReceivedSnapshot, SnapshotId};

/// After so many failed transfers in a row the log is cut as if none were under way.
const FAILURES_MAX: u32 = 3;

/// The snapshots of one group.
#[derive(Default)]
pub(crate) struct Snapshots {
    /// The state here is wrong, until a snapshot replaces it.
    diverged: bool,
    /// A snapshot whose message is being stepped.
    received: Option<ReceivedSnapshot>,
    installing: Option<Installing>,
    building: bool,
    sends: u32,
    /// Transfers that have failed since one succeeded.
    failures: u32,
    /// No longer offered; a transfer may still read their files.
    retired: Vec<SnapshotId>,
    idle_ticks: u64,
}

/// A snapshot between its marker and the end of its install.
struct Installing {
    snapshot: ReceivedSnapshot,
    /// The log batch that holds the marker.
    batch: u64,
    started: bool,
}

impl Snapshots {
    /// Asks for a build; returns false if one is under way.
    pub(crate) fn begin_build(&mut self) -> bool {
        !std::mem::replace(&mut self.building, true)
    }

    /// The build ended, successfully or not.
    pub(crate) fn end_build(&mut self) {
        self.building = false;
        self.idle_ticks = 0;
    }

    /// A transfer to a follower begins.
    pub(crate) fn begin_send(&mut self) {
        self.sends += 1;
    }

    /// A transfer ended.
    pub(crate) fn end_send(&mut self, ok: bool) {
        self.sends = self.sends.saturating_sub(1);
        self.failures = if ok { 0 } else { self.failures.saturating_add(1) };
        self.idle_ticks = 0;
    }

    /// Whether the log behind the built snapshot is kept, since a follower is about to go on from
    /// there. One that refuses time after time (a full disk) must not fill this one.
    pub(crate) fn keeps_log(&self) -> bool {
        self.is_sending() && self.failures < FAILURES_MAX
    }

    pub(crate) fn is_sending(&self) -> bool {
        self.sends > 0
    }

    /// A built snapshot is offered no more.
    pub(crate) fn retire(&mut self, id: SnapshotId) {
        self.retired.push(id);
    }

    /// Whether files can go.
    pub(crate) fn has_retired(&self) -> bool {
        !self.is_sending() && !self.retired.is_empty()
    }

    /// The snapshots whose files can go, once each.
    pub(crate) fn take_retired(&mut self) -> Vec<SnapshotId> {
        if self.is_sending() { Vec::new() } else { std::mem::take(&mut self.retired) }
    }

    /// The replica is destroyed: returns the answers that are still to come, and its snapshots.
    pub(crate) fn end(self) -> Unfinished {
        let is_installing = self.installing.as_ref().is_some_and(|install| install.started);
        let installing = self.installing.map(|installing| installing.snapshot.id);
        Unfinished {
            is_installing,
            is_building: self.building,
            sends: self.sends,
            is_flushing: false,
            files: self.retired.into_iter().chain(installing).collect(),
        }
    }

    /// One tick; returns whether no follower has asked for the built snapshot for `ticks_kept`, so
    /// that it can go.
    pub(crate) fn tick(&mut self, ticks_kept: u64) -> bool {
        if self.is_sending() {
            return false;
        }
        self.idle_ticks += 1;
        let expired = self.idle_ticks >= ticks_kept;
        if expired {
            self.idle_ticks = 0;
        }
        expired
    }

    /// The message of this snapshot is about to be stepped.
    pub(crate) fn receive(&mut self, received: ReceivedSnapshot) {
        self.received = Some(received);
    }

    /// The snapshot whose message was stepped, if nothing has taken it yet.
    pub(crate) fn take_received(&mut self) -> Option<ReceivedSnapshot> {
        self.received.take()
    }

    /// The marker of the install is in log batch `batch`.
    pub(crate) fn mark(&mut self, snapshot: ReceivedSnapshot, batch: u64) {
        assert!(self.installing.is_none(), "one install at a time");
        self.installing = Some(Installing { snapshot, batch, started: false });
    }

    /// Log batches up to `batch` are durable: returns the snapshot whose install starts now.
    pub(crate) fn start_install(&mut self, batch: u64) -> Option<ReceivedSnapshot> {
        let installing = self.installing.as_mut()?;
        if installing.started || installing.batch > batch {
            return None;
        }
        installing.started = true;
        Some(installing.snapshot.clone())
    }

    /// The install is done: returns its snapshot. The state here is right again.
    pub(crate) fn end_install(&mut self) -> Option<ReceivedSnapshot> {
        let installing = self.installing.take()?;
        self.diverged = false;
        Some(installing.snapshot)
    }

    pub(crate) fn is_installing(&self) -> bool {
        self.installing.is_some()
    }

    /// The state here is wrong. Returns whether that is new; an install replaces it anyway.
    pub(crate) fn diverge(&mut self) -> bool {
        !self.is_installing() && !std::mem::replace(&mut self.diverged, true)
    }

    pub(crate) fn has_diverged(&self) -> bool {
        self.diverged
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ringkv_topology::{GroupId, NodeId};

    use super::*;
    use crate::machine::AppliedState;

    fn snapshot() -> ReceivedSnapshot {
        ReceivedSnapshot {
            group: GroupId(1),
            from: NodeId(2),
            id: "x".into(),
            manifest: Bytes::new(),
            message: Bytes::new(),
            applied: AppliedState::default(),
        }
    }

    #[test]
    fn an_install_starts_once_when_its_marker_is_durable() {
        let mut snapshots = Snapshots::default();
        snapshots.mark(snapshot(), 5);
        assert_eq!(snapshots.start_install(4), None);
        assert_eq!(snapshots.start_install(5), Some(snapshot()));
        assert_eq!(snapshots.start_install(6), None);
        assert!(snapshots.is_installing());
        assert_eq!(snapshots.end_install(), Some(snapshot()));
        assert!(!snapshots.is_installing());
    }

    #[test]
    fn the_files_of_a_withdrawn_snapshot_stay_while_one_is_being_sent() {
        let mut snapshots = Snapshots::default();
        snapshots.begin_send();
        snapshots.begin_send();
        snapshots.retire("a".into());
        snapshots.end_send(true);
        assert!(snapshots.take_retired().is_empty() && !snapshots.has_retired());
        snapshots.end_send(true);
        assert!(snapshots.has_retired());
        assert_eq!(snapshots.take_retired(), ["a"]);
        assert!(!snapshots.has_retired());
    }

    #[test]
    fn the_log_is_kept_for_a_follower_until_it_has_refused_several_times() {
        let mut snapshots = Snapshots::default();
        assert!(!snapshots.keeps_log(), "nothing is being sent");
        for _ in 0..FAILURES_MAX {
            snapshots.begin_send();
            assert!(snapshots.keeps_log());
            snapshots.end_send(false);
        }
        snapshots.begin_send();
        assert!(!snapshots.keeps_log());
        snapshots.end_send(true);
        snapshots.begin_send();
        assert!(snapshots.keeps_log(), "it takes snapshots again");
    }

    #[test]
    fn the_end_of_a_replica_names_what_is_under_way_for_it() {
        let mut snapshots = Snapshots::default();
        snapshots.begin_build();
        snapshots.begin_send();
        snapshots.retire("built".into());
        snapshots.mark(snapshot(), 5);
        let files = vec!["built".to_owned(), "x".to_owned()];
        let left = Unfinished { is_building: true, sends: 1, files, ..Unfinished::default() };
        assert_eq!(snapshots.end(), left);
    }

    #[test]
    fn an_install_that_has_started_is_under_way_at_the_end_of_its_replica() {
        let mut snapshots = Snapshots::default();
        snapshots.mark(snapshot(), 5);
        snapshots.start_install(5);
        assert!(snapshots.end().is_installing);
    }

    #[test]
    fn a_wrong_state_is_right_again_after_an_install_and_not_before() {
        let mut snapshots = Snapshots::default();
        assert!(snapshots.diverge());
        assert!(!snapshots.diverge(), "it is known already");
        snapshots.mark(snapshot(), 5);
        assert!(snapshots.has_diverged());
        snapshots.end_install();
        assert!(!snapshots.has_diverged());
        snapshots.mark(snapshot(), 6);
        assert!(!snapshots.diverge(), "what is being replaced needs no other snapshot");
        assert!(!snapshots.has_diverged());
    }

    #[test]
    fn a_built_snapshot_expires_when_nobody_has_asked_for_it_in_a_while() {
        let mut snapshots = Snapshots::default();
        assert!(snapshots.begin_build());
        assert!(!snapshots.begin_build(), "one build at a time");
        snapshots.end_build();
        assert!(!snapshots.tick(2));
        snapshots.begin_send();
        assert!(!snapshots.tick(2) && !snapshots.tick(2), "not while it is being sent");
        snapshots.end_send(true);
        assert!(!snapshots.tick(2));
        assert!(snapshots.tick(2));
    }
}
