//! Recording samples while a run goes on.

use std::borrow::Cow;

use hdrhistogram::Histogram;

use crate::{Domain, Metric, QUANTILES, Unit};

/// The largest value that is told apart; larger ones count as this. One hour in microseconds.
const VALUE_MAX: u64 = 3_600_000_000;

/// Relative precision of a recorded value, in decimal digits.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Samples that are kept as they are before a histogram counts them.
const RECENT_MAX: usize = 512;

/// A recorder of integer samples, 0..=3 600 000 000 (one hour in microseconds; larger ones count as that), exact
/// to three significant digits.
///
/// Up to 512 samples take 4 KiB. From then on memory follows the largest sample: 16 KiB more until 2 ms, 100 KiB at one
/// second, 190 KiB at one hour. Recording allocates only with the first sample and when a new power of two is reached, at
/// most 23 times in a recorder's life.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// Samples that the histogram does not have yet.
    recent: Vec<u64>,
    /// `None` while there are few samples: most recorders of a short run never need one.
    histogram: Option<Histogram<u64>>,
    /// Exact, while the histogram rounds. `u64::MAX` as long as there is no sample.
    min: u64,
    max: u64,
    sum: u64,
}

impl Distribution {
    /// An empty recorder.
    pub fn new() -> Distribution {
        Distribution { recent: Vec::new(), histogram: None, min: u64::MAX, max: 0, sum: 0 }
    }

    /// Records one sample.
    pub fn record(&mut self, value: u64) {
        self.record_n(value, 1);
    }

    /// Records `count` samples of the same value; 0 records nothing.
    pub fn record_n(&mut self, value: u64, count: u64) {
        if count == 0 {
            return;
        }
        let value = value.min(VALUE_MAX);
        if count == 1 {
            self.keep(value);
        } else {
            add(self.histogram.get_or_insert_with(empty), value, count);
        }
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.sum = self.sum.saturating_add(value.saturating_mul(count));
    }

    /// Adds all samples of `other`; the result is as if one recorder had seen both.
    pub fn merge(&mut self, other: &Distribution) {
        if let Some(histogram) = &other.histogram {
            let own = self.histogram.get_or_insert_with(empty);
            // Cannot fail: both have the same precision, and the histogram grows by itself.
            own.add(histogram).expect("the histogram grows up to VALUE_MAX");
        }
        other.recent.iter().for_each(|&value| self.keep(value));
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Number of samples.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(0, Histogram::len) + self.recent.len() as u64
    }

    /// The smallest recorded value that at least a share `quantile` (0..=1, else clamped) of the samples do not
    /// exceed, to three significant digits and never outside the recorded range; 0 if nothing was recorded.
    pub fn quantile(&self, quantile: f64) -> u64 {
        self.quantile_in(&self.whole(), quantile)
    }

    /// Condenses what was recorded so far.
    pub fn to_metric(
        &self,
        key: impl Into<String>,
        label: impl Into<String>,
        unit: Unit,
        domain: Domain,
    ) -> Metric {
        let (count, whole) = (self.count(), self.whole());
        let quantile = |quantile| self.quantile_in(&whole, quantile);
        Metric {
            key: key.into(),
            label: label.into(),
            unit,
            domain,
            count,
            sum: self.sum,
            min: if count == 0 { 0 } else { self.min },
            mean: if count == 0 { 0.0 } else { self.sum as f64 / count as f64 },
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: self.max,
            quantiles: QUANTILES.iter().map(|&share| (share, quantile(share))).collect(),
            buckets: whole
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }

    /// What [`Distribution::to_metric`] was made from.
    pub fn from_metric(metric: &Metric) -> Distribution {
        let mut distribution = Distribution::new();
        for &(value, count) in &metric.buckets {
            distribution.record_n(value, count);
        }
        if !distribution.is_empty() {
            // The buckets only know rounded values.
            (distribution.min, distribution.max, distribution.sum) = (metric.min, metric.max, metric.sum);
        }
        distribution
    }

    /// Keeps a sample for the histogram, which gets many at once.
    fn keep(&mut self, value: u64) {
        if self.recent.capacity() == 0 {
            self.recent.reserve_exact(RECENT_MAX);
        }
        self.recent.push(value);
        if self.recent.len() == RECENT_MAX {
            let histogram = self.histogram.get_or_insert_with(empty);
            self.recent.drain(..).for_each(|value| add(histogram, value, 1));
        }
    }

    /// A histogram of all samples.
    fn whole(&self) -> Cow<'_, Histogram<u64>> {
        match &self.histogram {
            Some(histogram) if self.recent.is_empty() => Cow::Borrowed(histogram),
            known => {
                let mut whole = known.clone().unwrap_or_else(empty);
                self.recent.iter().for_each(|&value| add(&mut whole, value, 1));
                Cow::Owned(whole)
            }
        }
    }

