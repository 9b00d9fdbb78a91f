//! A measured distribution, condensed for a report and still mergeable without loss.

use serde::{Deserialize, Serialize};
use std::{error, fmt};

use crate::{Distribution, Unit};

/// The quantiles that every [`Metric`] carries, ascending, dense where latency plots are read.
pub const QUANTILES: [f64; 30] = [
    0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.96, 0.97, 0.975, 0.98,
    0.985, 0.99, 0.9925, 0.995, 0.9965, 0.998, 0.9985, 0.999, 0.9993, 0.9995, 0.9998, 0.9999,
];

/// Which clock a time was read from. Virtual times are exact and repeatable; wall-clock times are neither, and
/// the two are never mixed in one table or plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Domain {
    /// The simulator's time.
    Virtual,
    /// The time of the machine the run was on.
    Wall,
}

/// A condensed distribution. Values are integers of `unit`, exact to three significant digits; `count`, `sum`,
/// `min` and `max` are exact. Made by [`Distribution::to_metric`]; with no samples every number is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// Stable name, unique within a report, `snake_case`; comparisons join on it.
    pub key: String,
    /// What a person reads.
    pub label: String,
    /// The unit of every value.
    pub unit: Unit,
    /// The clock, if the unit is a time; else that of the run.
    pub domain: Domain,
    /// Number of samples.
    pub count: u64,
    /// Sum of all samples; saturates at `u64::MAX`.
    pub sum: u64,
    /// Smallest sample.
    pub min: u64,
    /// `sum / count`.
    pub mean: f64,
    /// Half of the samples are at most this.
    pub p50: u64,
    /// 90 % of the samples are at most this.
    pub p90: u64,
    /// 99 % of the samples are at most this.
    pub p99: u64,
    /// 99.9 % of the samples are at most this.
    pub p999: u64,
    /// Largest sample.
    pub max: u64,
    /// `(quantile, value)` for each of [`QUANTILES`], for plots.
    pub quantiles: Vec<(f64, u64)>,
    /// `(highest value, count)` of each non-empty bucket, ascending: the distribution itself.
    pub buckets: Vec<(u64, u64)>,
}

/// Why two metrics cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeError {
    /// They are of different things.
    Key,
    /// They are of different units.
    Unit,
    /// One is in virtual, the other in wall-clock time.
    Domain,
}

impl Metric {
    /// Adds the samples of `other`, as if all had been recorded in one [`Distribution`]. Keeps the label.
    ///
    /// # Errors
    /// [`MergeError`] if key, unit or domain differ; `self` is then unchanged.
    pub fn merge(&mut self, other: &Metric) -> Result<(), MergeError> {
        if self.key != other.key {
            return Err(MergeError::Key);
        }
        if self.unit != other.unit {
            return Err(MergeError::Unit);
        }
        if self.domain != other.domain {
            return Err(MergeError::Domain);
        }
        let mut joined = Distribution::from_metric(self);
        joined.merge(&Distribution::from_metric(other));
        *self = joined.to_metric(self.key.clone(), self.label.clone(), self.unit, self.domain);
        Ok(())
    }

    /// Whether at least one sample lies beyond `quantile`. If not, the quantile's value is only the maximum by
    /// another name, and renderings show a dash instead.
    pub fn supports(&self, quantile: f64) -> bool {
        // The slack is for 1.0 - 0.999, which is a little less than 0.001.
        self.count as f64 * (1.0 - quantile) >= 1.0 - 1e-6
    }
}

impl Domain {
    /// `virtual time` or `wall clock`.
    pub fn label(self) -> &'static str {
        match self {
            Domain::Virtual => "virtual time",
            Domain::Wall => "wall clock",
        }
    }
}

impl fmt::Display for MergeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let differs = match self {
            MergeError::Key => "keys",
            MergeError::Unit => "units",
            MergeError::Domain => "clocks",
        };
        write!(f, "metrics of different {differs} cannot be merged")
    }
}

impl error::Error for MergeError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(values: &[u64]) -> Metric {
        let mut distribution = Distribution::new();
        values.iter().for_each(|&value| distribution.record(value));
        distribution.to_metric("first_event", "send to first event", Unit::Microseconds, Domain::Virtual)
    }

    #[test]
    fn merging_reports_loses_nothing() {
        let (a, b) = (vec![0, 3, 70_000, 123_456_789], vec![1, 70_001, 2_500]);
        let mut merged = metric(&a);
        assert_eq!(merged.merge(&metric(&b)), Ok(()));
        assert_eq!(merged, metric(&[a, b].concat()));
    }

    #[test]
    fn merging_with_nothing_changes_nothing() {
        let mut merged = metric(&[5, 9]);
        assert_eq!(merged.merge(&metric(&[])), Ok(()));
        assert_eq!(merged, metric(&[5, 9]));
    }

    #[test]
    fn unlike_metrics_do_not_merge() {
        let wall = Metric { domain: Domain::Wall, ..metric(&[1]) };
        let mut merged = metric(&[1]);
        assert_eq!(merged.merge(&wall), Err(MergeError::Domain));
        assert_eq!(merged, metric(&[1]));
    }

    #[test]
    fn a_quantile_needs_a_sample_beyond_it() {
        let of = |count| Metric { count, ..metric(&[]) };
        assert!(of(1_000).supports(0.999) && !of(999).supports(0.999));
        assert!(of(100).supports(0.99) && !of(99).supports(0.99));
        assert!(!of(0).supports(0.5));
    }
}
