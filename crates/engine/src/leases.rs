//! The leases of the groups led here, for reads that need not go through the poller.
//!
//! Written by the poller before it lets out anything that could end one; read from any thread. The
//! clock is read after the request has come and before the state machine is looked at, so that
//! a thread that stops in between serves what was right when it asked.

use std::collections::HashMap;

use parking_lot::RwLock;
use ringkv_topology::GroupId;

#[derive(Default)]
pub(crate) struct Leases {
    /// Until when, by group; those without a lease are not in it.
    until_us: RwLock<HashMap<GroupId, u64>>,
}

impl Leases {
    /// The poller's word: each group's lease ends then, or has ended (0).
    pub(crate) fn tell(&self, leases: &[(GroupId, u64)]) {
        if leases.is_empty() {
            return;
        }
        let mut map = self.until_us.write();
        for (group, until_us) in leases {
            match until_us {
                0 => map.remove(group),
                until_us => map.insert(*group, *until_us),
            };
        }
    }

    /// Whether the group's lease holds at the time that `clock` returns.
    pub(crate) fn hold(&self, group: GroupId, clock: impl FnOnce() -> u64) -> bool {
        let until_us = self.until_us.read().get(&group).copied();
        until_us.is_some_and(|until_us| clock() < until_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_holds_until_its_time_or_the_pollers_word() {
        let leases = Leases::default();
        assert!(!leases.hold(GroupId(1), || 0));
        leases.tell(&[(GroupId(1), 100), (GroupId(2), 200)]);
        assert!(leases.hold(GroupId(1), || 99));
        assert!(!leases.hold(GroupId(1), || 100));
        leases.tell(&[(GroupId(2), 0)]);
        assert!(!leases.hold(GroupId(2), || 0));
    }
}
