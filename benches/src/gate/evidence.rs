//! The decision: signs of log ratios against a limit, weighed by an e-process that may be looked at after every epoch.
//!
//! Under the hypothesis that the median of `x` is at most the limit, each epoch lies above it with probability at most
//! one half, independently of the others, because every epoch has fresh copies, a fresh order and fresh processes. The
//! e-value bets on a probability drawn uniformly from (½, 1]:
//!
//! ```text
//! E(S, n) = ∫ ½..1  2 pˢ (1−p)ⁿ⁻ˢ dp / 2⁻ⁿ  =  2ⁿ⁺¹ · B(S+1, n−S+1) · P(Bin(n+1, ½) ≤ S)
//! ```
//!
//! It is a nonnegative supermartingale that starts at 1, so it ever reaches `1/α` with probability at most `α` (Ville),
//! whenever one stops. Its mirror image proves that the median lies below the limit.

use reports::Decision;

/// `ln E(S, n)`.
pub fn ln_e(s: usize, n: usize) -> f64 {
    let (factorial, ln_2) = (ln_factorials(n + 1), std::f64::consts::LN_2);
    let ln_choose = |m: usize, k: usize| factorial[m] - factorial[k] - factorial[m - k];
    // P(Bin(n+1, ½) <= S), as a sum of exponentials around the largest.
    let terms: Vec<f64> = (0..=s).map(|k| ln_choose(n + 1, k) - (n + 1) as f64 * ln_2).collect();
    let largest = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let ln_tail = largest + terms.iter().map(|term| (term - largest).exp()).sum::<f64>().ln();
    (n + 1) as f64 * ln_2 + factorial[s] + factorial[n - s] - factorial[n + 1] + ln_tail.min(0.0)
}

fn ln_factorials(n: usize) -> Vec<f64> {
    let mut sum = 0.0;
    std::iter::once(0.0)
        .chain((1..=n).map(|k| {
            sum += (k as f64).ln();
            sum
        }))
        .collect()
}

/// Least number of signs that decides, for every number of epochs; `None` where not even all of them do.
#[derive(Clone, Debug)]
pub struct Threshold {
    least: Vec<Option<usize>>,
}

impl Threshold {
    /// Evidence of `at`, up to `epochs_max` epochs.
    pub fn new(at: f64, epochs_max: usize) -> Self {
        let mut least = vec![None];
        for n in 1..=epochs_max {
            // What decides never falls: a further sign on the wrong side is not made up for by none on the right one.
            let from = least[n - 1].unwrap_or(n.div_ceil(2));
            least.push((from..=n).find(|s| ln_e(*s, n) >= at.ln()));
        }
        Self { least }
    }

    /// The least number of signs among `n`.
    pub fn least(&self, n: usize) -> Option<usize> {
        self.least.get(n).copied().flatten()
    }
}

/// A contest's evidence so far.
#[derive(Clone, Debug)]
pub struct Evidence {
    tau: f64,
    fail: Threshold,
    pass: Threshold,
    above: usize,
    below: usize,
    n: usize,
}

impl Evidence {
    /// No evidence yet. `limit` is the largest ratio that is no regression.
    pub fn new(limit: f64, fail: Threshold, pass: Threshold) -> Self {
        Self { tau: limit.ln(), fail, pass, above: 0, below: 0, n: 0 }
    }

    /// Weighs one epoch. A tie counts for neither side.
    pub fn add(&mut self, x: f64) {
        self.n += 1;
        self.above += usize::from(x > self.tau);
        self.below += usize::from(x < self.tau);
    }

    /// What it says now.
    pub fn decision(&self) -> Decision {
        let reached =
            |threshold: &Threshold, signs| threshold.least(self.n).is_some_and(|least| signs >= least);
        if reached(&self.fail, self.above) {
            Decision::Fail
        } else if reached(&self.pass, self.below) {
            Decision::Pass
        } else {
            Decision::Inconclusive
        }
    }

    /// Logarithms of the evidence for a fail and for a pass.
    pub fn ln(&self) -> [f64; 2] {
        [ln_e(self.above, self.n), ln_e(self.below, self.n)]
    }
}

/// The median; the mean of the middle two if their number is even.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(half)) {
        (_, None) => f64::NAN,
        (1, Some(middle)) => *middle,
        (_, Some(upper)) => sorted[half - 1].midpoint(*upper),
    }
}

