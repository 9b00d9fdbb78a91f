//! Draws in the words of a profile.

use crate::prng::Prng;
use crate::scenario::{Counts, MicrosRange, Share, Weight};

/// The dice of one section.
pub(super) struct Dice(Prng);

impl Dice {
    pub(super) fn new(prng: Prng) -> Self {
        Self(prng)
    }

    pub(super) fn chance(&mut self, p: f64) -> bool {
        self.0.chance(p)
    }

    pub(super) fn weighted(&mut self, weights: &[u32]) -> usize {
        self.0.weighted(weights)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.below(from.len() as u64) as usize]
    }

    /// Both ends included.
    pub(super) fn within(&mut self, low: u64, high: u64) -> u64 {
        self.0.range(low..=high)
    }

    pub(super) fn count(&mut self, low: u32, high: u32) -> u32 {
        self.within(low.into(), high.into()) as u32
    }

    /// Both ends included, small ones as common as large ones.
    pub(super) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        self.0.log_uniform(low..=high)
    }

    /// A range within these ends.
    pub(super) fn counts(&mut self, low: u32, high: u32) -> Counts {
        let (one, other) = (self.count(low, high), self.count(low, high));
        Counts::new(one.min(other), one.max(other))
    }

    /// A range of times within these ends.
    pub(super) fn times(&mut self, low_us: u64, high_us: u64) -> MicrosRange {
        let (one, other) = (self.skewed(low_us, high_us), self.skewed(low_us, high_us));
        MicrosRange::new(one.min(other), one.max(other))
    }

    /// A share of two decimals; 0 unless it exists at all.
    pub(super) fn share(&mut self, exists: f64, low: f64, high: f64) -> Share {
        // Both are drawn always, so that whether it exists shifts nothing behind it.
        let (exists, at) = (self.chance(exists), self.0.unit_f64());
        let share = if exists { low + (high - low) * at } else { 0.0 };
        Share::new((share * 100.0).round() / 100.0)
    }

    /// A weight; 0 unless it exists at all.
    pub(super) fn weight(&mut self, exists: f64, high: u32) -> Weight {
        let (exists, weight) = (self.chance(exists), self.count(1, high));
        Weight::new(if exists { weight } else { 0 })
    }

    /// A value, if it exists at all.
    pub(super) fn maybe<T>(&mut self, exists: f64, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let exists = self.chance(exists);
        let value = draw(self);
        exists.then_some(value)
    }
}
