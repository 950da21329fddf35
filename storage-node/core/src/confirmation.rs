//! When a node that has an identity may serve, by what placement answers to its registration.
//!
//! The rule: a node serves if placement confirms it, if no placement can be reached, or if the one
//! that can be reached is not that of its cluster. It does not serve while another process may be
//! the node, and ends if that stays so. Time is a number of milliseconds since a fixed start.

/// How long a start waits for placement before it serves without. Long enough that another process
/// with the same identity is found first.
const UNREACHABLE_MS: u64 = 2_000;

/// How long a start waits for a placement leader that cannot decide yet. A leader decides 10 s after
/// its election; only one leader after another takes longer, which is like a placement that is away.
const UNDECIDED_MS: u64 = 15_000;

/// How long a process waits for another one that is the node. Placement takes a node as ended after
/// 5 s of silence.
const ELSEWHERE_MS: u64 = 10_000;

/// What came back for a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This process is the node.
    Confirmed,
    /// Never: the directory is an older copy, or its node was removed.
    Refused,
    /// Placement is of another cluster.
    Foreign,
    /// Another process is the node.
    ServedElsewhere,
    /// The leader cannot know yet whether another process is the node.
    TooEarly,
    /// No leader answered.
    Unreachable,
}

/// What the process does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It serves: confirmed, or without placement and with more registrations in the background.
    Serve,
    /// It registers again. A process that serves already goes on.
    Retry,
    /// It ends.
    End,
}

/// The registrations of one process that has an identity.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation {
    began_ms: u64,
    elsewhere_since_ms: Option<u64>,
}

impl Confirmation {
    /// Before the first registration.
    pub fn new(now_ms: u64) -> Self {
        Self { began_ms: now_ms, elsewhere_since_ms: None }
    }

    /// Decides after one registration.
    pub fn answered(&mut self, now_ms: u64, answer: Answer) -> Next {
        let waited_ms = now_ms.saturating_sub(self.began_ms);
        let serve_after =
            |patience_ms| if waited_ms >= patience_ms { Next::Serve } else { Next::Retry };
        match answer {
            Answer::Confirmed => Next::Serve,
            Answer::Refused => Next::End,
            Answer::ServedElsewhere => self.elsewhere(now_ms),
            // It was served elsewhere a moment ago: no answer does not change that.
            Answer::Unreachable if self.elsewhere_since_ms.is_some() => self.elsewhere(now_ms),
            Answer::Unreachable => serve_after(UNREACHABLE_MS),
            Answer::Foreign => Next::Serve,
            Answer::TooEarly => {
                self.elsewhere_since_ms = None;
                serve_after(UNDECIDED_MS)
            }
        }
    }

    fn elsewhere(&mut self, now_ms: u64) -> Next {
        let since_ms = *self.elsewhere_since_ms.get_or_insert(now_ms);
        if now_ms.saturating_sub(since_ms) >= ELSEWHERE_MS { Next::End } else { Next::Retry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_placement_a_node_serves_after_two_seconds() {
        let mut confirmation = Confirmation::new(500);
        assert_eq!(confirmation.answered(2_499, Answer::Unreachable), Next::Retry);
        assert_eq!(confirmation.answered(2_500, Answer::Unreachable), Next::Serve);
        assert_eq!(confirmation.answered(2_501, Answer::Confirmed), Next::Serve);
    }

    #[test]
    fn placement_of_another_cluster_stops_no_node() {
        assert_eq!(Confirmation::new(0).answered(1, Answer::Foreign), Next::Serve);
    }

    #[test]
    fn a_node_that_is_served_elsewhere_never_serves_and_ends_after_ten_seconds() {
        let mut confirmation = Confirmation::new(0);
        assert_eq!(confirmation.answered(100, Answer::ServedElsewhere), Next::Retry);
        assert_eq!(confirmation.answered(9_000, Answer::Unreachable), Next::Retry);
        assert_eq!(confirmation.answered(10_099, Answer::ServedElsewhere), Next::Retry);
        assert_eq!(confirmation.answered(10_100, Answer::ServedElsewhere), Next::End);
        let mut confirmation = Confirmation::new(0);
        assert_eq!(confirmation.answered(100, Answer::ServedElsewhere), Next::Retry);
        assert_eq!(confirmation.answered(5_000, Answer::Confirmed), Next::Serve, "the other ended");
    }

    #[test]
    fn a_new_leader_is_waited_for_but_not_for_ever() {
        let mut confirmation = Confirmation::new(0);
        assert_eq!(confirmation.answered(14_999, Answer::TooEarly), Next::Retry);
        assert_eq!(confirmation.answered(15_000, Answer::TooEarly), Next::Serve);
    }

    #[test]
    fn a_directory_that_can_never_be_used_ends_the_node() {
        assert_eq!(Confirmation::new(0).answered(1, Answer::Refused), Next::End);
    }
}
