//! Pauses between attempts: doubling from a first to a longest one, with jitter.

use std::time::Duration;

/// The pauses of one series of attempts.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, next: first }
    }

    /// The next pause: between half of and the whole of the current step, so that callers that
    /// failed together do not retry together.
    pub(crate) fn pause(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        step.mul_f64(rand::random_range(0.5..=1.0))
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_the_longest_and_start_over_after_a_reset() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(5), ms(200));
        for step in [5, 10, 20, 40, 80, 160, 200, 200] {
            let pause = backoff.pause();
            assert!(pause >= ms(step) / 2 && pause <= ms(step), "{pause:?} of {step} ms");
        }
        backoff.reset();
        assert!(backoff.pause() <= ms(5));
    }
}
