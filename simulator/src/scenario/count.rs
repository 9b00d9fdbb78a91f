//! Counts in scenario files: a whole number or an inclusive range, and weighted choices among them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::share::Weight;
use super::text_value::ends;
use crate::prng::Prng;

const EXPECTING: &str = "a whole number from 0 to 10000 or an inclusive range such as \"5..8\"";
const MAX: u32 = 10_000;

/// A count drawn uniformly from a range, both ends included; written `"5..8"`, or `6` for a fixed one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counts {
    /// Smallest.
    pub low: u32,
    /// Largest; never below `low`.
    pub high: u32,
}

impl Counts {
    /// A range of counts.
    pub const fn new(low: u32, high: u32) -> Self {
        Self { low, high }
    }

    /// Draws one.
    pub fn draw(self, prng: &mut Prng) -> u32 {
        prng.range(u64::from(self.low)..=u64::from(self.high)) as u32
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.low == self.high { self.low.fmt(f) } else { write!(f, "{}..{}", self.low, self.high) }
    }
}

impl FromStr for Counts {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (low, high) = ends(text);
        let end = |text: &str| match text.parse() {
            Ok(count) if count <= MAX => Ok(count),
            Ok(_) => Err(format!("{text} is out of range\nexpected {EXPECTING}")),
            Err(_) => Err(format!("`{text}` is not a whole number\nexpected {EXPECTING}")),
        };
        let (low, high) = (end(low)?, end(high)?);
        if low > high {
            return Err(format!("the range `{text}` is empty\nwrite the smaller count first"));
        }
        Ok(Self { low, high })
    }
}

impl Serialize for Counts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Counts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText;
        impl Visitor<'_> for NumberOrText {
            type Value = Counts;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(EXPECTING)
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Counts, E> {
                text.parse().map_err(E::custom)
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Counts, E> {
                number.to_string().parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(NumberOrText)
    }
}

impl JsonSchema for Counts {
    fn schema_name() -> Cow<'static, str> {
        "Counts".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": EXPECTING,
            "anyOf": [
                { "type": "integer", "minimum": 0, "maximum": MAX },
                { "type": "string", "pattern": "^[0-9]+(\\.\\.[0-9]+)?$" },
            ],
        })
    }
}

/// A weighted choice of counts; written `{ 0 = 15, 1 = 45, "4..6" = 8 }`. What is not named does not happen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CountWeights(BTreeMap<Counts, Weight>);

impl CountWeights {
    /// A weighted choice.
    pub fn new(weights: &[(Counts, u32)]) -> Self {
        Self(weights.iter().map(|&(counts, weight)| (counts, Weight::new(weight))).collect())
    }

    /// The largest count that can be drawn; 0 without any.
    pub fn max(&self) -> u32 {
        self.0.iter().filter(|(_, weight)| weight.get() > 0).map(|(counts, _)| counts.high).max().unwrap_or(0)
    }

    /// The smallest count that can be drawn; 0 without any.
    pub fn min(&self) -> u32 {
        self.0.iter().filter(|(_, weight)| weight.get() > 0).map(|(counts, _)| counts.low).min().unwrap_or(0)
    }

    /// Draws one: first a row by weight, then uniformly within its range.
    pub fn draw(&self, prng: &mut Prng) -> u32 {
        let total = self.0.values().map(|weight| u64::from(weight.get())).sum();
        let mut rest = prng.below(total);
        for (counts, weight) in &self.0 {
            if rest < u64::from(weight.get()) {
                return counts.draw(prng);
            }
            rest -= u64::from(weight.get());
        }
        0
    }
}

impl<'de> Deserialize<'de> for CountWeights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let rows = BTreeMap::<Counts, Weight>::deserialize(deserializer)?;
        if rows.values().all(|weight| weight.get() == 0) {
            return Err(D::Error::custom("all weights are 0\ngive at least one count a weight above 0"));
        }
        Ok(Self(rows))
    }
}

impl JsonSchema for CountWeights {
    fn schema_name() -> Cow<'static, str> {
        "CountWeights".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let weight = generator.subschema_for::<Weight>();
        schemars::json_schema!({
            "type": "object",
            "description": "weights by count or range of counts, such as { 0 = 15, 1 = 45, \"4..6\" = 8 }",
            "propertyNames": { "pattern": "^[0-9]+(\\.\\.[0-9]+)?$" },
            "additionalProperties": weight,
            "minProperties": 1,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prng::Domain;

    #[test]
    fn counts_parse_and_render() {
        assert_eq!("5..8".parse(), Ok(Counts::new(5, 8)));
        assert_eq!(Counts::new(6, 6).to_string(), "6");
        for (text, word) in
            [("8..5", "empty"), ("x", "not a whole number"), ("99999", "out of range"), ("1..", "`` is")]
        {
            assert!(text.parse::<Counts>().unwrap_err().contains(word), "{text}");
        }
    }

    #[test]
    fn a_weighted_range_is_drawn_within_its_ends() {
        let weights = CountWeights::new(&[(Counts::new(1, 1), 1), (Counts::new(4, 6), 3)]);
        let mut prng = Prng::stream(1, Domain::User, 0);
        let drawn: Vec<u32> = (0..4_000).map(|_| weights.draw(&mut prng)).collect();
        assert!(drawn.iter().all(|count| [1, 4, 5, 6].contains(count)));
        let ones = drawn.iter().filter(|&&count| count == 1).count();
        assert!((900..1100).contains(&ones), "{ones}");
        assert_eq!((weights.min(), weights.max()), (1, 6));
    }
}
