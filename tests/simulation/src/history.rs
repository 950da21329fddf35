//! The requests of clients and the replies they received: the record that is checked for
//! linearizability.
//!
//! Contains only outcomes that a client received. An operation that certainly did not apply is left
//! out; one whose outcome stayed unknown may take effect at any time after its invocation.

/// A written value; every put of a run writes a different one.
pub(crate) type ValueId = u64;

/// A record's revision.
pub(crate) type Revision = u64;

/// Orders invocations and replies; each has a different one.
pub(crate) type Moment = u64;

/// A record as seen by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) value: ValueId,
    pub(crate) revision: Revision,
}

/// The effect of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(ValueId),
    Delete,
}

/// The condition of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    /// The key has no record.
    Absent,
    /// The record has this revision.
    Revision(Revision),
}

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Get,
    Write { change: Change, condition: Condition },
}

/// The reply that the client received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The result of a read.
    Found(Option<Version>),
    /// The write applied; `previous` is set if the request asked for it.
    Written { revision: Revision, existed: bool, previous: Option<Option<Version>> },
    /// The condition did not hold; the revision of the record, if there was one.
    Refused { current: Option<Revision> },
    /// A delete found no record.
    NothingToDelete,
    /// The write may have applied, and may still apply later.
    Unknown,
}

/// One operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) client: usize,
    pub(crate) action: Action,
    pub(crate) invoked: Moment,
    /// Has no meaning while the reply is unknown.
    pub(crate) answered: Moment,
    pub(crate) answer: Answer,
}
