//! What a call carries of its trace, and what a node reports of the time it took.
//!
//! Knows no OpenTelemetry: the ids are plain numbers.

use ringkv_proto::v1;

/// The span a traced call belongs to, by the W3C Trace Context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTrace {
    pub trace_id: u128,
    pub span_id: u64,
    /// The `tracestate` header; mostly empty.
    pub state: String,
}

/// Microseconds of each stage of a request inside the node; 0 for one that was not passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From arrival until the command was proposed.
    pub queue_us: u32,
    /// A write: until a majority had it. A read: until it was certain what it must show.
    pub raft_us: u32,
    /// From its proposal until the leader's own disk had it.
    pub fsync_us: u32,
    /// From there being a majority until the state machine had it.
    pub apply_us: u32,
    /// Reading the record.
    pub read_us: u32,
}

impl From<Option<v1::Timing>> for Timing {
    fn from(wire: Option<v1::Timing>) -> Self {
        let v1::Timing { queue_us, raft_us, fsync_us, apply_us, read_us } =
            wire.unwrap_or_default();
        Self { queue_us, raft_us, fsync_us, apply_us, read_us }
    }
}
