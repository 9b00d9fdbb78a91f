//! Time in scenario files: text with a unit, stored as integer microseconds.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use super::text_value::{ends, text_value, unit_of, with_unit};
use crate::prng::Prng;

const UNITS: [(&str, u64); 5] =
    [("us", 1), ("ms", 1_000), ("s", 1_000_000), ("m", 60_000_000), ("h", 3_600_000_000)];
const HELP: &str = "a duration is a whole number and one of the units us, ms, s, m, h, at most 24h";
const MAX_US: u64 = 24 * 3_600_000_000;

/// A duration, in microseconds; written `"500us"`, `"250ms"`, `"8s"`, `"2m"`, `"1h"`; at most 24 h.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(u64);

impl Micros {
    /// A duration of `us` microseconds.
    pub const fn new(us: u64) -> Self {
        Self(us)
    }

    /// A duration of `ms` milliseconds.
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms * 1_000)
    }

    /// The duration in microseconds.
    pub const fn us(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, scale) = unit_of(self.0, &UNITS, 2);
        write!(f, "{}{unit}", self.0 / scale)
    }
}

impl FromStr for Micros {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        with_unit(text, (&UNITS, MAX_US), ("time", "longer than 24h", HELP)).map(Self)
    }
}

text_value!(Micros, "a duration with its unit, such as \"250ms\", \"8s\" or \"2m\"", "^[0-9]+(us|ms|s|m|h)$");

/// A duration drawn uniformly from a range, both ends included; written `"100ms..2s"`, or `"5ms"` for a fixed
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MicrosRange {
    /// Shortest.
    pub low: Micros,
    /// Longest; never below `low`.
    pub high: Micros,
}

impl MicrosRange {
    /// A range given in microseconds.
    pub const fn new(low_us: u64, high_us: u64) -> Self {
        Self { low: Micros(low_us), high: Micros(high_us) }
    }

    /// Draws one, in microseconds.
    pub fn draw(self, prng: &mut Prng) -> u64 {
        prng.range(self.low.0..=self.high.0)
    }
}

impl fmt::Display for MicrosRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { self.low.fmt(f) } else { write!(f, "{}..{}", self.low, self.high) }
    }
}

impl FromStr for MicrosRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = ends(text);
        let (low, high) = (low.parse::<Micros>()?, high.parse::<Micros>()?);
        if low > high {
            return Err(format!("the range `{text}` is empty\nwrite the shorter duration first"));
        }
        Ok(Self { low, high })
    }
}

text_value!(
    MicrosRange,
    "a duration or a range of durations, such as \"5ms\" or \"100ms..2s\"",
    "^[0-9]+(us|ms|s|m|h)(\\.\\.[0-9]+(us|ms|s|m|h))?$"
);

/// A pause: fixed, uniform in a range, or log-normal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pause {
    /// Uniform in a range; written `"1s..2s"`, or `"1s"` for a fixed one.
    Uniform(MicrosRange),
    /// Log-normal; written `{ median = "8s", sigma = 0.8, max = "1m" }`.
    LogNormal(LogNormalPause),
}

/// A log-normal pause: half of them are shorter than the median, a few are much longer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogNormalPause {
    /// The median.
    pub median: Micros,
    /// Standard deviation of the natural logarithm. Default 0.8.
    #[serde(default = "LogNormalPause::default_sigma", deserialize_with = "super::share::sigma")]
    #[schemars(range(min = 0, max = 5))]
    pub sigma: f64,
    /// Longer draws are cut to this. Default "1m".
    #[serde(default = "LogNormalPause::default_max")]
    pub max: Micros,
}

impl LogNormalPause {
    const fn default_sigma() -> f64 {
        0.8
    }

    const fn default_max() -> Micros {
        Micros::from_ms(60_000)
    }
}

impl Pause {
    /// Draws one, in microseconds.
    pub fn draw(self, prng: &mut Prng) -> u64 {
        match self {
            Self::Uniform(range) => range.draw(prng),
            Self::LogNormal(LogNormalPause { median, sigma, max }) => {
                prng.log_normal_whole(median.0 as f64, sigma).min(max.0)
            }
        }
    }
}

impl Serialize for Pause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Uniform(range) => range.serialize(serializer),
            Self::LogNormal(pause) => pause.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Pause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;
        impl<'de> Visitor<'de> for TextOrTable {
            type Value = Pause;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration, a range such as \"1s..2s\", or { median = \"8s\", sigma = 0.8 }")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Pause, E> {
                text.parse().map(Pause::Uniform).map_err(E::custom)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Pause, A::Error> {
                LogNormalPause::deserialize(MapAccessDeserializer::new(map)).map(Pause::LogNormal)
            }
        }
        deserializer.deserialize_any(TextOrTable)
    }
}

impl JsonSchema for Pause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Pause".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let range = generator.subschema_for::<MicrosRange>();
        let table = generator.subschema_for::<LogNormalPause>();
        schemars::json_schema!({ "anyOf": [range, table] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_their_value_through_text() {
        for (text, us) in
            [("500us", 500), ("250ms", 250_000), ("8s", 8_000_000), ("2m", 120_000_000), ("0s", 0)]
        {
            let parsed: Micros = text.parse().unwrap();
            assert_eq!((parsed.us(), parsed.to_string().as_str()), (us, text));
        }
        assert_eq!("90s".parse::<Micros>().unwrap().to_string(), "90s");
        assert_eq!("100ms..2s".parse::<MicrosRange>().unwrap(), MicrosRange::new(100_000, 2_000_000));
    }

    #[test]
    fn wrong_durations_say_what_is_allowed() {
        for (text, word) in [
            ("", "whole number"),
            ("8", "no unit"),
            ("8sec", "`sec` is not a unit"),
            ("1.5s", "not a whole number"),
            ("25h", "longer than 24h"),
            ("99999999999999999999s", "too large"),
            ("-1s", "whole number"),
        ] {
            let error = text.parse::<Micros>().unwrap_err();
            assert!(error.contains(word), "{text}: {error}");
            assert!(error.contains("us, ms, s, m, h"), "{text}: {error}");
        }
        assert!("2s..1s".parse::<MicrosRange>().unwrap_err().contains("empty"));
    }
}
