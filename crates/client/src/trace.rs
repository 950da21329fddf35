//! What a call carries of its trace, and what a node reports of the time it took.
//!
//! Knows no OpenTelemetry: the ids are plain numbers.

use ringkv_proto::v1;

/// The span a traced call belongs to, by the W3C Trace Context.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallTrace {
    /// The trace.
    pub trace_id: u128,
    /// The span within it.
    pub span_id: u64,
    /// The `tracestate` header; mostly empty.
    pub state: String,
}

/// The result of a call, and where the node's time went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timed<T> {
    /// What the call returned.
    pub result: T,
    /// The time of each stage at the node.
    pub timing: Timing,
}

/// Microseconds that a request spent in each stage at the node; 0 for a stage it did not pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// From arrival until the command was proposed.
    pub queue_us: u32,
    /// A write: from its proposal until a majority had it. A read: until its read point was sure.
    pub raft_us: u32,
    /// From its proposal until the leader's own disk had it.
    pub fsync_us: u32,
    /// From the commit until the state machine had applied it.
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
