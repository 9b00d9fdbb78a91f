//! Sizes in scenario files: text with a unit, stored as bytes.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text_value::{ends, text_value, unit_of, with_unit};
use crate::prng::{LogUniform, Prng};

const UNITS: [(&str, u64); 3] = [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20)];
const HELP: &str = "a size is a whole number and one of the units B, KiB, MiB, at most 64MiB";
const MAX: u64 = 64 << 20;

/// A size in bytes; written `"373B"`, `"8KiB"`, `"4MiB"`; at most 64 MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(u32);

impl Size {
    /// A size of `bytes` bytes.
    pub const fn new(bytes: u32) -> Self {
        Self(bytes)
    }

    /// The size in bytes.
    pub const fn bytes(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = u64::from(self.0);
        let (unit, scale) = unit_of(bytes, &UNITS, 0);
        write!(f, "{}{unit}", bytes / scale)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // The largest is far below what a u32 holds.
        with_unit(text, (&UNITS, MAX), ("size", "more than 64MiB", HELP)).map(|bytes| Self(bytes as u32))
    }
}

text_value!(Size, "a size with its unit, such as \"373B\" or \"8KiB\"", "^[0-9]+(B|KiB|MiB)$");

/// A size drawn from a range, both ends included, uniform in its logarithm; written `"20B..4000B"`, or
/// `"64B"` for a fixed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SizeRange {
    /// Smallest.
    pub low: Size,
    /// Largest; never below `low`.
    pub high: Size,
}

impl SizeRange {
    /// A range given in bytes.
    pub const fn new(low: u32, high: u32) -> Self {
        Self { low: Size(low), high: Size(high) }
    }

    /// What draws one, in bytes, and many from the same range.
    pub(crate) fn sampler(self) -> LogUniform {
        LogUniform::new(u64::from(self.low.0)..=u64::from(self.high.0))
    }
}

impl fmt::Display for SizeRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { self.low.fmt(f) } else { write!(f, "{}..{}", self.low, self.high) }
    }
}

impl FromStr for SizeRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = ends(text);
        let (low, high) = (low.parse::<Size>()?, high.parse::<Size>()?);
        if low > high {
            return Err(format!("the range `{text}` is empty\nwrite the smaller size first"));
        }
        Ok(Self { low, high })
    }
}

text_value!(
    SizeRange,
    "a size or a range of sizes, such as \"64B\" or \"20B..4000B\"",
    "^[0-9]+(B|KiB|MiB)(\\.\\.[0-9]+(B|KiB|MiB))?$"
);

/// Sizes of user texts: log-normal in bytes, cut at a maximum.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TextBytes {
    /// Mean of the natural logarithm of the bytes. Default 3.5, a median of 33 bytes (measured on 3,194
    /// fixture texts).
    #[serde(deserialize_with = "super::share::mu")]
    #[schemars(range(min = 0, max = 16))]
    pub mu: f64,
    /// Standard deviation of the natural logarithm. Default 0.72 (measured).
    #[serde(deserialize_with = "super::share::sigma")]
    #[schemars(range(min = 0, max = 5))]
    pub sigma: f64,
    /// Longer texts are cut to this. Default "373B", the longest measured.
    pub max: Size,
}

impl Default for TextBytes {
    fn default() -> Self {
        Self { mu: 3.5, sigma: 0.72, max: Size(373) }
    }
}

impl TextBytes {
    /// Draws one, in bytes.
    pub fn draw(self, prng: &mut Prng) -> u32 {
        prng.log_normal_whole(crate::prng::exp(self.mu), self.sigma).min(u64::from(self.max.0)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_their_value_through_text() {
        for (text, bytes) in [("0B", 0), ("373B", 373), ("8KiB", 8192), ("4MiB", 4 << 20)] {
            let parsed: Size = text.parse().unwrap();
            assert_eq!((parsed.bytes(), parsed.to_string().as_str()), (bytes, text));
        }
    }

    #[test]
    fn wrong_sizes_say_what_is_allowed() {
        for (text, word) in
            [("8", "no unit"), ("8kb", "`kb` is not"), ("65MiB", "more than"), ("x", "whole number")]
        {
            let error = text.parse::<Size>().unwrap_err();
            assert!(error.contains(word) && error.contains("B, KiB, MiB"), "{text}: {error}");
        }
        assert!("2KiB..1KiB".parse::<SizeRange>().unwrap_err().contains("empty"));
    }
}
