//! Pauses between attempts. The random part is an argument: nothing here draws it.

/// How long to wait after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Not at all.
    None,
    /// `base · 2^(n-1) · (1 + spread · r)` after the n-th failure, at most `cap`.
    Doubling {
        /// After the first failure, microseconds.
        base_us: u64,
        /// Longest pause, microseconds.
        cap_us: u64,
        /// Share of the pause that the random part may add, thousandths.
        spread_permille: u32,
    },
    /// A table by the number of failures, microseconds; its last entry for all further ones.
    Steps([u64; 4]),
}

impl Backoff {
    /// 1 s, 2 s, 4 s, … at most 60 s, up to 40 % longer by chance.
    pub const DOUBLING: Backoff =
        Backoff::Doubling { base_us: 1_000_000, cap_us: 60_000_000, spread_permille: 400 };

    /// The pause after the `failures`-th failure, microseconds. `chance` is uniform over all of `u32`.
    pub fn after(self, failures: u32, chance: u32) -> u64 {
        match self {
            Backoff::None => 0,
            Backoff::Doubling { base_us, cap_us, spread_permille } => {
                let plain = base_us.saturating_mul(1_u64 << failures.saturating_sub(1).min(40)).min(cap_us);
                // plain · spread / 1000 · chance / 2^32, in one division and without rounding in between
                let more =
                    u128::from(plain) * u128::from(spread_permille) * u128::from(chance) / (1000_u128 << 32);
                plain.saturating_add(more as u64).min(cap_us)
            }
            Backoff::Steps(steps) => steps[(failures.max(1) as usize - 1).min(steps.len() - 1)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_cap_and_chance_only_adds() {
        let seconds = |failures| Backoff::DOUBLING.after(failures, 0) / 1_000_000;
        assert_eq!([1, 2, 3, 4, 5, 6, 7, 200].map(seconds), [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(Backoff::DOUBLING.after(2, u32::MAX), 2_799_999);
        assert_eq!(Backoff::DOUBLING.after(7, u32::MAX), 60_000_000);
        let steps = Backoff::Steps([1, 2, 3, 4]);
        assert_eq!([0, 1, 4, 9].map(|failures| steps.after(failures, 7)), [1, 1, 4, 4]);
        assert_eq!(Backoff::None.after(3, 9), 0);
    }
}
