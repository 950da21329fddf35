//! How one attempt of a request failed, and the names of that in metrics and traces.

use ringkv_proto::v1::{self, ErrorCode};

/// How one attempt failed.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// The node answered with an error.
    Reply(v1::Error),
    /// The request never left: no connection. Certainly not applied.
    NotSent,
    /// The request left and no answer can come any more: the connection died.
    Lost,
    /// The request left and no answer came in the time given to one attempt.
    Silent,
}

/// Why an attempt was not the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RetryReason {
    /// The node does not lead the group.
    NotLeader,
    /// The group does not own the slot, or has no replica there.
    Moved,
    /// A bounded queue was full.
    Busy,
    /// The leader lost its leadership with the request open.
    LeadershipLost,
    /// No connection to the node.
    Unreachable,
    /// The connection died with the request open.
    ConnectionLost,
    /// No answer within the attempt's time.
    Silent,
    /// There was no topology to route by.
    NotReady,
}

impl RetryReason {
    /// Every reason, in the order of their values.
    pub const ALL: [Self; 8] = [
        Self::NotLeader,
        Self::Moved,
        Self::Busy,
        Self::LeadershipLost,
        Self::Unreachable,
        Self::ConnectionLost,
        Self::Silent,
        Self::NotReady,
    ];

    /// The name in metrics.
    pub fn slug(self) -> &'static str {
        match self {
            Self::NotLeader => "not_leader",
            Self::Moved => "moved",
            Self::Busy => "busy",
            Self::LeadershipLost => "leadership_lost",
            Self::Unreachable => "unreachable",
            Self::ConnectionLost => "connection_lost",
            Self::Silent => "silent",
            Self::NotReady => "not_ready",
        }
    }
}

impl Failure {
    /// Why the next attempt is made.
    pub fn reason(&self) -> RetryReason {
        match self {
            Self::NotSent => RetryReason::Unreachable,
            Self::Lost => RetryReason::ConnectionLost,
            Self::Silent => RetryReason::Silent,
            Self::Reply(error) => match error.code() {
                ErrorCode::Moved | ErrorCode::NoGroup => RetryReason::Moved,
                ErrorCode::Busy => RetryReason::Busy,
                ErrorCode::LeadershipLost => RetryReason::LeadershipLost,
                ErrorCode::Deadline => RetryReason::Silent,
                _ => RetryReason::NotLeader,
            },
        }
    }

    /// The name in a trace: the node's code, or what became of the connection.
    pub fn slug(&self) -> &'static str {
        match self {
            Self::Reply(error) => error.code().slug(),
            Self::NotSent | Self::Lost | Self::Silent => self.reason().slug(),
        }
    }
}
