//! Ranges of seeds.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Seeds from `from` to before `to`; written `100..200`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeedRange {
    /// The first.
    pub from: u64,
    /// The one after the last; never below `from`.
    pub to: u64,
}

impl SeedRange {
    /// How many they are.
    pub const fn len(self) -> u64 {
        self.to.saturating_sub(self.from)
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Part `part` of `parts` (from 1) of the range: parts differ by one seed at most, and together they are the range.
    pub fn part(self, part: u32, parts: u32) -> Self {
        let cut = |part: u32| {
            let share = u128::from(self.len()) * u128::from(part) / u128::from(parts.max(1));
            self.from + u64::try_from(share).unwrap_or(u64::MAX)
        };
        Self { from: cut(part.saturating_sub(1)), to: cut(part) }
    }
}

impl fmt::Display for SeedRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", self.from, self.to)
    }
}

/// The same seeds as disjoint ranges, ascending, none empty, none adjacent to the next.
pub(super) fn union(ranges: &[SeedRange]) -> Vec<SeedRange> {
    let mut sorted: Vec<SeedRange> = ranges.iter().copied().filter(|range| !range.is_empty()).collect();
    sorted.sort_unstable();
    let mut joined: Vec<SeedRange> = Vec::new();
    for range in sorted {
        match joined.last_mut() {
            Some(last) if range.from <= last.to => last.to = last.to.max(range.to),
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

/// The first seeds that two lists have in common.
pub(super) fn overlap(one: &[SeedRange], other: &[SeedRange]) -> Option<SeedRange> {
    one.iter().find_map(|a| {
        let common = |b: &SeedRange| SeedRange { from: a.from.max(b.from), to: a.to.min(b.to) };
        other.iter().map(common).find(|common| !common.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: u64, to: u64) -> SeedRange {
        SeedRange { from, to }
    }

    #[test]
    fn parts_are_the_range() {
        for (from, to, parts) in [(0, 10, 3), (7, 7, 2), (u64::MAX - 5, u64::MAX, 8), (100, 1_000_100, 7)] {
            let whole = range(from, to);
            let cut: Vec<SeedRange> = (1..=parts).map(|part| whole.part(part, parts)).collect();
            assert!(cut.windows(2).all(|pair| pair[0].to == pair[1].from));
            assert_eq!((cut[0].from, cut[cut.len() - 1].to), (from, to));
            let (least, most) = (cut.iter().map(|p| p.len()).min(), cut.iter().map(|p| p.len()).max());
            assert!(most <= least.map(|least| least + 1), "{cut:?}");
        }
    }

    #[test]
    fn neighbours_become_one_and_overlaps_are_seen() {
        assert_eq!(
            union(&[range(5, 9), range(1, 3), range(3, 5), range(20, 20), range(30, 31)]),
            [range(1, 9), range(30, 31)]
        );
        assert_eq!(
            overlap(&[range(0, 5), range(10, 15)], &[range(5, 10), range(14, 20)]),
            Some(range(14, 15))
        );
        assert_eq!(overlap(&[range(0, 5)], &[range(5, 10)]), None);
    }
}
