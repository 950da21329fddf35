//! The model of one key: a register with revisions and conditional writes.
//!
//! Pure. Returns for a state and an operation whether the reply is correct if the operation takes
//! effect now, and the next state. A write with an unknown outcome leaves a record whose revision
//! is not known until a later reply contains it.

use crate::history::{Action, Answer, Change, Condition, Operation, Revision, ValueId, Version};

/// The state of one key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Register {
    record: Option<Held>,
    /// The highest known revision of this key: revisions only increase, also across deletes.
    floor: Revision,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Held {
    value: ValueId,
    /// `None`: written with an unknown outcome, and in no reply since.
    revision: Option<Revision>,
}

impl Register {
    /// The state after `operation`, or `None` if its reply is wrong in this state. Also `None` for
    /// a write with an unknown outcome that has no effect here: it need not be placed.
    pub(crate) fn step(mut self, operation: &Operation) -> Option<Self> {
        match (operation.action, operation.answer) {
            (Action::Get, Answer::Found(version)) => self.shows(version).then_some(self),
            (Action::Write { change, condition }, answer) => self.write(change, condition, answer),
            (Action::Get, _) => None,
        }
    }

    fn write(mut self, change: Change, condition: Condition, answer: Answer) -> Option<Self> {
        match answer {
            Answer::Written { revision, existed, previous } => {
                let seen = previous.is_none_or(|version| self.shows(version));
                let holds = self.satisfies(condition);
                let applies = change != Change::Delete || existed;
                if !seen || !holds || !applies || existed != self.record.is_some() {
                    return None;
                }
                (revision > self.floor).then(|| self.changed(change, Some(revision)))
            }
            Answer::Refused { current } => self.refuses(condition, current).then_some(self),
            Answer::NothingToDelete => {
                (change == Change::Delete && self.record.is_none()).then_some(self)
            }
            Answer::Unknown => {
                let applies = change != Change::Delete || self.record.is_some();
                (applies && self.satisfies(condition)).then(|| self.changed(change, None))
            }
            Answer::Found(_) => None,
        }
    }

    fn changed(self, change: Change, revision: Option<Revision>) -> Self {
        let record = match change {
            Change::Put(value) => Some(Held { value, revision }),
            Change::Delete => None,
        };
        Self { record, floor: revision.unwrap_or(self.floor) }
    }

    /// Whether a read of the key could return `version`; learns the revision from it.
    fn shows(&mut self, version: Option<Version>) -> bool {
        match (self.record, version) {
            (None, None) => true,
            (Some(held), Some(seen)) => held.value == seen.value && self.has(seen.revision),
            _ => false,
        }
    }

    fn satisfies(&mut self, condition: Condition) -> bool {
        match condition {
            Condition::Always => true,
            Condition::Absent => self.record.is_none(),
            Condition::Revision(revision) => self.has(revision),
        }
    }

    fn refuses(&mut self, condition: Condition, current: Option<Revision>) -> bool {
        let fails = match condition {
            Condition::Always => false,
            Condition::Absent => current.is_some(),
            Condition::Revision(wanted) => current != Some(wanted),
        };
        fails
            && match current {
                None => self.record.is_none(),
                Some(revision) => self.has(revision),
            }
    }

