//! Proposes changes of members to the engine.
//!
//! Waits for no result: what was not made is asked for again at the next look. Owns the end of each
//! request, for the log only.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringkv_consensus::{Completion, MembersChange, Request, Ticket};
use ringkv_engine::{Handle, Registration, Sink};
use ringkv_topology::GroupId;

/// The proposer of one node.
pub(super) struct Changes {
    engine: Handle,
    registration: Registration,
    next: AtomicU64,
}

impl Changes {
    pub(super) fn new(engine: Handle) -> Self {
        let registration = engine.register(Arc::new(Ends));
        Self { engine, registration, next: AtomicU64::new(1) }
    }

    /// Proposes the change to a group led here.
    pub(super) fn propose(&self, group: GroupId, change: MembersChange) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let ticket = Ticket { sink: self.registration.id(), id };
        tracing::info!(
            group = group.0,
            epoch = change.epoch.0,
            ?change,
            "proposing a change of members"
        );
        self.engine.submit(vec![Request::ChangeMembers { group, change, ticket }]);
    }
}

struct Ends;

impl Sink for Ends {
    fn deliver(&self, completions: Vec<Completion>) {
        for completion in completions {
            match completion.result {
                Ok(_) => tracing::debug!(change = completion.id, "members changed"),
                Err(error) => {
                    tracing::info!(change = completion.id, %error, "members not changed; trying again");
                }
            }
        }
    }
}
