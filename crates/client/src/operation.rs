//! The operations of a cluster as a caller sees them.

use ringkv_proto::v1;

/// Whether an operation goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationState {
    /// It has steps left.
    Running,
    /// All its steps are done.
    Done,
    /// It was taken back.
    Aborted,
}

impl OperationState {
    /// Its name in the API: `running`, `done` or `aborted`.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Aborted => "aborted",
        }
    }
}

/// A change of the cluster, requested by an operator or begun by placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Ids only increase.
    pub id: u64,
    /// `bootstrap`, `node_join`, `node_drain`, `node_replace`, `node_loss`, `rebalance`, `setting`,
    /// `placement_join` or `placement_leave`.
    pub kind: String,
    /// What it does, in words: `drain of node 4`.
    pub title: String,
    /// The nodes that it is about; of `placement_*`, placement's replica.
    pub nodes: Vec<u64>,
    /// Why it began: `requested`, `silent for 300 s`.
    pub cause: String,
    /// Whether it goes on.
    pub state: OperationState,
    /// Milliseconds since the Unix epoch, by the clock of placement's leader.
    pub began_ms: u64,
    /// The same; `None` while it runs.
    pub ended_ms: Option<u64>,
    /// Steps done; a step is the move of one replica.
    pub done_steps: u32,
    /// Steps known so far; more may turn out to be needed.
    pub total_steps: u32,
    /// Bytes of the replicas that are complete on their new node.
    pub done_bytes: u64,
    /// Bytes of the replicas whose move has begun.
    pub total_bytes: u64,
    /// As placement's leader has observed it lately; `None` when that says too little.
    pub bytes_per_s: Option<u64>,
    /// The same.
    pub seconds_left: Option<u64>,
    /// What has to happen before it goes on, for people.
    pub blocked_by: Vec<String>,
}

/// The operations that run and the last that ended, ascending by id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations {
    /// The operations.
    pub operations: Vec<Operation>,
    /// False if placement's leader could not be asked: rates and blockers are unknown then, and the
    /// last steps may be missing.
    pub from_leader: bool,
}

impl Operations {
    /// The operation with an id; one that ended long ago is forgotten.
    pub fn find(&self, id: u64) -> Option<&Operation> {
        self.operations.iter().find(|operation| operation.id == id)
    }

    pub(crate) fn from_proto(reply: v1::ListOperationsReply) -> Self {
        Self {
            operations: reply.operations.into_iter().map(Operation::from_proto).collect(),
            from_leader: reply.from_leader,
        }
    }
}

impl Operation {
    pub(crate) fn from_proto(wire: v1::Operation) -> Self {
        let state = match wire.state() {
            v1::OperationState::Done => OperationState::Done,
            v1::OperationState::Aborted => OperationState::Aborted,
            v1::OperationState::Running | v1::OperationState::Unspecified => {
                OperationState::Running
            }
        };
        Self {
            id: wire.id,
            kind: wire.kind,
            title: wire.title,
            nodes: wire.nodes,
            cause: wire.cause,
            state,
            began_ms: wire.began_ms,
            ended_ms: (wire.ended_ms != 0).then_some(wire.ended_ms),
            done_steps: wire.done_steps,
            total_steps: wire.total_steps,
            done_bytes: wire.done_bytes,
            total_bytes: wire.total_bytes,
            bytes_per_s: wire.bytes_per_s,
            seconds_left: wire.seconds_left,
            blocked_by: wire.blocked_by,
        }
    }
}
