//! Plain numbers in scenario files: shares, weights, and bounded factors.

use std::borrow::Cow;
use std::fmt;

use schemars::JsonSchema;
use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};

/// A part of the whole, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize)]
pub struct Share(f64);

impl Share {
    /// A share; values outside 0 to 1 are cut to it.
    pub const fn new(value: f64) -> Self {
        Self(value.clamp(0.0, 1.0))
    }

    /// The share as a number from 0 to 1.
    pub const fn get(self) -> f64 {
        self.0
    }

    /// Whether it is 0; such a share is left out of a scenario's text where it is the default.
    pub(crate) fn is_zero(&self) -> bool {
        self.0 == 0.0
    }
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        bounded(deserializer, "a share from 0 to 1, such as 0.02", 0.0, 1.0).map(Self)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

/// A relative weight: a whole number up to 1,000,000. Probability = weight / sum of the table's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Weight(u32);

impl Weight {
    const MAX: u32 = 1_000_000;

    /// A weight.
    pub const fn new(weight: u32) -> Self {
        Self(weight)
    }

    /// The weight as a number.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it is 0; such a weight is left out of a scenario's text where it is the default.
    pub(crate) const fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let weight =
            whole(deserializer, "a weight, a whole number from 0 to 1000000", 0, u64::from(Self::MAX))?;
        Ok(Self(weight as u32))
    }
}

impl JsonSchema for Weight {
    fn schema_name() -> Cow<'static, str> {
        "Weight".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 0, "maximum": Self::MAX })
    }
}

/// A standard deviation of a logarithm, 0 to 5.
pub(super) fn sigma<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number from 0 to 5", 0.0, 5.0)
}

/// A mean of the logarithm of bytes, 0 to 16.
pub(super) fn mu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a number from 0 to 16", 0.0, 16.0)
}

/// A multiplier of durations, 0.001 to 100.
pub(super) fn scale<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    bounded(deserializer, "a multiplier from 0.001 to 100", 0.001, 100.0)
}

/// A growth factor, 1 to 10.
pub(super) fn factor<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole(deserializer, "a whole number from 1 to 10", 1, 10).map(|value| value as u32)
}

/// A number of users, 1 to 1,000,000.
pub(super) fn users<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole(deserializer, "a number of users from 1 to 1000000", 1, 1_000_000).map(|value| value as u32)
}

/// The version of the scenario format: 1.
pub(super) fn schema_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    whole(deserializer, "schema 1, the only version of the format so far", 1, 1).map(|value| value as u32)
}

/// A limit counted in things, 1 to 4,000,000,000.
pub(super) fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    whole(deserializer, "a whole number from 1 to 4000000000", 1, 4_000_000_000)
        .map(|value| Some(value as u32))
}

fn bounded<'de, D: Deserializer<'de>>(
    deserializer: D,
    expecting: &'static str,
    low: f64,
    high: f64,
) -> Result<f64, D::Error> {
    let value = deserializer.deserialize_any(Number { expecting })?;
    if (low..=high).contains(&value) {
        return Ok(value);
    }
    Err(D::Error::custom(format!("{value} is out of range\nexpected {expecting}")))
}

fn whole<'de, D: Deserializer<'de>>(
    deserializer: D,
    expecting: &'static str,
    low: u64,
    high: u64,
) -> Result<u64, D::Error> {
    let value = deserializer.deserialize_any(Whole { expecting })?;
    match u64::try_from(value) {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        Ok(_) | Err(_) => Err(D::Error::custom(format!("{value} is out of range\nexpected {expecting}"))),
    }
}

struct Number {
    expecting: &'static str,
}

impl Visitor<'_> for Number {
    type Value = f64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
        Ok(value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
        Ok(value as f64)
    }
}

struct Whole {
    expecting: &'static str,
}

impl Visitor<'_> for Whole {
    type Value = i64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.expecting)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<i64, E> {
        Ok(value)
    }
}
