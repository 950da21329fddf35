//! Why a node does not start.

use ringkv_topology::GroupId;

use crate::log_store::LogError;
use crate::position::{LogIndex, LogPosition};

/// Why a node cannot start on what is in its stores.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The state machine's position is not in the log.
    #[error(
        "group {group}: the state machine is at {applied}, outside its log ({}, {last}]: data \
         and log do not belong together", start.index
    )]
    Position {
        /// The group.
        group: GroupId,
        /// Where its state machine is.
        applied: LogIndex,
        /// Where its log begins.
        start: LogPosition,
        /// The last entry of its log.
        last: LogIndex,
    },
    /// The state machine does not have the group.
    #[error("group {group}: the log has it but the state machine does not")]
    Missing {
        /// The group.
        group: GroupId,
    },
    /// The log does not say which replicas were destroyed.
    #[error("cannot read the tombstones of the log")]
    Log {
        /// What failed.
        source: LogError,
    },
    /// raft-rs does not take the state.
    #[error("group {group}: raft refused its state")]
    Raft {
        /// The group.
        group: GroupId,
        /// What raft-rs says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}
