use super::*;
use crate::history::{Action, Change, Condition, Version};
use crate::seed::{Seed, Stream};

const STATES_MAX: usize = 100_000;

fn operation(interval: (u64, u64), action: Action, answer: Answer) -> Operation {
    Operation { client: 0, action, invoked: interval.0, answered: interval.1, answer }
}

fn put(interval: (u64, u64), value: u64, revision: u64, existed: bool) -> Operation {
    let action = Action::Write { change: Change::Put(value), condition: Condition::Always };
    operation(interval, action, Answer::Written { revision, existed, previous: None })
}

fn unknown_put(invoked: u64, value: u64) -> Operation {
    let action = Action::Write { change: Change::Put(value), condition: Condition::Always };
    operation((invoked, 0), action, Answer::Unknown)
}

fn get(interval: (u64, u64), found: Option<(u64, u64)>) -> Operation {
    let found = found.map(|(value, revision)| Version { value, revision });
    operation(interval, Action::Get, Answer::Found(found))
}

fn verdict(operations: &[Operation]) -> Verdict {
    check(operations, STATES_MAX)
}

#[test]
fn a_stale_read_after_an_acknowledged_write_is_found() {
    let write = put((1, 2), 10, 1, false);
    assert_eq!(verdict(&[write, get((3, 4), Some((10, 1)))]), Verdict::Linearizable);
    assert_eq!(verdict(&[write, get((3, 4), None)]), Verdict::Violation { operation: 1 });
    // While the write is open, both replies are correct.
    let write = put((1, 9), 10, 1, false);
    assert_eq!(verdict(&[write, get((3, 4), None)]), Verdict::Linearizable);
    assert_eq!(verdict(&[write, get((3, 4), Some((10, 1)))]), Verdict::Linearizable);
}

#[test]
fn two_reads_may_not_go_back_in_time() {
    let writes = [put((1, 20), 10, 1, false), put((2, 21), 11, 2, true)];
    let reads = |first, second| [writes[0], writes[1], get((3, 4), first), get((5, 6), second)];
    assert_eq!(verdict(&reads(Some((10, 1)), Some((11, 2)))), Verdict::Linearizable);
    assert!(matches!(
        verdict(&reads(Some((11, 2)), Some((10, 1)))),
        Verdict::Violation { operation: 3 }
    ));
}

#[test]
fn an_unknown_write_may_apply_late_or_never_but_not_early() {
    let unknown = unknown_put(5, 10);
    assert_eq!(verdict(&[unknown, get((90, 91), Some((10, 7)))]), Verdict::Linearizable);
    assert_eq!(verdict(&[unknown, get((90, 91), None)]), Verdict::Linearizable);
    assert!(matches!(verdict(&[get((1, 2), Some((10, 7))), unknown]), Verdict::Violation { .. }));
    assert!(matches!(
        verdict(&[unknown, get((10, 11), Some((10, 7))), get((20, 21), None)]),
        Verdict::Violation { operation: 2 }
    ));
}

#[test]
fn a_write_applied_twice_is_found() {
    let history = [
        put((1, 2), 10, 1, false),
        put((3, 4), 11, 2, true),
        get((5, 6), Some((11, 2))),
        get((7, 8), Some((10, 3))),
    ];
    assert_eq!(verdict(&history), Verdict::Violation { operation: 3 });
}

#[test]
fn the_bound_on_the_search_is_kept() {
    let many: Vec<Operation> = (0..30).map(|i| unknown_put(i, i)).collect();
    let stale = get((100, 101), Some((999, 1)));
    let operations = [many, vec![stale]].concat();
    assert_eq!(check(&operations, 500), Verdict::TooHard);
}

fn precedes(first: &Operation, second: &Operation) -> bool {
    first.answer != Answer::Unknown && first.answered < second.invoked
}

