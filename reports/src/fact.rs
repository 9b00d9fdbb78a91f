//! Single numbers and words about a run: users, runs, leaks, the golden path share.

use serde::{Deserialize, Deserializer, Serialize};

use crate::quantity::{self, Unit};

/// One number or word about a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fact {
    /// Stable name, unique within a report, `snake_case`; comparisons join on it.
    pub key: String,
    /// What a person reads.
    pub label: String,
    /// The value.
    pub value: Value,
    /// The unit of a number; `None` for shares and words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<Unit>,
}

/// The value of a [`Fact`]. In JSON `{"type": "int", "value": 3}`.
///
/// A float that is not finite is written as `null` and read back as NaN: "not measured".
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "value", rename_all = "snake_case")]
pub enum Value {
    /// An exact integer.
    Int(i64),
    /// A measured number.
    Float(#[serde(deserialize_with = "nan_if_null")] f64),
    /// A word.
    Text(String),
    /// A share of a whole, 0..=1.
    Share(#[serde(deserialize_with = "nan_if_null")] f64),
}

impl Fact {
    /// A number of things. Counts above `i64::MAX` saturate.
    pub fn count(key: impl Into<String>, label: impl Into<String>, count: u64) -> Fact {
        Fact::int(key, label, i64::try_from(count).unwrap_or(i64::MAX), Unit::Count)
    }

    /// An exact integer of `unit`.
    pub fn int(key: impl Into<String>, label: impl Into<String>, value: i64, unit: Unit) -> Fact {
        Fact { key: key.into(), label: label.into(), value: Value::Int(value), unit: Some(unit) }
    }

    /// A measured number of `unit`.
    pub fn float(key: impl Into<String>, label: impl Into<String>, value: f64, unit: Unit) -> Fact {
        Fact { key: key.into(), label: label.into(), value: Value::Float(value), unit: Some(unit) }
    }

    /// `part` of `whole` as a share. An empty whole gives 1: nothing was asked for and nothing is missing.
    pub fn share(key: impl Into<String>, label: impl Into<String>, part: u64, whole: u64) -> Fact {
        let share = if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        Fact { key: key.into(), label: label.into(), value: Value::Share(share), unit: None }
    }

    /// A word.
    pub fn text(key: impl Into<String>, label: impl Into<String>, value: impl Into<String>) -> Fact {
        Fact { key: key.into(), label: label.into(), value: Value::Text(value.into()), unit: None }
    }

    /// The value with its unit as a person reads it; not escaped for any format.
    pub fn shown(&self) -> String {
        self.value.shown(self.unit)
    }
}

impl Value {
    pub(crate) fn shown(&self, unit: Option<Unit>) -> String {
        let unit = unit.unwrap_or(Unit::Count);
        match self {
            Value::Int(value) => unit.integer(*value),
            Value::Float(value) => unit.amount(*value),
            Value::Text(value) => value.clone(),
            Value::Share(value) => quantity::share(*value),
        }
    }

    /// The value as a number, if it is one.
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Value::Int(value) => Some(*value as f64),
            Value::Float(value) | Value::Share(value) => Some(*value),
            Value::Text(_) => None,
        }
    }
}

/// JSON has no NaN: serde writes `null`, and without this the report could not be read back.
fn nan_if_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_read_like_sentences() {
        assert_eq!(Fact::count("users", "users", 12_000).shown(), "12,000");
        assert_eq!(Fact::share("golden", "golden path share", 199, 200).shown(), "99.50 %");
        assert_eq!(Fact::share("golden", "golden path share", 0, 0).shown(), "100 %");
        assert_eq!(Fact::int("span", "virtual time", 90_000_000, Unit::Microseconds).shown(), "90.0 s");
        assert_eq!(Fact::float("rate", "messages", 1_050.0, Unit::PerSecond).shown(), "1,050/s");
        assert_eq!(Fact::text("store", "store", "memory").shown(), "memory");
    }

    #[test]
    fn a_value_that_was_not_measured_survives_json() {
        let json =
            serde_json::to_string(&Fact::float("rate", "rate", f64::NAN, Unit::PerSecond)).expect("writes");
        let back: Fact = serde_json::from_str(&json).expect("reads");
        assert!(matches!(back.value, Value::Float(value) if value.is_nan()), "{json}");
        assert_eq!(back.shown(), "n/a");
    }
}