/// Ratios, minus one, between which the median lies; valid after every epoch at once.
pub fn interval(xs: &[f64], threshold: &Threshold) -> [Option<f64>; 2] {
    let mut sorted = xs.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(least) = threshold.least(xs.len()) else { return [None, None] };
    [sorted[xs.len() - least], sorted[least - 1]].map(|x| Some(x.exp_m1()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use simulator::prng::{Domain, Prng};

    /// Least signs that decide at an evidence of 100 and of 2000, computed once by hand.
    const LEAST: [(usize, Option<usize>, Option<usize>); 13] = [
        (8, None, None),
        (9, Some(9), None),
        (13, Some(13), None),
        (14, Some(13), Some(14)),
        (15, Some(14), Some(15)),
        (17, Some(15), Some(17)),
        (19, Some(17), Some(18)),
        (20, Some(18), Some(19)),
        (22, Some(19), Some(21)),
        (25, Some(21), Some(23)),
        (30, Some(24), Some(26)),
        (35, Some(28), Some(30)),
        (39, Some(30), Some(33)),
    ];

    #[test]
    fn evidence_has_its_known_values() {
        assert!((ln_e(9, 9).exp() - 102.3).abs() < 0.01);
        assert!((ln_e(14, 14).exp() - 2184.47).abs() < 0.01);
        assert!((ln_e(0, 0)).abs() < 1e-12);
        let (at_100, at_2000) = (Threshold::new(100.0, 400), Threshold::new(2_000.0, 400));
        for (n, hundred, thousands) in LEAST {
            assert_eq!((at_100.least(n), at_2000.least(n)), (hundred, thousands), "n = {n}");
        }
    }

    #[test]
    fn evidence_is_the_integral_it_claims_to_be() {
        for (s, n) in [(0, 1), (1, 1), (3, 7), (17, 20), (150, 400)] {
            let steps = 200_000;
            let sum: f64 = (0..steps)
                .map(|step| {
                    let p = 0.5 + 0.5 * (f64::from(step) + 0.5) / f64::from(steps);
                    (s as f64 * p.ln() + (n - s) as f64 * (1.0 - p).ln() + n as f64 * 2_f64.ln()).exp()
                })
                .sum::<f64>()
                / f64::from(steps);
            assert!((ln_e(s, n) - sum.ln()).abs() < 1e-6, "S = {s}, n = {n}");
        }
    }

    #[test]
    fn evidence_never_grows_on_average_under_the_hypothesis() {
        for n in 0..60 {
            for s in 0..=n {
                let expected = 0.5 * (ln_e(s + 1, n + 1).exp() + ln_e(s, n + 1).exp());
                assert!(expected <= ln_e(s, n).exp() * (1.0 + 1e-9), "S = {s}, n = {n}");
            }
        }
    }

    /// The median of `x` is `ln(1 + slowdown)`; heavy tails, as a shared machine has them.
    fn draw(dice: &mut Prng, slowdown: f64) -> f64 {
        let uniform = |dice: &mut Prng| (dice.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let sign = if dice.below(2) == 0 { 1.0 } else { -1.0 };
        let spread = if dice.below(20) == 0 { 0.5 } else { 0.012 };
        slowdown.ln_1p() + sign * spread * uniform(dice)
    }

    /// Shares of gates that fail, pass and decide nothing, in percent.
    fn simulate(slowdown: f64, family: f64, gates: u32) -> [f64; 3] {
        let (fail, pass) = (Threshold::new(family / 0.01, 400), Threshold::new(100.0, 400));
        let mut dice = Prng::stream(4, Domain::Schedule, slowdown.to_bits());
        let mut counts = [0_u32; 3];
        for _ in 0..gates {
            let mut evidence = Evidence::new(1.05, fail.clone(), pass.clone());
            for _ in 0..400 {
                evidence.add(draw(&mut dice, slowdown));
                if evidence.decision() != Decision::Inconclusive {
                    break;
                }
            }
            counts[match evidence.decision() {
                Decision::Fail => 0,
                Decision::Pass => 1,
                Decision::Inconclusive => 2,
            }] += 1;
        }
        counts.map(|count| 100.0 * f64::from(count) / f64::from(gates))
    }

    #[test]
    fn at_exactly_the_limit_at_most_one_gate_in_a_hundred_fails() {
        // One benchmark without any correction is the worst case: a family only makes it rarer.
        let [fail, _, inconclusive] = simulate(0.05, 1.0, 4_000);
        assert!(fail <= 1.0, "{fail} % failed at exactly +5 %");
        assert!(inconclusive > 95.0, "{inconclusive} % decided nothing");
        let [fail, ..] = simulate(0.05, 10.0, 4_000);
        assert!(fail <= 0.1, "{fail} % failed at exactly +5 % in a family of ten");
    }

    #[test]
    fn away_from_the_limit_every_gate_decides_and_decides_right() {
        for slowdown in [-0.10, 0.0, 0.02] {
            let [fail, pass, _] = simulate(slowdown, 10.0, 1_000);
            assert_eq!(fail, 0.0, "at {slowdown}");
            assert!(pass >= 99.9, "at {slowdown}: {pass} % passed");
        }
        for slowdown in [0.07, 0.10, 0.50] {
            let [fail, ..] = simulate(slowdown, 10.0, 1_000);
            assert!(fail >= 99.9, "at {slowdown}: {fail} % failed");
        }
    }

    #[test]
    fn an_interval_needs_epochs_and_then_holds_the_median() {
        let threshold = Threshold::new(100.0, 400);
        let xs: Vec<f64> = (0..8).map(f64::from).collect();
        assert_eq!(interval(&xs, &threshold), [None, None]);
        let xs: Vec<f64> = (0..30).map(|k| 0.001 * f64::from(k)).collect();
        let [low, high] = interval(&xs, &threshold).map(|end| end.unwrap());
        assert!(low < median(&xs).exp_m1() && median(&xs).exp_m1() < high);
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
