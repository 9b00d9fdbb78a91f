//! What values looked like in the old language.

use serde_json::Value;

use crate::legacy::python::{Value as Old, text as written};

/// The name of a value's type.
pub(super) fn type_name(value: &Value) -> &'static str {
    Old::from_recorded(value).type_name()
}

/// Whether a value counts as true.
pub(super) fn is_true(value: &Value) -> bool {
    Old::from_recorded(value).truthy()
}

/// The text of a value.
pub(super) fn text(value: &Value) -> String {
    written::str(&Old::from_recorded(value))
}

/// The literal of a value.
pub(super) fn literal(value: &Value) -> String {
    written::repr(&Old::from_recorded(value))
}

/// The first characters of a text.
pub(super) fn head(text: &str, chars: usize) -> String {
    text.chars().take(chars).collect()
}
