//! The members that a replica reports: those that a crash cannot take back.
//!
//! Other processes act on what is reported. Once placement knows that a replica is out, the replica
//! is destroyed; a majority that came back from a crash with the members of before would wait for its
//! vote for ever. So a change is reported when the commit index that covers it is durable here.

use std::sync::Arc;

use crate::members::Members;

/// What is reported of one group.
pub(crate) struct ReportedMembers {
    durable: Arc<Members>,
    /// In force, and durable with this log batch.
    next: Option<(u64, Arc<Members>)>,
}

impl ReportedMembers {
    pub(crate) fn new(members: Arc<Members>) -> Self {
        Self { durable: members, next: None }
    }

    /// Other members are in force; the log batch `batch` has the commit index of their change.
    pub(crate) fn changed(&mut self, members: Arc<Members>, batch: u64) {
        self.next = Some((batch, members));
    }

    /// Log batches up to `batch` are durable.
    pub(crate) fn persisted(&mut self, batch: u64) {
        if let Some((_, members)) = self.next.take_if(|(next, _)| *next <= batch) {
            self.durable = members;
        }
    }

    pub(crate) fn get(&self) -> Arc<Members> {
        Arc::clone(&self.durable)
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::Epoch;

    use super::*;

    #[test]
    fn a_change_is_reported_when_it_is_durable() {
        let members = |epoch| Arc::new(Members::default().as_of(Epoch(epoch)));
        let mut reported = ReportedMembers::new(members(1));
        reported.changed(members(2), 5);
        reported.persisted(4);
        assert_eq!(reported.get(), members(1));
        reported.changed(members(3), 6);
        reported.persisted(5);
        assert_eq!(reported.get(), members(1), "the last change covers the one before it");
        reported.persisted(6);
        assert_eq!(reported.get(), members(3));
    }
}
