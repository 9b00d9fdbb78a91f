//! Values of JSON as the old language saw them: texts, names of types, what counts as true, what was raised. The fuller rules,
//! for values that JSON has not, are in [`python`](super::python).

use serde_json::Value;

/// An exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Its class.
    pub class: &'static str,
    /// Its text.
    pub text: String,
}

impl Raised {
    /// An exception with its text.
    pub fn new(class: &'static str, text: impl Into<String>) -> Self {
        Self { class, text: text.into() }
    }

    /// Reading an attribute that a value has not.
    pub fn no_attribute(of: &Value, attribute: &str) -> Self {
        Self::missing_attribute(type_name(of), attribute)
    }

    /// Reading an attribute that objects of a type have not.
    pub fn missing_attribute(type_name: &str, attribute: &str) -> Self {
        Self::new("AttributeError", format!("'{type_name}' object has no attribute '{attribute}'"))
    }

    /// Writing a member with a text for its key into a value that is no map.
    pub fn item_assignment(to: &Value) -> Self {
        let text = match to {
            Value::Array(_) => "list indices must be integers or slices, not str".to_owned(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                format!("'{}' object does not support item assignment", type_name(to))
            }
        };
        Self::new("TypeError", text)
    }

    /// Looking a list or a map up as a key.
    pub fn unhashable(key: &Value) -> Self {
        Self::new("TypeError", format!("unhashable type: '{}'", type_name(key)))
    }
}

/// The name of a value's type.
pub fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "NoneType",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::String(_) => "str",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Whether a value can be a key.
pub const fn is_hashable(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Object(_))
}

/// Whether a value counts as true.
pub fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// A value in a text: a text is itself, all else as [`repr`].
pub fn str(value: &Value) -> String {
    value.as_str().map_or_else(|| repr(value), str::to_owned)
}

/// A value as it would be written in the old language.
pub fn repr(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
            Some(float) => float_repr(float),
            None => number.to_string(),
        },
        Value::String(text) => text_repr(text),
        Value::Array(list) => format!("[{}]", joined(list.iter().map(repr).collect())),
        Value::Object(members) => {
            let member = |(key, value): (&String, &Value)| format!("{}: {}", text_repr(key), repr(value));
            format!("{{{}}}", joined(members.iter().map(member).collect()))
        }
    }
}

fn text_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            c if c.is_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The shortest digits; an exponent below -4 and from 16 on.
fn float_repr(float: f64) -> String {
    let scientific = format!("{float:e}");
    let Some((digits, exponent)) = scientific.split_once('e') else { return scientific };
    match exponent.parse::<i32>() {
        Ok(-4..=15) => {
            let plain = float.to_string();
            if plain.contains('.') { plain } else { plain + ".0" }
        }
        Ok(exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{digits}e{sign}{:02}", exponent.abs())
        }
        Err(_) => scientific,
    }
}

/// A text with each run of letters capitalised.
pub fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = c.is_uppercase() || c.is_lowercase();
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_written_as_the_old_language_wrote_them() {
        let table = [
            (json!(null), "None"),
            (json!([true, false]), "[True, False]"),
            (json!({"a": [1, 2.0, "x"]}), "{'a': [1, 2.0, 'x']}"),
            (json!("it's"), "\"it's\""),
            (json!("a\n'\"\u{1}"), "'a\\n\\'\"\\x01'"),
            (json!([1e16, 1e-5, 0.0001, 123456789.5, -3.5]), "[1e+16, 1e-05, 0.0001, 123456789.5, -3.5]"),
        ];
        for (value, text) in table {
            assert_eq!(repr(&value), text);
        }
        assert_eq!(str(&json!("x")), "x");
        assert_eq!(str(&json!(null)), "None");
    }

    #[test]
    fn titles_capitalise_each_run_of_letters() {
        assert_eq!(title("agent_REPORT 2nd"), "Agent_Report 2Nd");
    }
}