    /// Whether the record can have this revision; fixes it if it was not known.
    fn has(&mut self, wanted: Revision) -> bool {
        let Some(held) = &mut self.record else { return false };
        match held.revision {
            Some(revision) => revision == wanted,
            None if wanted > self.floor => {
                held.revision = Some(wanted);
                self.floor = wanted;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(action: Action, answer: Answer) -> Operation {
        Operation { client: 0, action, invoked: 0, answered: 1, answer }
    }

    fn put(value: u64, condition: Condition, answer: Answer) -> Operation {
        operation(Action::Write { change: Change::Put(value), condition }, answer)
    }

    fn delete(answer: Answer) -> Operation {
        operation(Action::Write { change: Change::Delete, condition: Condition::Always }, answer)
    }

    fn get(version: Option<(u64, u64)>) -> Operation {
        let version = version.map(|(value, revision)| Version { value, revision });
        operation(Action::Get, Answer::Found(version))
    }

    fn written(revision: u64, existed: bool) -> Answer {
        Answer::Written { revision, existed, previous: None }
    }

    /// Whether the replies are correct when the operations run in this order from an empty key.
    fn accepts(operations: &[Operation]) -> bool {
        operations.iter().try_fold(Register::default(), |state, op| state.step(op)).is_some()
    }

    #[test]
    fn reads_show_the_last_write_and_its_revision() {
        let first = put(1, Condition::Always, written(5, false));
        assert!(accepts(&[get(None), first, get(Some((1, 5)))]));
        assert!(!accepts(&[first, get(None)]));
        assert!(!accepts(&[first, get(Some((1, 6)))]));
        assert!(!accepts(&[first, get(Some((2, 5)))]));
    }

    #[test]
    fn revisions_rise_also_over_a_delete() {
        let first = put(1, Condition::Always, written(5, false));
        let gone = delete(written(6, true));
        assert!(accepts(&[first, gone, put(2, Condition::Always, written(7, false))]));
        assert!(!accepts(&[first, gone, put(2, Condition::Always, written(6, false))]));
        assert!(!accepts(&[first, put(2, Condition::Always, written(4, true))]));
    }

    #[test]
    fn a_delete_needs_a_record_and_says_when_there_is_none() {
        assert!(accepts(&[delete(Answer::NothingToDelete)]));
        assert!(!accepts(&[delete(written(1, false))]));
        let first = put(1, Condition::Always, written(5, false));
        assert!(!accepts(&[first, delete(Answer::NothingToDelete)]));
    }

    #[test]
    fn conditions_hold_or_are_refused_with_the_current_revision() {
        let first = put(1, Condition::Absent, written(5, false));
        let refused = |current| Answer::Refused { current };
        assert!(accepts(&[first, put(2, Condition::Revision(5), written(6, true))]));
        assert!(!accepts(&[first, put(2, Condition::Revision(4), written(6, true))]));
        assert!(!accepts(&[first, put(2, Condition::Absent, written(6, true))]));
        assert!(accepts(&[first, put(2, Condition::Absent, refused(Some(5)))]));
        assert!(accepts(&[first, put(2, Condition::Revision(4), refused(Some(5)))]));
        assert!(!accepts(&[first, put(2, Condition::Revision(5), refused(Some(5)))]));
        assert!(!accepts(&[first, put(2, Condition::Always, refused(Some(5)))]));
        assert!(accepts(&[put(2, Condition::Revision(4), refused(None))]));
        assert!(!accepts(&[put(2, Condition::Absent, refused(None))]));
    }

    #[test]
    fn an_unknown_write_gets_its_revision_from_the_first_look() {
        let unknown = put(1, Condition::Always, Answer::Unknown);
        assert!(accepts(&[unknown, get(Some((1, 9))), get(Some((1, 9)))]));
        assert!(!accepts(&[unknown, get(Some((1, 9))), get(Some((1, 8)))]));
        let first = put(7, Condition::Always, written(5, false));
        assert!(!accepts(&[first, unknown, get(Some((1, 5)))]));
        assert!(!accepts(&[put(1, Condition::Revision(3), Answer::Unknown)]));
    }

    #[test]
    fn the_previous_version_is_the_one_replaced() {
        let first = put(1, Condition::Always, written(5, false));
        let second = |value, revision| {
            let previous = Some(Some(Version { value, revision }));
            put(2, Condition::Always, Answer::Written { revision: 6, existed: true, previous })
        };
        assert!(accepts(&[first, second(1, 5)]));
        assert!(!accepts(&[first, second(3, 5)]));
        assert!(!accepts(&[first, second(1, 4)]));
    }
}
