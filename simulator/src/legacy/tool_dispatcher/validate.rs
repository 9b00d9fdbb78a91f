//! The validator: made by each dispatcher and called by none.

use serde_json::Value;

use super::{
    Raised,
    python::{is_true, type_name},
};

pub use router::tools::validate::sanitize;

/// Keys of parameters that are worth a note, in any case.
const SENSITIVE: &[&str] = &["password", "secret", "token", "api_key", "private_key"];

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What makes the value unusable.
    pub errors: Vec<&'static str>,
    /// What is worth a note.
    pub warnings: Vec<&'static str>,
}

impl Found {
    /// Whether the value may be used.
    pub fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

/// Rules for a tool's name.
///
/// # Errors
/// A value that has no length.
pub fn tool_name(value: &Value) -> Result<Found, Raised> {
    let texts = [
        "Tool name cannot be empty",
        "Tool name must be a string",
        "Tool name too long (max 100 characters)",
    ];
    name(value, texts, 100)
}

/// Rules for a run's id.
///
/// # Errors
/// A value that has no length.
pub fn run_id(value: &Value) -> Result<Found, Raised> {
    let texts = ["Run ID cannot be empty", "Run ID must be a string", "Run ID too long (max 50 characters)"];
    name(value, texts, 50)
}

/// Rules for parameters.
pub fn parameters(value: &Value) -> Found {
    let mut found = Found::default();
    match value {
        Value::Object(members) => {
            if members.keys().any(|key| SENSITIVE.contains(&key.to_lowercase().as_str())) {
                found.warnings.push("Parameters may contain sensitive information");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            found.errors.push("Parameters must be a dictionary");
        }
    }
    found
}

/// Rules for a result.
pub fn result(value: &Value) -> Found {
    let mut found = Found::default();
    if value.is_null() {
        found.warnings.push("Tool result is None");
    } else if value.get("error").is_some() {
        found.warnings.push("Tool result contains error");
    }
    found
}

/// All three rules are looked at; the last one asks for a length, which not every value has.
fn name(value: &Value, [empty, kind, long]: [&'static str; 3], max: usize) -> Result<Found, Raised> {
    let mut found = Found::default();
    if !is_true(value) {
        found.errors.push(empty);
    }
    if !value.is_string() {
        found.errors.push(kind);
    }
    let length = match value {
        Value::String(text) => text.chars().count(),
        Value::Array(list) => list.len(),
        Value::Object(members) => members.len(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {
            let text = format!("object of type '{}' has no len()", type_name(value));
            return Err(Raised::new("TypeError", text));
        }
    };
    if length > max {
        found.errors.push(long);
    }
    Ok(found)
}
