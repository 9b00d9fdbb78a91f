//! Values.

use serde_json::{Map, json};

use super::number;

/// A value as the old code held it after reading JSON. Members keep the order in which they were first set.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// `None`, JSON's null.
    #[default]
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer that a machine word holds.
    Int(i64),
    /// A longer one: its decimal digits, perhaps after a minus.
    Big(Box<str>),
    /// A float, which may be infinite or no number.
    Float(f64),
    /// A text.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// A dictionary with texts as keys.
    Dict(Dict),
}

/// A dictionary in insertion order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dict(Vec<(String, Value)>);

impl Dict {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Whether the key is there, whatever its value.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a key: a new one comes last, a known one keeps its place.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<Value>) {
        let (key, value) = (key.into(), value.into());
        match self.0.iter_mut().find(|(name, _)| *name == key) {
            Some((_, old)) => *old = value,
            None => self.0.push((key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let at = self.0.iter().position(|(name, _)| name == key)?;
        Some(self.0.remove(at).1)
    }

    /// Keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Dict {
    fn from(members: [(&str, Value); N]) -> Self {
        let mut dict = Self::default();
        for (key, value) in members {
            dict.set(key, value);
        }
        dict
    }
}

impl Value {
    /// A dictionary of these members.
    pub fn dict<const N: usize>(members: [(&str, Value); N]) -> Self {
        Self::Dict(members.into())
    }

    /// A member of a dictionary; nothing of anything else.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_dict().and_then(|dict| dict.get(key))
    }

    /// The dictionary, if it is one.
    pub const fn as_dict(&self) -> Option<&Dict> {
        if let Self::Dict(dict) = self { Some(dict) } else { None }
    }

    /// The text, if it is one.
    pub const fn as_str(&self) -> Option<&str> {
        if let Self::Str(text) = self { Some(text.as_str()) } else { None }
    }

    /// Whether it is `None`.
    pub const fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    /// What `if value:` asks.
    pub fn truthy(&self) -> bool {
        match self {
            Self::None => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Big(_) => true,
            Self::Float(value) => *value != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Dict(dict) => !dict.is_empty(),
        }
    }

    /// Whether `hash(value)` works: a list or a dictionary is no key.
    pub const fn is_hashable(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Dict(_))
    }

    /// Whether `value == number` for an integer: a float and a truth value may be equal to it.
    pub fn equals_int(&self, number: i64) -> bool {
        match self {
            Self::Bool(value) => i64::from(*value) == number,
            Self::Int(value) => *value == number,
            Self::Float(value) => *value == number as f64,
            Self::None | Self::Big(_) | Self::Str(_) | Self::List(_) | Self::Dict(_) => false,
        }
    }

    /// What `value[:n]` raises, if it does: texts and lists can be sliced.
    pub fn slice_fault(&self) -> Option<String> {
        match self {
            Self::Str(_) | Self::List(_) => None,
            Self::Dict(_) => Some("unhashable type: 'slice'".to_owned()),
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Big(_) | Self::Float(_) => {
                Some(format!("'{}' object is not subscriptable", self.type_name()))
            }
        }
    }

    /// `type(value).__name__`.
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Big(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
        }
    }

    /// A value as recordings hold it: what JSON cannot say is an object of one key, `$float` or `$int`.
    pub fn from_recorded(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::None,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => number
                .as_i64()
                .map(Self::Int)
                .or_else(|| number.as_u64().map(|long| Self::Big(long.to_string().into())))
                .unwrap_or_else(|| Self::Float(number.as_f64().unwrap_or(f64::NAN))),
            serde_json::Value::String(text) => Self::Str(text.clone()),
            serde_json::Value::Array(list) => Self::List(list.iter().map(Self::from_recorded).collect()),
            serde_json::Value::Object(members) => Self::from_members(members),
        }
    }

    fn from_members(members: &Map<String, serde_json::Value>) -> Self {
        if members.len() == 1 {
            let text = |key: &str| members.get(key).and_then(serde_json::Value::as_str);
            if let Some(float) = text("$float").and_then(number::float) {
                return Self::Float(float);
            }
            if let Some(digits) = text("$int") {
                return digits.parse().map_or_else(|_| Self::Big(digits.into()), Self::Int);
            }
        }
        let mut dict = Dict::default();
        for (key, value) in members {
            dict.set(key.clone(), Self::from_recorded(value));
        }
        Self::Dict(dict)
    }

    /// The value in the form of recordings.
    pub fn to_recorded(&self) -> serde_json::Value {
        match self {
            Self::None => serde_json::Value::Null,
            Self::Bool(value) => json!(value),
            Self::Int(value) => json!(value),
            Self::Big(digits) => json!({"$int": digits}),
            Self::Float(value) if value.is_nan() => json!({"$float": "nan"}),
            Self::Float(value) if value.is_infinite() => {
                json!({"$float": if *value > 0.0 { "inf" } else { "-inf" }})
            }
            Self::Float(value) => json!(value),
            Self::Str(text) => json!(text),
            Self::List(list) => list.iter().map(Self::to_recorded).collect(),
            Self::Dict(dict) => {
                let members = dict.iter().map(|(key, value)| (key.to_owned(), value.to_recorded()));
                serde_json::Value::Object(members.collect())
            }
        }
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(text)
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Self {
        Self::Dict(dict)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::None, Into::into)
    }
}

impl<T: Into<Value>> FromIterator<T> for Value {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_are_false() {
        for empty in [
            Value::None,
            false.into(),
            Value::Int(0),
            Value::Float(-0.0),
            "".into(),
            Value::List(Vec::new()),
            Value::dict([]),
        ] {
            assert!(!empty.truthy(), "{empty:?}");
        }
        for full in [" ".into(), Value::Float(f64::NAN), Value::Int(-1), Value::List(vec![Value::None])] {
            assert!(full.truthy(), "{full:?}");
        }
    }

    #[test]
    fn a_key_that_is_set_again_keeps_its_place() {
        let dict = Dict::from([("a", 1.into()), ("b", 2.into()), ("a", 3.into())]);
        assert_eq!(dict.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(dict.get("a"), Some(&Value::Int(3)));
    }

    #[test]
    fn what_json_cannot_hold_comes_back_as_it_went() {
        let digits = "1".repeat(400);
        for value in [Value::Float(f64::INFINITY), Value::Big(digits.into()), Value::Int(7), Value::dict([])]
        {
            assert_eq!(Value::from_recorded(&value.to_recorded()), value);
        }
        let nan = Value::from_recorded(&Value::Float(f64::NAN).to_recorded());
        assert!(matches!(nan, Value::Float(nan) if nan.is_nan()));
    }

    #[test]
    fn only_texts_and_lists_can_be_sliced() {
        assert_eq!(Value::from("u").slice_fault(), None);
        let fault = Value::Int(5).slice_fault();
        assert_eq!(fault.as_deref(), Some("'int' object is not subscriptable"));
        assert_eq!(Value::dict([]).slice_fault().as_deref(), Some("unhashable type: 'slice'"));
    }
}
