//! Randomness of one run: every component draws from its own stream of the one seed.
//!
//! So a new draw in one component never changes the draws of another. The simulator has no other
//! random source.

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The root of all streams.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed(pub(crate) u64);

impl Seed {
    /// The stream of one named component; `number` distinguishes components of the same name.
    pub(crate) fn stream(self, component: &str, number: u64) -> Stream {
        Stream(SmallRng::seed_from_u64(self.number(component, number)))
    }

    /// A seed for a component with its own random generator (the poller).
    pub(crate) fn number(self, component: &str, number: u64) -> u64 {
        xxh3_64_with_seed(component.as_bytes(), self.0 ^ number.rotate_left(32))
    }
}

/// A deterministic source of draws.
#[derive(Clone, Debug)]
pub(crate) struct Stream(SmallRng);

impl Stream {
    /// True with probability `p` (0 to 1).
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        p > 0.0 && self.0.random::<f64>() < p
    }

    /// Uniform in `[0, bound)`; `bound` is at least 1.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// Uniform in `[low, high]`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        self.0.random_range(low..=high)
    }

    /// Uniform in `[low, high)`.
    pub(crate) fn fraction(&mut self, low: f64, high: f64) -> f64 {
        low + self.0.random::<f64>() * (high - low)
    }

    /// One of `items`, which must not be empty.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// Puts `items` into a random order.
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.below(last + 1);
            items.swap(last, other);
        }
    }

    /// Random bytes.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill(&mut bytes);
        bytes
    }
}
