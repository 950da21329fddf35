//! How long a follower that took no snapshot is left alone before Raft may ask for the next one.
//!
//! Raft asks again with its next heartbeat, ten times a second, and each try may build a snapshot: a
//! node without room for one must not keep the leader's disk busy.

use std::collections::BTreeMap;
use std::time::Duration;

use ringkv_topology::{GroupId, ReplicaId};

const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(16);
/// Followers that are remembered; beyond it a new one starts with the shortest pause each time.
const REMEMBERED_MAX: usize = 1_024;

/// The next pause of each follower whose last transfer failed.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    next: BTreeMap<(GroupId, ReplicaId), Duration>,
}

impl Backoff {
    /// A transfer failed: returns for how long that is kept from Raft. Doubles each time.
    pub(crate) fn failed(&mut self, group: GroupId, to: ReplicaId) -> Duration {
        let pause = self.next.remove(&(group, to)).unwrap_or(PAUSE_MIN);
        if self.next.len() < REMEMBERED_MAX {
            self.next.insert((group, to), (pause * 2).min(PAUSE_MAX));
        }
        pause
    }

    /// A transfer succeeded.
    pub(crate) fn succeeded(&mut self, group: GroupId, to: ReplicaId) {
        self.next.remove(&(group, to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: GroupId = GroupId(1);

    #[test]
    fn the_pause_doubles_up_to_its_maximum_and_a_success_ends_it() {
        let mut backoff = Backoff::default();
        let pauses = [(); 6].map(|()| backoff.failed(GROUP, ReplicaId(2)).as_secs());
        assert_eq!(pauses, [1, 2, 4, 8, 16, 16]);
        assert_eq!(backoff.failed(GROUP, ReplicaId(3)), PAUSE_MIN, "each has its own");
        backoff.succeeded(GROUP, ReplicaId(2));
        assert_eq!(backoff.failed(GROUP, ReplicaId(2)), PAUSE_MIN);
    }

    #[test]
    fn followers_beyond_the_bound_are_not_remembered() {
        let mut backoff = Backoff::default();
        for replica in 1..=REMEMBERED_MAX as u64 {
            backoff.failed(GROUP, ReplicaId(replica));
        }
        let one_more = ReplicaId(REMEMBERED_MAX as u64 + 1);
        assert_eq!([(); 2].map(|()| backoff.failed(GROUP, one_more)), [PAUSE_MIN; 2]);
        assert_eq!(backoff.failed(GROUP, ReplicaId(1)), PAUSE_MIN * 2);
    }
}
