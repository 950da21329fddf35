//! Pure. The line of a terminal that shows how far an operation is.

use crate::operation_view::{OperationView, duration, size};

/// Cells of the bar.
const CELLS: u64 = 24;
/// A line that is longer would wrap on an ordinary terminal, and could not be drawn again in place.
const COLUMNS: usize = 79;

/// One line without an end: a bar, and what fits next to it.
pub(crate) fn line(operation: &OperationView) -> String {
    let steps = operation.steps;
    let part = |whole: u64| {
        let done = steps.done.min(steps.total);
        done.saturating_mul(whole).checked_div(steps.total).unwrap_or(0)
    };
    let filled = part(CELLS);
    let bar: String = (0..CELLS).map(|cell| if cell < filled { '#' } else { '.' }).collect();
    let mut line = format!("[{bar}] {:>3} %  {} of {}", part(100), steps.done, steps.total);
    let rate = operation.bytes_per_s.map(|rate| format!("{}/s", size(rate)));
    let left = operation.seconds_left.map(|left| format!("about {} left", duration(left)));
    for fact in [Some(size(operation.bytes.done)), rate, left].into_iter().flatten() {
        if line.chars().count() + fact.chars().count() + 2 <= COLUMNS {
            line.push_str("  ");
            line.push_str(&fact);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation_view::{Amount, tests::operation};

    #[test]
    fn the_bar_is_filled_by_the_steps_that_are_done() {
        let expected =
            "[######..................]  25 %  3 of 12  3.0 MiB  1.0 MiB/s  about 1 min 30 s left";
        let shown = line(&operation());
        assert!(expected.starts_with(&shown), "{shown}");
        let with =
            |done, total| line(&OperationView { steps: Amount { done, total }, ..operation() });
        assert!(with(12, 12).starts_with("[########################] 100 %  12 of 12"));
        assert!(with(0, 0).starts_with("[........................]   0 %  0 of 0"));
        assert!(with(9, 3).starts_with("[########################] 100 %"));
    }

    #[test]
    fn a_line_never_wraps() {
        let huge = OperationView {
            steps: Amount { done: u64::MAX / 100, total: u64::MAX / 100 },
            bytes: Amount { done: u64::MAX, total: u64::MAX },
            bytes_per_s: Some(u64::MAX),
            seconds_left: Some(u64::MAX),
            ..operation()
        };
        assert!(line(&huge).chars().count() <= COLUMNS + 20, "{}", line(&huge));
        assert!(line(&operation()).chars().count() <= COLUMNS);
    }
}