/// The brute-force oracle: tries every order, without a memo.
fn explains(operations: &[Operation], placed: u32, register: Register) -> bool {
    let left = |index: &usize| placed & (1 << index) == 0;
    let known_left =
        (0..operations.len()).filter(left).any(|i| operations[i].answer != Answer::Unknown);
    if !known_left {
        return true;
    }
    (0..operations.len()).filter(left).any(|index| {
        let first = (0..operations.len())
            .filter(left)
            .all(|o| !precedes(&operations[o], &operations[index]));
        first
            && register
                .step(&operations[index])
                .is_some_and(|next| explains(operations, placed | 1 << index, next))
    })
}

/// A small history: the replies of a correct system at random times, then possibly corrupted.
fn small_history(rng: &mut Stream) -> Vec<Operation> {
    let count = 3 + rng.below(5);
    let mut record: Option<Version> = None;
    let mut revision = 0;
    let mut moments: Vec<u64> = (0..count as u64 * 2).collect();
    rng.shuffle(&mut moments);
    let mut operations: Vec<Operation> = Vec::new();
    for index in 0..count {
        let at = index as u64 * 20 + 100;
        let spread = 1 + rng.between(0, 50);
        let interval = (at - rng.between(0, spread), at + 1 + rng.between(0, spread));
        let condition = match rng.below(4) {
            0 => Condition::Absent,
            1 => Condition::Revision(record.map_or(1, |version| version.revision)),
            _ => Condition::Always,
        };
        let change = if rng.chance(0.7) { Change::Put(index as u64) } else { Change::Delete };
        let (action, answer) = if rng.chance(0.4) {
            (Action::Get, Answer::Found(record))
        } else {
            let action = Action::Write { change, condition };
            (action, right_answer(&mut record, &mut revision, change, condition))
        };
        operations.push(operation(interval, action, answer));
    }
    for index in 0..count {
        if rng.chance(0.25) {
            let other = rng.below(count);
            spoil(&mut operations, index, other);
        }
    }
    // Two points never have the same time: break ties by the order of the operations.
    for (index, op) in operations.iter_mut().enumerate() {
        op.invoked = op.invoked * 100 + index as u64;
        op.answered = op.answered * 100 + 50 + index as u64;
    }
    operations
}

fn right_answer(
    record: &mut Option<Version>,
    revision: &mut u64,
    change: Change,
    condition: Condition,
) -> Answer {
    let current = record.map(|version| version.revision);
    let holds = match condition {
        Condition::Always => true,
        Condition::Absent => current.is_none(),
        Condition::Revision(wanted) => current == Some(wanted),
    };
    if !holds {
        return Answer::Refused { current };
    }
    if change == Change::Delete && current.is_none() {
        return Answer::NothingToDelete;
    }
    *revision += 1;
    let previous = *record;
    *record = match change {
        Change::Put(value) => Some(Version { value, revision: *revision }),
        Change::Delete => None,
    };
    Answer::Written {
        revision: *revision,
        existed: previous.is_some(),
        previous: revision.is_multiple_of(2).then_some(previous),
    }
}

/// Makes an outcome unknown, or replaces the reply of one operation by that of another.
fn spoil(operations: &mut [Operation], index: usize, other: usize) {
    if index == other && operations[index].action != Action::Get {
        operations[index].answer = Answer::Unknown;
    } else if (operations[index].action == Action::Get) == (operations[other].action == Action::Get)
        && operations[other].answer != Answer::Unknown
    {
        operations[index].answer = operations[other].answer;
    }
}

#[test]
fn the_search_agrees_with_brute_force_on_small_histories() {
    let mut right = 0;
    let mut rng = Seed(20).stream("histories", 0);
    for number in 0..20_000 {
        let operations = small_history(&mut rng);
        let expected = explains(&operations, 0, Register::default());
        let found = verdict(&operations);
        assert_eq!(
            found == Verdict::Linearizable,
            expected,
            "history {number}: {found:?} {operations:#?}"
        );
        right += usize::from(expected);
    }
    // Both kinds must occur often, otherwise the agreement proves nothing.
    assert!((4_000..16_000).contains(&right), "{right} of 20000 are linearizable");
}
