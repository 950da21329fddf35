//! Checks whether the history of one key is linearizable: Wing and Gong's search with Lowe's memo.
//!
//! By locality a history is linearizable if the history of each key is, so keys are checked one by
//! one. The search places operations in an order that respects real time and the register's rules;
//! it does not search again from states already seen (the set of placed operations, and the
//! register).
//! Source: Lowe, "Testing for linearizability" (2017); checked against brute force below.

use std::collections::HashSet;

use crate::history::{Answer, Operation};
use crate::register::Register;

/// The result of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Linearizable,
    /// No order explains the replies. Names the first operation, in time, whose reply cannot be
    /// explained together with those before it.
    Violation {
        operation: usize,
    },
    /// The search reached its bound.
    TooHard,
}

/// Searches for an order of the operations of one key. `states_max` bounds the memo.
pub(crate) fn check(operations: &[Operation], states_max: usize) -> Verdict {
    let mut timeline = Timeline::new(operations);
    let mut placed = Placed::new(operations.len());
    let mut seen: HashSet<(Placed, Register)> = HashSet::new();
    let mut register = Register::default();
    let mut trail: Vec<(usize, Register)> = Vec::new();
    let mut furthest = (0, 0);
    let mut point = timeline.first();
    while let Some(current) = point {
        let operation = current.operation();
        if current.is_answer() {
            // The reply came before the operation could be placed: the last choice is wrong.
            furthest = furthest.max((operations[operation].answered, operation));
            let Some((last, before)) = trail.pop() else {
                return Verdict::Violation { operation: furthest.1 };
            };
            register = before;
            placed.remove(last);
            timeline.restore(last);
            point = timeline.after(Point::invocation(last));
            continue;
        }
        if let Some(next) = register.step(&operations[operation]) {
            placed.insert(operation);
            if seen.insert((placed.clone(), next)) {
                if seen.len() > states_max {
                    return Verdict::TooHard;
                }
                trail.push((operation, register));
                register = next;
                timeline.remove(operation);
                point = timeline.first();
                continue;
            }
            placed.remove(operation);
        }
        point = timeline.after(current);
    }
    // No operation with a known reply is left; the others are unknown and need not have applied.
    Verdict::Linearizable
}

/// The set of placed operations.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Placed(Box<[u64]>);

impl Placed {
    fn new(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)].into())
    }

    fn insert(&mut self, operation: usize) {
        self.0[operation / 64] |= 1 << (operation % 64);
    }

    fn remove(&mut self, operation: usize) {
        self.0[operation / 64] &= !(1 << (operation % 64));
    }
}

/// An invocation or a reply.
#[derive(Clone, Copy)]
struct Point(usize);

impl Point {
    fn invocation(operation: usize) -> Self {
        Self(operation * 2)
    }

    fn answer(operation: usize) -> Self {
        Self(operation * 2 + 1)
    }

    fn operation(self) -> usize {
        self.0 / 2
    }

    fn is_answer(self) -> bool {
        self.0 % 2 == 1
    }
}

/// Invocations and replies in order of time, as a doubly linked list over fixed places, so that
/// removal and reinsertion of an operation are cheap. The last place is the list's sentinel.
struct Timeline {
    next: Vec<usize>,
    previous: Vec<usize>,
    has_answer: Vec<bool>,
}

impl Timeline {
    fn new(operations: &[Operation]) -> Self {
        let ends = operations.len() * 2;
        let has_answer: Vec<bool> =
            operations.iter().map(|op| op.answer != Answer::Unknown).collect();
        let mut points: Vec<(u64, usize)> = Vec::with_capacity(ends);
        for (index, operation) in operations.iter().enumerate() {
            points.push((operation.invoked, Point::invocation(index).0));
            if has_answer[index] {
                points.push((operation.answered, Point::answer(index).0));
            }
        }
        points.sort_unstable();
        let (mut next, mut previous) = (vec![ends; ends + 1], vec![ends; ends + 1]);
        let mut last = ends;
        for (_, point) in points {
            next[last] = point;
            previous[point] = last;
            last = point;
        }
        next[last] = ends;
        previous[ends] = last;
        Self { next, previous, has_answer }
    }

    fn ends(&self) -> usize {
        self.next.len() - 1
    }

    fn first(&self) -> Option<Point> {
        self.after(Point(self.ends()))
    }

    fn after(&self, point: Point) -> Option<Point> {
        let next = self.next[point.0];
        (next != self.ends()).then_some(Point(next))
    }

    fn remove(&mut self, operation: usize) {
        self.unlink(Point::invocation(operation));
        if self.has_answer[operation] {
            self.unlink(Point::answer(operation));
        }
    }

    /// Reverts the last removal that is still in effect.
    fn restore(&mut self, operation: usize) {
        if self.has_answer[operation] {
            self.relink(Point::answer(operation));
        }
        self.relink(Point::invocation(operation));
    }

    fn unlink(&mut self, Point(point): Point) {
        let (previous, next) = (self.previous[point], self.next[point]);
        self.next[previous] = next;
        self.previous[next] = previous;
    }

    fn relink(&mut self, Point(point): Point) {
        let (previous, next) = (self.previous[point], self.next[point]);
        self.next[previous] = point;
        self.previous[next] = point;
    }
}

#[cfg(test)]
mod tests;
