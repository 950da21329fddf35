//! How operations go on: their pace, from what the leader has seen of them, and what blocks them.
//!
//! In memory of the leader only, and begun again by the next one: a pace that was not observed is not
//! known. Bounded by the operations that run and by the window. Time is that of the observations,
//! passed in by the caller.

use std::collections::{BTreeMap, VecDeque};

use crate::operation::{Operation, OperationId, OperationKind, OperationState};
use crate::reconciler::Blocker;

/// The pace is that of the last minute: long enough for some steps, short enough to follow a change.
const WINDOW_MS: u64 = 60_000;
/// A pace observed for a shorter time says nothing.
const OBSERVED_MIN_MS: u64 = 5_000;
/// Distance of samples, which bounds them to 60 for each operation.
const SAMPLE_MS: u64 = 1_000;

/// What was done at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    at_ms: u64,
    done_steps: u32,
    done_bytes: u64,
}

/// How fast an operation goes on; `None` where too little was observed to say so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    pub bytes_per_s: Option<u64>,
    pub seconds_left: Option<u64>,
}

/// The operations as the leader has seen them.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    samples: BTreeMap<OperationId, VecDeque<Sample>>,
    blocked: Vec<Blocker>,
}

impl Progress {
    /// Takes the operations as they are now, and what blocked the last plan.
    pub fn look(&mut self, now_ms: u64, operations: &[&Operation], blocked: Vec<Blocker>) {
        self.blocked = blocked;
        let is_running = |operation: &&&Operation| operation.state == OperationState::Running;
        let running: BTreeMap<OperationId, &Operation> =
            operations.iter().filter(is_running).map(|one| (one.id, *one)).collect();
        self.samples.retain(|id, _| running.contains_key(id));
        for (id, operation) in running {
            let samples = self.samples.entry(id).or_default();
            if samples.back().is_none_or(|last| now_ms >= last.at_ms + SAMPLE_MS) {
                samples.push_back(Sample {
                    at_ms: now_ms,
                    done_steps: operation.done_steps,
                    done_bytes: operation.done_bytes,
                });
            }
            while samples.front().is_some_and(|first| first.at_ms + WINDOW_MS < now_ms) {
                samples.pop_front();
            }
        }
    }

    /// Notes that this replica does not lead.
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// The pace of an operation. The time left is known only if all its steps are.
    pub fn pace(&self, operation: &Operation) -> Pace {
        let samples = self.samples.get(&operation.id);
        let Some((first, last)) = samples.and_then(|all| Some((all.front()?, all.back()?))) else {
            return Pace::default();
        };
        let observed_ms = last.at_ms - first.at_ms;
        let steps = u64::from(last.done_steps.saturating_sub(first.done_steps));
        if observed_ms < OBSERVED_MIN_MS || steps == 0 {
            return Pace::default();
        }
        let bytes = last.done_bytes.saturating_sub(first.done_bytes);
        let left = u64::from(operation.total_steps.saturating_sub(operation.done_steps));
        let knows_all_steps = !matches!(operation.kind, OperationKind::Rebalance);
        Pace {
            bytes_per_s: Some(bytes.saturating_mul(1_000) / observed_ms),
            seconds_left: knows_all_steps.then(|| (left * observed_ms).div_ceil(steps * 1_000)),
        }
    }

    /// What blocks an operation, or with `None` the cluster as a whole.
    pub fn blockers(&self, operation: Option<OperationId>) -> impl Iterator<Item = &str> {
        let blocked = self.blocked.iter().filter(move |blocker| blocker.operation == operation);
        blocked.map(|blocker| blocker.reason.as_str())
    }
}

#[cfg(test)]
mod tests {
    use ringkv_topology::NodeId;

    use super::*;

    fn drain(done_steps: u32) -> Operation {
        Operation {
            id: OperationId(7),
            kind: OperationKind::NodeDrain { node: NodeId(3) },
            cause: "requested".into(),
            state: OperationState::Running,
            began_ms: 1,
            ended_ms: 0,
            total_steps: 20,
            done_steps,
            total_bytes: u64::from(done_steps + 1) * 1_000,
            done_bytes: u64::from(done_steps) * 1_000,
        }
    }

    #[test]
    fn the_pace_is_that_of_the_observed_steps() {
        let mut progress = Progress::default();
        progress.look(0, &[&drain(2)], Vec::new());
        assert_eq!(progress.pace(&drain(2)), Pace::default(), "observed at one time only");
        progress.look(4_000, &[&drain(6)], Vec::new());
        assert_eq!(progress.pace(&drain(6)), Pace::default(), "observed for too short a time");
        progress.look(8_000, &[&drain(10)], Vec::new());
        let pace = Pace { bytes_per_s: Some(1_000), seconds_left: Some(10) };
        assert_eq!(progress.pace(&drain(10)), pace);
    }

    #[test]
    fn an_operation_that_stands_still_has_no_pace() {
        let mut progress = Progress::default();
        for at_ms in (0..200_000).step_by(1_000) {
            progress.look(at_ms, &[&drain(if at_ms < 50_000 { 1 } else { 9 })], Vec::new());
        }
        assert_eq!(progress.pace(&drain(9)), Pace::default());
        assert!(progress.samples[&OperationId(7)].len() <= 61);
    }

    #[test]
    fn the_time_left_of_a_rebalance_is_unknown() {
        let mut progress = Progress::default();
        let rebalance = |done| Operation { kind: OperationKind::Rebalance, ..drain(done) };
        progress.look(0, &[&rebalance(0)], Vec::new());
        progress.look(10_000, &[&rebalance(5)], Vec::new());
        let pace = Pace { bytes_per_s: Some(500), seconds_left: None };
        assert_eq!(progress.pace(&rebalance(5)), pace);
    }

    #[test]
    fn blockers_are_those_of_the_last_plan_and_end_with_the_leadership() {
        let blocker = |id, reason: &str| Blocker { operation: id, reason: reason.into() };
        let mut progress = Progress::default();
        progress.look(0, &[], vec![blocker(Some(OperationId(7)), "old")]);
        let blocked = vec![blocker(Some(OperationId(7)), "a"), blocker(None, "b")];
        progress.look(1, &[], blocked);
        assert_eq!(progress.blockers(Some(OperationId(7))).collect::<Vec<_>>(), ["a"]);
        assert_eq!(progress.blockers(None).collect::<Vec<_>>(), ["b"]);
        progress.forget();
        assert_eq!(progress.blockers(None).count(), 0);
    }
}
