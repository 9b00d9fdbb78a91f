//! Two things measured in turns, and what their ratio was.

use std::time::{Duration, Instant};

/// Rounds of every ratio.
pub const ROUNDS: usize = 30;

/// What each round measured of two sides, nanoseconds per unit.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

/// Smallest, median and largest of some values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Smallest.
    pub min: f64,
    /// Half of the values are at most this.
    pub median: f64,
    /// Largest.
    pub max: f64,
}

impl Rounds {
    /// Adds a round: the time of `count` units on either side.
    pub fn add(&mut self, ours: Duration, theirs: Duration, count: usize) {
        let each = |time: Duration| time.as_nanos() as f64 / count.max(1) as f64;
        self.ours.push(each(ours));
        self.theirs.push(each(theirs));
    }

    /// Ours as a multiple of theirs, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs))
    }

    /// Ours, nanoseconds per unit.
    pub fn ours(&self) -> Spread {
        Spread::of(self.ours.iter().copied())
    }

    /// Theirs, nanoseconds per unit.
    pub fn theirs(&self) -> Spread {
        Spread::of(self.theirs.iter().copied())
    }

    /// Everything in one line.
    pub fn told(&self, ours: &str, theirs: &str) -> String {
        let (ratio, a, b) = (self.ratio(), self.ours(), self.theirs());
        format!(
            "ratio min {:.2}, median {:.2}, max {:.2}; {ours} {:.1} ns, {theirs} {:.1} ns; {} rounds",
            ratio.min,
            ratio.median,
            ratio.max,
            a.median,
            b.median,
            self.ours.len()
        )
    }
}

impl Spread {
    /// Of any number of values; all NaN if there is none.
    pub fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        let half = values.len() / 2;
        let median =
            if values.len() % 2 == 1 { at(half) } else { at(half.wrapping_sub(1)).midpoint(at(half)) };
        Self { min: at(0), median, max: at(values.len().wrapping_sub(1)) }
    }
}

/// How long something took on the wall clock.
pub(super) fn timed(work: impl FnOnce()) -> Duration {
    let begin = Instant::now();
    work();
    begin.elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_ratios_and_not_a_ratio_of_medians() {
        let mut rounds = Rounds::default();
        for (ours, theirs) in [(10, 5), (30, 10), (80, 20)] {
            rounds.add(Duration::from_nanos(ours), Duration::from_nanos(theirs), 1);
        }
        assert_eq!(rounds.ratio(), Spread { min: 2.0, median: 3.0, max: 4.0 });
        assert_eq!(Spread::of([1.0, 2.0].into_iter()).median, 1.5);
        assert!(Spread::of(std::iter::empty()).median.is_nan());
    }
}
