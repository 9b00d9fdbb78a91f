//! How often each kind of fault happened.

use crate::scenario::FaultKind;

/// How often each kind of fault happened: frames that a verdict changed, clients or the node that something befell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts([u64; FaultKind::ALL.len()]);

impl FaultCounts {
    /// How often that kind happened.
    pub const fn of(&self, kind: FaultKind) -> u64 {
        self.0[kind as usize]
    }

    /// Each kind with its count, in the order of [`FaultKind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        FaultKind::ALL.into_iter().map(|kind| (kind, self.of(kind)))
    }

    /// All of them together.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    pub(crate) const fn add(&mut self, kind: FaultKind) {
        self.0[kind as usize] += 1;
    }
}

impl std::ops::AddAssign<&FaultCounts> for FaultCounts {
    fn add_assign(&mut self, part: &FaultCounts) {
        for (sum, count) in self.0.iter_mut().zip(part.0) {
            *sum += count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_a_place_of_its_own() {
        let mut counts = FaultCounts::default();
        for (number, kind) in (1..).zip(FaultKind::ALL) {
            (0..number).for_each(|_| counts.add(kind));
        }
        assert!(counts.iter().map(|(_, count)| count).eq(1..=FaultKind::ALL.len() as u64));
        let mut sum = counts;
        sum += &counts;
        assert_eq!((sum.of(FaultKind::Lose), sum.total()), (6, 2 * counts.total()));
    }
}
