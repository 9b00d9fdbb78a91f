//! The only source of chance: ChaCha8, one stream per actor, sampling that is bit-exact on every platform.
//!
//! A stream is named by (seed, [`Domain`], index). Adding an actor therefore shifts no other actor's numbers,
//! and an actor can be generated on demand without generating those before it.
//!
//! **Bit-exact.** Nothing here calls the platform's libm, whose `ln` and `exp` may differ in the last bit.
//! The logarithm, the exponential and the normal quantile are computed from `+ - * /` and `sqrt`, which IEEE
//! 754 defines to the last bit (and Rust never contracts into fused operations), so a seed gives the same
//! numbers on every machine with IEEE doubles. Shares given as decimals are compared with a 53-bit uniform
//! number; weights are whole numbers and exact ratios.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Who draws. The domain and an index within it name a stream; the discriminants are part of every stored
/// seed, so never renumber.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// What one user does; index = user index.
    User = 1,
    /// What an agent does in one run; keyed by user and message.
    Agent = 2,
    /// Delays of one connection; index chosen by the network.
    Network = 3,
    /// Injected faults.
    Fault = 4,
    /// The simulated store's delays and failures.
    Store = 5,
    /// Ties between simultaneous events.
    Schedule = 6,
    /// Jitter handed to the core as an argument.
    Jitter = 7,
    /// What a seed of a sweep plays; index = section of the scenario.
    Swarm = 8,
}

/// A deterministic stream of random numbers.
#[derive(Clone, Debug)]
pub struct Prng(ChaCha8Rng);

impl Prng {
    /// The stream of actor `index` of `domain` under `seed`. Indices of one domain never share a stream.
    pub fn stream(seed: u64, domain: Domain, index: u64) -> Self {
        let mut key = [0; 32];
        for (lane, chunk) in key.chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&mix(seed ^ mix(lane as u64 + 1)).to_le_bytes());
        }
        let mut inner = ChaCha8Rng::from_seed(key);
        inner.set_stream(mix(index ^ mix(domain as u64)));
        Self(inner)
    }

    /// The stream named by texts, for actors known by id rather than by number.
    pub fn keyed(seed: u64, domain: Domain, names: &[&str]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for name in names {
            for byte in name.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self::stream(seed, domain, hash)
    }

    /// 64 uniform bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A whole number from 0 to `n - 1`, without bias; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        // Lemire: multiply and keep the high half; redraw while the low half falls into the biased remainder, which is
        // smaller than `n`: the division is needed only where the low half is, too.
        let mut product = u128::from(self.next_u64()) * u128::from(n);
        if (product as u64) < n {
            let threshold = n.wrapping_neg() % n;
            while (product as u64) < threshold {
                product = u128::from(self.next_u64()) * u128::from(n);
            }
        }
        (product >> 64) as u64
    }

    /// A whole number of the range, both ends included; the start if the range is empty.
    pub fn range(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        match high.saturating_sub(low).checked_add(1) {
            Some(width) => low + self.below(width),
            None => self.next_u64(),
        }
    }

    /// A number in `[0, 1)`, a multiple of 2^-53.
    pub fn unit_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * UNIT
    }

    /// True with probability `p`: never for 0, always for 1. Always consumes one number.
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit_f64() < p
    }

    /// An index, each with probability weight / sum of weights (exact); 0 if all weights are 0.
    pub fn weighted(&mut self, weights: &[u32]) -> usize {
        self.weighted_by(weights.iter().copied())
    }

    /// [`weighted`](Self::weighted), for weights that are in no slice.
    pub(crate) fn weighted_by(&mut self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total = weights.clone().map(u64::from).sum();
        let mut rest = self.below(total);
        for (index, weight) in weights.enumerate() {
            if rest < u64::from(weight) {
                return index;
            }
            rest -= u64::from(weight);
        }
        0
    }

    /// A standard normal number, by inversion: exactly one number consumed.
    pub fn normal(&mut self) -> f64 {
        quantile(self.open_unit())
    }

    /// Log-normal with this median and this sigma of the logarithm.
    pub fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * exp(sigma * self.normal())
    }

    /// [`log_normal`](Self::log_normal), rounded down.
    pub fn log_normal_whole(&mut self, median: f64, sigma: f64) -> u64 {
        whole_exp(median, sigma * self.normal())
    }

    /// Exponential with this mean.
    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * ln(self.open_unit())
    }

    /// A whole number of the range, both ends included, uniform in its logarithm: small ones as common as
    /// large ones.
    pub fn log_uniform(&mut self, range: RangeInclusive<u64>) -> u64 {
        LogUniform::new(range).draw(self)
    }

    /// In `(0, 1)`, both ends excluded.
    fn open_unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) as f64 + 0.5) * UNIT
    }
}