    fn quantile_in(&self, whole: &Histogram<u64>, quantile: f64) -> u64 {
        if whole.is_empty() {
            return 0;
        }
        whole.value_at_quantile(quantile.clamp(0.0, 1.0)).clamp(self.min, self.max)
    }
}

fn empty() -> Histogram<u64> {
    // Cannot fail: three digits are within the library's 0..=5.
    Histogram::new(SIGNIFICANT_DIGITS).expect("three significant digits are supported")
}

fn add(histogram: &mut Histogram<u64>, value: u64, count: u64) {
    // Cannot fail: the histogram grows by itself and the value is capped.
    histogram.record_n(value, count).expect("the histogram grows up to VALUE_MAX");
}

impl Default for Distribution {
    fn default() -> Distribution {
        Distribution::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_sorting_to_three_digits() {
        // 1..=10_007 squared, in a scrambled order: 5_003 generates all residues of the prime 10_007.
        let mut exact: Vec<u64> = (0..10_007u64).map(|i| (i * 5_003 % 10_007 + 1).pow(2)).collect();
        let mut distribution = Distribution::new();
        exact.iter().for_each(|&value| distribution.record(value));
        exact.sort_unstable();

        for quantile in QUANTILES {
            let rank = (quantile * exact.len() as f64).ceil() as usize;
            let expected = exact[rank.max(1) - 1] as f64;
            let off = (distribution.quantile(quantile) as f64 - expected).abs() / expected;
            assert!(
                off <= 0.001,
                "quantile {quantile}: {} is not {expected}",
                distribution.quantile(quantile)
            );
        }
        assert_eq!(distribution.quantile(1.0), 10_007 * 10_007);
    }

    #[test]
    fn small_values_are_exact() {
        let mut distribution = Distribution::new();
        (0..2_000).for_each(|value| distribution.record(value));
        assert_eq!(
            (distribution.quantile(0.0), distribution.quantile(0.5), distribution.quantile(1.0)),
            (0, 999, 1_999)
        );
        let metric = distribution.to_metric("k", "l", Unit::Count, Domain::Virtual);
        assert_eq!((metric.min, metric.max, metric.sum), (0, 1_999, 1_999_000));
        assert!((metric.mean - 999.5).abs() < 1e-9);
    }

    #[test]
    fn workers_merged_equal_one_that_saw_everything() {
        let (mut one, mut merged) = (Distribution::new(), Distribution::new());
        for worker in 0..4u64 {
            let mut part = Distribution::new();
            for i in 0..500u64 {
                let value = (i * 7_919 + worker * 104_729) % 5_000_000;
                part.record(value);
                one.record(value);
            }
            merged.merge(&part);
        }
        merged.merge(&Distribution::new());
        let metric =
            |distribution: &Distribution| distribution.to_metric("k", "l", Unit::Microseconds, Domain::Wall);
        assert_eq!(metric(&merged), metric(&one));
        assert_eq!(metric(&Distribution::from_metric(&metric(&one))), metric(&one));
    }

    #[test]
    fn values_beyond_an_hour_count_as_an_hour() {
        let mut distribution = Distribution::new();
        distribution.record_n(u64::MAX, 2);
        distribution.record_n(1, 0);
        assert_eq!((distribution.count(), distribution.quantile(1.0)), (2, VALUE_MAX));
        assert!(Distribution::default().is_empty());
        assert_eq!(Distribution::default().quantile(0.5), 0);
    }
}
