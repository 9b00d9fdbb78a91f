//! What a call must look like, and what is taken out of its parameters.

use alloc::{
    string::{String, ToString as _},
    vec::Vec,
};

use serde_json::{Map, Value};

use super::text::Members;

/// Longest name of a tool, in characters.
const TOOL_CHARS_MAX: usize = 100;
/// Longest id of a run that a call may name, in characters.
const RUN_CHARS_MAX: usize = 50;
/// Keys that should not be among parameters; whole keys, compared without case.
const SENSITIVE: &[&str] = &["password", "secret", "token", "api_key", "private_key"];
/// Texts that the sanitiser takes out, one pass each, in this order.
const REMOVED: &[&str] = &["<script", "javascript:", "DROP TABLE", "DELETE FROM"];

/// What a check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Validation {
    /// What makes the value unusable.
    pub errors: Vec<&'static str>,
    /// What is worth a note.
    pub warnings: Vec<&'static str>,
}

impl Validation {
    /// Whether the value may be used.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// What the three rules for a name say.
struct NameRules {
    empty: &'static str,
    kind: &'static str,
    long: &'static str,
    chars_max: usize,
}

impl NameRules {
    fn check(&self, value: &Value) -> Validation {
        let mut found = Validation::default();
        let empty = match value {
            Value::Null => true,
            Value::Bool(is) => !is,
            Value::Number(number) => number.as_f64() == Some(0.0),
            Value::String(text) => text.trim().is_empty(),
            Value::Array(list) => list.is_empty(),
            Value::Object(members) => members.is_empty(),
        };
        if empty {
            found.errors.push(self.empty);
        }
        match value.as_str() {
            None => found.errors.push(self.kind),
            Some(text) if text.chars().count() > self.chars_max => found.errors.push(self.long),
            Some(_) => {}
        }
        found
    }
}

/// Rules for a tool's name: not empty, a text, at most 100 characters.
pub fn tool_name(name: &Value) -> Validation {
    let rules = NameRules {
        empty: "Tool name cannot be empty",
        kind: "Tool name must be a string",
        long: "Tool name too long (max 100 characters)",
        chars_max: TOOL_CHARS_MAX,
    };
    rules.check(name)
}

/// Rules for a run's id: not empty, a text, at most 50 characters.
pub fn run_id(id: &Value) -> Validation {
    let rules = NameRules {
        empty: "Run ID cannot be empty",
        kind: "Run ID must be a string",
        long: "Run ID too long (max 50 characters)",
        chars_max: RUN_CHARS_MAX,
    };
    rules.check(id)
}

/// Rules for parameters, given as JSON: an object; a sensitive key is worth a note.
pub fn parameters(json: &str) -> Validation {
    let mut found = Validation::default();
    let Ok(members) = Members::of(json) else {
        found.errors.push("Parameters must be a dictionary");
        return found;
    };
    if members.keys().any(|key| SENSITIVE.contains(&key.to_lowercase().as_str())) {
        found.warnings.push("Parameters may contain sensitive information");
    }
    found
}

/// Rules for a result, given as JSON: null, or an object with a member `error`, is worth a note.
pub fn result(json: &str) -> Validation {
    let mut found = Validation::default();
    if json.trim() == "null" {
        found.warnings.push("Tool result is None");
    } else if Members::of(json).is_ok_and(|members| members.get("error").is_some()) {
        found.warnings.push("Tool result contains error");
    }
    found
}

/// Takes out what should not reach a tool, in texts and keys at any depth, and trims texts. Anything but an object
/// becomes an empty one.
pub fn sanitize(parameters: &Value) -> Value {
    match parameters {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(key, value)| (clean(key), cleaned(value))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Value::Object(Map::new())
        }
    }
}

/// [`sanitize`] over JSON text, which is left as it is when nothing has to be taken out. `None` for text that is no
/// JSON, or nested deeper than the library reads.
pub(super) fn sanitized(json: &str) -> Option<String> {
    let value = serde_json::from_str::<Value>(json).ok()?;
    let clean = sanitize(&value);
    Some(if clean == value { json.into() } else { clean.to_string() })
}

fn cleaned(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(list) => Value::Array(list.iter().map(cleaned).collect()),
        Value::Object(_) => sanitize(value),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn clean(text: &str) -> String {
    let cleaned = REMOVED.iter().fold(String::from(text), |text, removed| {
        if text.contains(removed) { text.replace(removed, "") } else { text }
    });
    cleaned.trim().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_texts_of_some_length() {
        assert!(tool_name(&json!("ok")).is_valid() && tool_name(&json!("x".repeat(100))).is_valid());
        assert_eq!(tool_name(&json!("")).errors, ["Tool name cannot be empty"]);
        assert_eq!(tool_name(&json!([])).errors, ["Tool name cannot be empty", "Tool name must be a string"]);
        assert_eq!(tool_name(&json!("x".repeat(101))).errors, ["Tool name too long (max 100 characters)"]);
        assert_eq!(run_id(&json!("x".repeat(51))).errors, ["Run ID too long (max 50 characters)"]);
        assert_eq!(run_id(&json!(5)).errors, ["Run ID must be a string"]);
    }

    #[test]
    fn parameters_are_objects_and_secrets_are_noted() {
        assert!(parameters("[]").errors == ["Parameters must be a dictionary"]);
        assert!(parameters(r#"{"API_KEY":1}"#).warnings.len() == 1);
        assert!(parameters(r#"{"api_key_name":{"token":1}}"#).warnings.is_empty());
        assert!(result("null").warnings == ["Tool result is None"]);
        assert!(result(r#"{"error":null}"#).warnings.len() == 1 && result("{}").warnings.is_empty());
    }

    #[test]
    fn the_sanitiser_makes_one_pass() {
        let table = [
            (json!({"a": " <script>x "}), json!({"a": ">x"})),
            (json!({"a": "<scr<scriptipt>"}), json!({"a": "<script>"})),
            (json!({"<script": ["DROP TABLE t", {"b": " y "}]}), json!({"": ["t", {"b": "y"}]})),
            (json!(null), json!({})),
        ];
        for (given, expected) in table {
            assert_eq!(sanitize(&given), expected);
        }
        let given = r#"{"b": 1.50, "a": "x"}"#;
        assert_eq!(sanitized(given).as_deref(), Some(given));
    }
}