/// What all draws of one [`Prng::log_uniform`] have in common, worked out once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LogUniform {
    low: u64,
    high: u64,
    from: f64,
    width: f64,
}

impl LogUniform {
    pub(crate) fn new(range: RangeInclusive<u64>) -> Self {
        let (low, high) = range.into_inner();
        let (from, to) = (ln(low.max(1) as f64), ln(high.max(1) as f64 + 1.0));
        Self { low, high: high.max(low), from, width: to - from }
    }

    pub(crate) fn draw(&self, prng: &mut Prng) -> u64 {
        whole_exp(1.0, self.from + self.width * prng.unit_f64()).clamp(self.low, self.high)
    }
}

const UNIT: f64 = 1.0 / (1_u64 << 53) as f64;
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// A bijection of 64-bit numbers that scatters neighbours (the finaliser of SplitMix64).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `e` to the `x`, for |x| up to 700, the same bits everywhere.
pub(crate) fn exp(x: f64) -> f64 {
    let x = x.clamp(-700.0, 700.0);
    let k = floor(x / std::f64::consts::LN_2 + 0.5);
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let series = (1..=14).rev().fold(1.0, |sum, n| 1.0 + sum * r / f64::from(n));
    series * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// `(scale * exp(x)) as u64`. The divisions of [`exp`] take most of a draw's time, and nearly always what is rounded down
/// does not depend on the last bits: only where it might are they worked out.
fn whole_exp(scale: f64, x: f64) -> u64 {
    /// Far above the error of what is compared, for numbers below [`LARGE`].
    const MARGIN: f64 = 1e-4;
    const LARGE: f64 = 1e9;
    let near = scale * exp_near(x);
    let whole = near as u64;
    let rest = near - whole as f64;
    if near < LARGE && rest > MARGIN && rest < 1.0 - MARGIN { whole } else { (scale * exp(x)) as u64 }
}

/// [`exp`] but for a relative error of at most 1e-14: the series' terms are multiplied where `exp` divides.
fn exp_near(x: f64) -> f64 {
    /// `1 / n!`, from 14 down to 2.
    const TERMS: [f64; 13] = [
        1.0 / 87_178_291_200.0,
        1.0 / 6_227_020_800.0,
        1.0 / 479_001_600.0,
        1.0 / 39_916_800.0,
        1.0 / 3_628_800.0,
        1.0 / 362_880.0,
        1.0 / 40_320.0,
        1.0 / 5_040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        1.0 / 2.0,
    ];
    let x = x.clamp(-700.0, 700.0);
    let k = floor(x / std::f64::consts::LN_2 + 0.5);
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    let series = TERMS.iter().fold(0.0, |sum, term| sum * r + term);
    (1.0 + r * (1.0 + r * series)) * f64::from_bits(((k as i64 + 1023) as u64) << 52)
}

/// Largest whole number at most `x`, for numbers of a few digits: where the processor has no instruction for it, the
/// library's takes longer than the rest of an exponential.
fn floor(x: f64) -> f64 {
    let cut = x as i64 as f64;
    if cut > x { cut - 1.0 } else { cut }
}

/// Natural logarithm of a normal positive number, the same bits everywhere.
pub(crate) fn ln(x: f64) -> f64 {
    let bits = x.to_bits();
    let mut exponent = (bits >> 52) as i64 - 1023;
    let mut mantissa = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if mantissa > std::f64::consts::SQRT_2 {
        mantissa /= 2.0;
        exponent += 1;
    }
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    let series = (0..12).rev().fold(0.0, |sum, n| sum * square + 1.0 / f64::from(2 * n + 1));
    let exponent = exponent as f64;
    exponent * LN_2_HIGH + (2.0 * s * series + exponent * LN_2_LOW)
}

// Acklam's coefficients, highest power first.
const A: [f64; 6] = [
    -3.969_683_028_665_376e1,
    2.209_460_984_245_205e2,
    -2.759_285_104_469_687e2,
    1.383_577_518_672_69e2,
    -3.066_479_806_614_716e1,
    2.506_628_277_459_239,
];
const B: [f64; 6] = [
    -5.447_609_879_822_406e1,
    1.615_858_368_580_409e2,
    -1.556_989_798_598_866e2,
    6.680_131_188_771_972e1,
    -1.328_068_155_288_572e1,
    1.0,
];
const C: [f64; 6] = [
    -7.784_894_002_430_293e-3,
    -3.223_964_580_411_365e-1,
    -2.400_758_277_161_838,
    -2.549_732_539_343_734,
    4.374_664_141_464_968,
    2.938_163_982_698_783,
];
const D: [f64; 5] =
    [7.784_695_709_041_462e-3, 3.224_671_290_700_398e-1, 2.445_134_137_142_996, 3.754_408_661_907_416, 1.0];
const TAIL: f64 = 0.024_25;

/// Inverse of the standard normal distribution (Acklam's rational approximation, relative error below
/// 1.2e-9).
fn quantile(p: f64) -> f64 {
    let horner = |terms: &[f64], x: f64| terms.iter().fold(0.0, |sum, term| sum * x + term);
    let tail = |p: f64| {
        let q = (-2.0 * ln(p)).sqrt();
        horner(&C, q) / horner(&D, q)
    };
    if p < TAIL {
        tail(p)
    } else if p > 1.0 - TAIL {
        -tail(1.0 - p)
    } else {
        let q = p - 0.5;
        horner(&A, q * q) * q / horner(&B, q * q)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Known answers: a change of generator, key schedule or stream naming breaks every stored seed.
    #[test]
    fn first_outputs_are_pinned() {
        let first = |domain, index| {
            let mut prng = Prng::stream(1, domain, index);
            [prng.next_u64(), prng.next_u64(), prng.next_u64()]
        };
        assert_eq!(
            first(Domain::User, 0),
            [17_614_210_284_739_120_155, 6_357_208_209_833_887_350, 2_623_341_206_994_937_074]
        );
        assert_eq!(
            first(Domain::User, 1),
            [12_715_719_848_806_993_747, 3_701_092_201_010_858_234, 14_892_453_572_962_337_329]
        );
        assert_eq!(
            first(Domain::Network, 0),
            [17_627_554_895_598_543_350, 9_878_370_843_036_986_913, 9_084_213_124_681_869_705]
        );
        let mut keyed = Prng::keyed(1, Domain::Agent, &["user", "m0001"]);
        assert_eq!(keyed.next_u64(), 17_261_704_507_099_558_319);
    }

    #[test]
    fn first_samples_are_pinned_to_the_bit() {
        let mut prng = Prng::stream(7, Domain::Fault, 3);
        let samples = [
            prng.below(1000),
            prng.range(5..=8),
            prng.unit_f64().to_bits(),
            prng.normal().to_bits(),
            prng.log_normal(8.0, 0.8).to_bits(),
            prng.exponential(5.0).to_bits(),
            prng.log_uniform(20..=4000),
            prng.weighted(&[1, 2, 3]) as u64,
        ];
        assert_eq!(
            samples,
            [
                828,
                8,
                4_601_716_720_023_310_314,
                13_826_188_626_287_477_357,
                4_626_292_236_079_337_504,
                4_618_759_477_010_450_340,
                29,
                2
            ]
        );
    }

    /// Against values of the functions to 17 digits, not against the platform's.
    #[test]
    fn exact_functions_agree_with_tables() {
        let close =
            |got: f64, want: f64| assert!((got - want).abs() <= want.abs() * 4e-16, "{got:e} {want:e}");
        close(ln(2.0), std::f64::consts::LN_2);
        close(ln(10.0), std::f64::consts::LN_10);
        close(ln(1e-10), -23.025_850_929_940_457);
        close(exp(1.0), std::f64::consts::E);
        close(exp(-3.5), 0.030_197_383_422_318_5);
        close(exp(20.0), 485_165_195.409_790_3);
        assert_eq!((exp(0.0), ln(1.0)), (1.0, 0.0));
        assert!((quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-8);
        assert!((quantile(0.001) + 3.090_232_306_167_813_5).abs() < 1e-8);
    }

    #[test]
    fn samples_have_the_moments_they_claim() {
        let mut prng = Prng::stream(3, Domain::User, 9);
        let n = 100_000;
        let mut mean_of = |draw: &mut dyn FnMut(&mut Prng) -> f64| {
            (0..n).map(|_| draw(&mut prng)).sum::<f64>() / f64::from(n)
        };
        assert!(mean_of(&mut Prng::normal).abs() < 0.01);
        assert!(
            (mean_of(&mut |p| {
                let z = p.normal();
                z * z
            }) - 1.0)
                .abs()
                < 0.02
        );
        assert!((mean_of(&mut |p| p.exponential(5.0)) - 5.0).abs() < 0.05);
        assert!((mean_of(&mut |p| f64::from(u8::from(p.log_normal(8.0, 0.8) < 8.0))) - 0.5).abs() < 0.005);
        assert!((mean_of(&mut |p| p.range(5..=8) as f64) - 6.5).abs() < 0.02);
        assert!(
            (mean_of(&mut |p| f64::from(u8::from(p.weighted(&[15, 45, 20, 12, 8]) == 1))) - 0.45).abs()
                < 0.005
        );
    }

    #[test]
    fn rounding_down_early_gives_what_rounding_down_late_gives() {
        let mut prng = Prng::stream(5, Domain::User, 1);
        for _ in 0..200_000 {
            let (scale, x) = (prng.unit_f64() * 1e4, prng.normal() * 3.0);
            assert_eq!(whole_exp(scale, x), (scale * exp(x)) as u64, "{scale} {x}");
            let (exact, near) = (exp(x), exp_near(x));
            assert!((exact - near).abs() <= exact * 1e-14, "{x}");
        }
        for (scale, x) in [(1.0, 0.0), (7.0, 0.0), (1e12, 0.1), (1.0, 700.0), (0.0, 5.0), (1.0, -800.0)] {
            assert_eq!(whole_exp(scale, x), (scale * exp(x)) as u64, "{scale} {x}");
        }
        for x in [-2.5, -2.0, -0.5, 0.0, 0.5, 3.0, 699.9] {
            assert_eq!(floor(x), x.floor());
        }
    }

    #[test]
    fn edges_are_defined() {
        let mut prng = Prng::stream(0, Domain::User, 0);
        assert_eq!((prng.below(0), prng.below(1), prng.range(4..=4), prng.weighted(&[0, 0])), (0, 0, 4, 0));
        assert_eq!(prng.range(RangeInclusive::new(9, 2)), 9);
        assert!((0..1000).all(|_| !prng.chance(0.0) && prng.chance(1.0)));
        assert!((0..1000).all(|_| (20..=25).contains(&prng.log_uniform(20..=25))));
    }

    #[test]
    fn streams_are_independent_of_each_other() {
        let mut seen = std::collections::BTreeSet::new();
        for index in 0..10_000 {
            assert!(seen.insert(Prng::stream(1, Domain::User, index).next_u64()));
            assert!(seen.insert(Prng::stream(1, Domain::Agent, index).next_u64()));
            assert!(seen.insert(Prng::stream(2, Domain::User, index).next_u64()));
        }
    }
}
