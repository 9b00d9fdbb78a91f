//! Chance, in whole numbers.

use crate::prng::{Domain, Prng};

/// A stream of draws.
#[derive(Debug)]
pub(super) struct Draw(Prng);

impl Draw {
    pub(super) fn new(seed: u64, domain: Domain, index: u64) -> Self {
        Self(Prng::stream(seed, domain, index))
    }

    /// From `low` to `high`, both included.
    pub(super) fn from(&mut self, low: u64, high: u64) -> u64 {
        self.0.range(low..=high.max(low))
    }

    pub(super) fn one_in(&mut self, n: u64) -> bool {
        self.0.below(n) == 0
    }

    pub(super) fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.below(from.len() as u64) as usize]
    }
}
