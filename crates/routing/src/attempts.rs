//! The retry decision for one request: what failed, may it have applied, what comes next.
//!
//! The rule for one reply is in `ringkv-proto` ([`Retry`]). This file adds what a single reply
//! cannot know: that an earlier attempt may have applied, and which nodes were asked since the last
//! pause.

use ringkv_kv_types::Outcome;
use ringkv_proto::Retry;
use ringkv_proto::v1::{self, ErrorCode};
use ringkv_topology::{Epoch, NodeId};

use crate::failure::Failure;
use crate::router::{Route, Router};

/// The history of one request.
#[derive(Clone, Debug)]
pub struct Attempts {
    write: bool,
    /// An attempt may have applied and no answer has settled it.
    open: bool,
    tried: Vec<NodeId>,
    aim: Option<NodeId>,
}

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Ask this node at once.
    RetryAt(NodeId),
    /// Ask placement for a topology of at least this epoch, pause, then route again.
    Refresh(Epoch),
    /// Pause, then route again.
    Backoff,
    /// The answer is final.
    GiveUp(Outcome),
}

impl Attempts {
    /// A read: it changes nothing, so its outcome is never open.
    pub fn read() -> Self {
        Self { write: false, open: false, tried: Vec::new(), aim: None }
    }

    /// A write; every attempt must carry the same request id.
    pub fn write() -> Self {
        Self { write: true, ..Self::read() }
    }

    /// The outcome if the request ends now without an answer.
    pub fn outcome(&self) -> Outcome {
        if self.open { Outcome::Unknown } else { Outcome::NotApplied }
    }

    /// Notes that an attempt was sent and its answer is no longer waited for.
    pub fn abandon(&mut self) {
        self.open = self.write;
    }

    /// Decides what follows a failed attempt, and updates `router` with what the failure shows.
    pub fn on_error(&mut self, router: &mut Router, route: &Route, failure: &Failure) -> Next {
        self.aim = None;
        if !self.tried.contains(&route.node) {
            self.tried.push(route.node);
        }
        match failure {
            Failure::Reply(error) => self.on_reply(router, route, error),
            Failure::NotSent => self.on_silence(router, route),
            Failure::Lost | Failure::Silent => {
                self.abandon();
                self.on_silence(router, route)
            }
        }
    }

    fn on_silence(&mut self, router: &mut Router, route: &Route) -> Next {
        router.suspect(route.node);
        router.not_leader(route.group, route.node, None);
        self.elsewhere(router, route, None)
    }

    fn on_reply(&mut self, router: &mut Router, route: &Route, error: &v1::Error) -> Next {
        let code = error.code();
        if code.outcome() == Outcome::Unknown || error.outcome() == v1::Outcome::Unknown {
            self.open = self.write;
        }
        let hint = NodeId::from_wire(error.leader_node);
        match code.retry() {
            Retry::Elsewhere => {
                if code == ErrorCode::ShuttingDown {
                    router.suspect(route.node);
                }
                router.not_leader(route.group, route.node, hint);
                self.elsewhere(router, route, hint)
            }
            Retry::SameRequestId if code == ErrorCode::LeadershipLost => {
                router.not_leader(route.group, route.node, hint);
                self.elsewhere(router, route, hint)
            }
            Retry::AfterRefresh => {
                router.not_leader(route.group, route.node, None);
                // Without a replica there the group's others may still serve; a slot that moved
                // is served by none of them.
                let others = router.untried(route.group, &self.tried);
                if code == ErrorCode::Moved || others.is_none() {
                    self.pause();
                }
                Next::Refresh(Epoch(error.epoch))
            }
            Retry::Later | Retry::SameRequestId => {
                self.pause();
                Next::Backoff
            }
            Retry::Never => {
                if settles(code) {
                    self.open = false;
                }
                Next::GiveUp(self.outcome())
            }
        }
    }

    /// The named leader or another replica, each once between two pauses.
    fn elsewhere(&mut self, router: &Router, route: &Route, hint: Option<NodeId>) -> Next {
        let named = hint.filter(|node| !self.tried.contains(node));
        if named.is_some_and(|node| !router.addresses().contains_key(&node)) {
            // The leader joined after the topology held here.
            self.pause();
            return Next::Refresh(router.epoch());
        }
        match named.or_else(|| router.untried(route.group, &self.tried)) {
            Some(node) => {
                self.aim = Some(node);
                Next::RetryAt(node)
            }
            None => {
                self.pause();
                Next::Backoff
            }
        }
    }

    fn pause(&mut self) {
        self.tried.clear();
        self.aim = None;
    }

    pub(crate) fn aim(&self) -> Option<NodeId> {
        self.aim
    }

    pub(crate) fn tried(&self) -> &[NodeId] {
        &self.tried
    }
}

/// Whether this refusal is the state machine's own, decided after every earlier attempt of the same
/// request id: then it settles them too. Any other refusal says nothing about earlier attempts.
fn settles(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::PreconditionFailed | ErrorCode::KeyAbsent | ErrorCode::RequestIdReused
    )
}
