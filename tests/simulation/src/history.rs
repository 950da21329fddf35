//! What clients asked for and were told: the record that is checked for linearizability.
//!
//! Only outcomes a client learnt are in it. An operation that certainly did not apply is left
//! out; one whose outcome stayed unknown may take effect at any time after it was invoked.

/// A value written; every put of a run writes another one.
pub(crate) type ValueId = u64;

/// A record's revision.
pub(crate) type Revision = u64;

/// Orders invocations and answers: no two share one.
pub(crate) type Moment = u64;

/// A record as seen by a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) value: ValueId,
    pub(crate) revision: Revision,
}

/// What a write does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Put(ValueId),
    Delete,
}

/// When a write may take effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    /// The key holds no record.
    Absent,
    /// The record has this revision.
    Revision(Revision),
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Get,
    Write { change: Change, condition: Condition },
}

/// What the client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A read's answer.
    Found(Option<Version>),
    /// The write applied; `previous` is given when it was asked for.
    Written { revision: Revision, existed: bool, previous: Option<Option<Version>> },
    /// The condition did not hold; the revision the record had, if there was one.
    Refused { current: Option<Revision> },
    /// A delete found no record.
    NothingToDelete,
    /// A write that may or may not have applied, or may yet.
    Unknown,
}

/// One operation on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Operation {
    pub(crate) client: usize,
    pub(crate) action: Action,
    pub(crate) invoked: Moment,
    /// Meaningless while the answer is unknown.
    pub(crate) answered: Moment,
    pub(crate) answer: Answer,
}
