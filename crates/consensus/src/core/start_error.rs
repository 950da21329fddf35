//! Why a node does not start.

use ringkv_topology::GroupId;

use crate::position::LogIndex;
use crate::position::LogPosition;

/// Why a node cannot start on what is in its stores.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(
        "group {group}: the state machine is at {applied}, outside its log ({}, {last}]: data \
         and log do not belong together", start.index
    )]
    Position { group: GroupId, applied: LogIndex, start: LogPosition, last: LogIndex },
    #[error("group {group}: the log has it but the state machine does not")]
    Missing { group: GroupId },
    #[error("group {group}: raft refused its state")]
    Raft { group: GroupId, source: Box<dyn std::error::Error + Send + Sync> },
}
