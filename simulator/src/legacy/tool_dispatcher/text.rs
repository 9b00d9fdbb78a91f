//! What a user was shown of a call: its parameters, its purpose, its result, the time it may still take.

use router::tools;
use serde_json::Value;

use super::python::{head, is_true, literal, text};
use crate::legacy::{Hazard, Hazards};

/// Longest output in an event, in characters.
const OUTPUT_CHARS: usize = 500;
/// Longest text of parameters that are no object, in characters.
const PLAIN_CHARS: usize = 100;
/// Longest query in a summary, in characters.
const QUERY_CHARS: usize = 50;
/// Longest value of any other member, in characters.
const VALUE_CHARS: usize = 30;
/// Members shown when none of the well-known ones is there.
const SHOWN: usize = 3;

/// Purposes by the first word that a tool's name contains, in the order in which the words are looked for; `None` where
/// the wording is not known.
const PURPOSES: &[(&str, Option<&str>)] = &[
    ("search", Some("Finding relevant information")),
    ("query", Some("Retrieving data from database")),
    ("analyze", Some("Performing data analysis")),
    ("generate", None),
    ("validate", Some("Checking data integrity")),
    ("optimize", Some("Improving performance")),
    ("export", None),
    ("import", None),
    ("llm", Some("Processing with AI model")),
    ("calculation", None),
    ("transformation", None),
];

/// A summary of parameters.
pub fn summary(parameters: &Value) -> String {
    if !is_true(parameters) {
        return "No parameters".to_owned();
    }
    let Value::Object(members) = parameters else { return head(&text(parameters), PLAIN_CHARS) };
    let mut parts = Vec::new();
    if let Some(query) = members.get("query") {
        parts.push(format!("Query: {}", head(&text(query), QUERY_CHARS)));
    }
    for (key, label) in [("table_name", "Table"), ("limit", "Limit")] {
        if let Some(value) = members.get(key) {
            parts.push(format!("{label}: {}", text(value)));
        }
    }
    if let Some(filters) = members.get("filters").filter(|filters| is_true(filters)) {
        let count = match filters {
            Value::Array(list) => list.len(),
            Value::Object(members) => members.len(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
        };
        parts.push(format!("Filters: {count} applied"));
    }
    if parts.is_empty() {
        let shown = members.iter().take(SHOWN);
        parts.extend(shown.map(|(key, value)| format!("{key}: {}", head(&text(value), VALUE_CHARS))));
    }
    parts.join("; ")
}

/// A summary of the input model of a keyword call: its three members in their order.
pub fn input_summary(tool: &str, kwargs: &Value) -> String {
    let kwargs = if kwargs.is_null() { "{}".to_owned() } else { literal(kwargs) };
    let [tool, kwargs] = [tool, &kwargs].map(|value| head(value, VALUE_CHARS));
    format!("tool_name: {tool}; args: []; kwargs: {kwargs}")
}

/// What is shown of a result: the first characters of its text; nothing for null, and with `T24` nothing for whatever
/// counts as false.
pub fn output(hazards: Hazards, result: &Value) -> Option<String> {
    let shown = if hazards.has(Hazard::T24) { is_true(result) } else { !result.is_null() };
    shown.then(|| head(&text(result), OUTPUT_CHARS))
}

/// What a tool is said to be for; `None` where the wording is not known.
pub fn purpose(tool: &str) -> Option<String> {
    let lower = tool.to_lowercase();
    match PURPOSES.iter().find(|(word, _)| lower.contains(word)) {
        Some((_, purpose)) => purpose.map(str::to_owned),
        None => Some(format!("Executing {tool} operation")),
    }
}

/// The text of progress without one of its own.
pub fn progress(percentage: f64) -> String {
    format!("Processing: {percentage:.0}% complete")
}

/// Milliseconds a tool may still take, with no start known.
pub fn remaining_ms(tool: &str, percentage: f64) -> u64 {
    tools::remaining_ms(tools::estimate_ms(tool), 0, percentage)
}
