//! Texts about tool calls: what a user is shown of parameters and results, and how long a tool may still take.

use alloc::{
    format,
    string::{String, ToString as _},
    vec::Vec,
};
use core::fmt;

use serde::{
    Deserialize,
    de::{Deserializer, MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// Longest output of a tool in its event, in characters.
const OUTPUT_CHARS: usize = 500;
/// Longest text of parameters that are no object, in characters.
const PLAIN_CHARS: usize = 100;
/// Longest query in a summary, in characters.
const QUERY_CHARS: usize = 50;
/// Longest value of any other member, in characters.
const VALUE_CHARS: usize = 30;
/// Members shown when none of the well-known ones is there.
const SHOWN: usize = 3;

/// Milliseconds a tool is expected to take, by the first word that its name contains.
const ESTIMATES_MS: &[(&str, u64)] = &[
    ("search", 3_000),
    ("query", 2_000),
    ("analyze", 15_000),
    ("generate", 8_000),
    ("validate", 2_000),
    ("optimize", 30_000),
    ("export", 5_000),
    ("import", 10_000),
    ("llm", 12_000),
    ("calculation", 5_000),
    ("transformation", 3_000),
];
/// Milliseconds any other tool is expected to take.
const ESTIMATE_MS: u64 = 5_000;

/// The members of a JSON object, in the order in which they are written.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    pub(super) fn of(json: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str(json)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last member of that name.
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.get())
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &'de RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// JSON without white space between its tokens.
fn compact(json: &str) -> String {
    let (mut out, mut quoted, mut escaped) = (String::with_capacity(json.len()), false, false);
    for c in json.chars() {
        if quoted || !matches!(c, ' ' | '\t' | '\n' | '\r') {
            out.push(c);
        }
        quoted = if c == '"' && !escaped { !quoted } else { quoted };
        escaped = quoted && c == '\\' && !escaped;
    }
    out
}

/// The text form of a JSON value: a text is itself, anything else compact JSON.
pub(super) fn text_form(json: &str) -> String {
    if json.starts_with('"')
        && let Ok(text) = serde_json::from_str::<String>(json)
    {
        return text;
    }
    compact(json)
}

fn head(text: &str, chars: usize) -> &str {
    text.char_indices().nth(chars).map_or(text, |(at, _)| &text[..at])
}

/// What a tool's event shows of its result: the first 500 characters of its text form; nothing for null only, so
/// that 0 and an empty list are seen as what they are.
pub(super) fn output(json: &str) -> Option<String> {
    let json = json.trim();
    (json != "null").then(|| head(&text_form(json), OUTPUT_CHARS).into())
}

/// What an event shows of a call's parameters instead of the parameters themselves.
pub fn summary(parameters: &str) -> String {
    let json = parameters.trim();
    let empty = matches!(json, "" | "null" | "false" | "0" | "\"\"");
    let compacted = if empty { String::new() } else { compact(json) };
    if empty || matches!(compacted.as_str(), "{}" | "[]") {
        return "No parameters".into();
    }
    let Ok(members) = Members::of(json) else { return head(&text_form(json), PLAIN_CHARS).into() };
    let mut parts = Vec::new();
    if let Some(query) = members.get("query") {
        parts.push(format!("Query: {}", head(&text_form(query), QUERY_CHARS)));
    }
    for (key, label) in [("table_name", "Table"), ("limit", "Limit")] {
        if let Some(value) = members.get(key) {
            parts.push(format!("{label}: {}", text_form(value)));
        }
    }
    if let Some(filters) = members.get("filters").map(entries).filter(|filters| *filters > 0) {
        parts.push(format!("Filters: {filters} applied"));
    }
    if parts.is_empty() {
        let shown = members.0.iter().take(SHOWN);
        parts.extend(
            shown.map(|(key, value)| format!("{key}: {}", head(&text_form(value.get()), VALUE_CHARS))),
        );
    }
    parts.join("; ")
}

/// How many entries a list, an object or a text has.
fn entries(json: &str) -> usize {
    if let Ok(list) = serde_json::from_str::<Vec<&RawValue>>(json) {
        return list.len();
    }
    Members::of(json).map_or_else(|_| usize::from(json.starts_with('"') && json != "\"\""), |all| all.0.len())
}

/// Milliseconds a tool is expected to take, judged by its name.
pub fn estimate_ms(tool: &str) -> u64 {
    let lower = tool.to_lowercase();
    ESTIMATES_MS.iter().find(|(word, _)| lower.contains(word)).map_or(ESTIMATE_MS, |(_, ms)| *ms)
}

/// Milliseconds left at `percentage`: `elapsed / (p / 100) - elapsed`, or the estimate's share while no time has
/// passed; 0 at 0 or less, at 100 or more, and for what is no number.
pub fn remaining_ms(estimate_ms: u64, elapsed_ms: u64, percentage: f64) -> u64 {
    if !(percentage > 0.0 && percentage < 100.0) {
        return 0;
    }
    let share = percentage / 100.0;
    let left = if elapsed_ms > 0 {
        elapsed_ms as f64 / share - elapsed_ms as f64
    } else {
        estimate_ms as f64 * (1.0 - share)
    };
    // Rounded to the nearest; the cast saturates.
    (left + 0.5) as u64
}

/// The `progress_data` of a progress event.
pub(super) fn progress(percentage: f64, message: &str, remaining_ms: u64) -> String {
    let percentage = if percentage.is_finite() { percentage.clamp(0.0, 100.0) } else { 0.0 };
    let default = format!("Processing: {percentage:.0}% complete");
    let message = serde_json::Value::from(if message.is_empty() { &default } else { message }).to_string();
    format!(
        r#"{{"percentage":{percentage:?},"message":{message},"estimated_remaining_ms":{remaining_ms},"current_step":{message}}}"#
    )
}

#[cfg(test)]
mod tests {
    use alloc::borrow::ToOwned as _;

    use super::*;

    #[test]
    fn summaries_show_little() {
        let long = "q".repeat(80);
        let table = [
            ("{ }".to_owned(), "No parameters".to_owned()),
            ("\"\"".to_owned(), "No parameters".to_owned()),
            ("\"plain\"".to_owned(), "plain".to_owned()),
            (format!(r#"{{"query":"{long}"}}"#), format!("Query: {}", "q".repeat(50))),
            (
                r#"{"limit":5,"query":"a","table_name":"t","filters":[1,2]}"#.to_owned(),
                "Query: a; Table: t; Limit: 5; Filters: 2 applied".to_owned(),
            ),
            (r#"{"filters": []}"#.to_owned(), "filters: []".to_owned()),
            (
                r#"{"z":1,"a":{"b": "c d"},"y":3,"x":4}"#.to_owned(),
                r#"z: 1; a: {"b":"c d"}; y: 3"#.to_owned(),
            ),
            ("[1, 2]".to_owned(), "[1,2]".to_owned()),
        ];
        for (parameters, expected) in table {
            assert_eq!(summary(&parameters), expected, "{parameters}");
        }
    }

    #[test]
    fn only_white_space_between_tokens_goes() {
        let json = "{ \"a\" :\t\"x \\\" y\" ,\n\"b\\\\\" : [ 1 , \" \\\\\" ] }";
        assert_eq!(compact(json), r#"{"a":"x \" y","b\\":[1," \\"]}"#);
    }

    #[test]
    fn only_null_has_no_output() {
        for (json, expected) in
            [("0", "0"), ("[]", "[]"), ("\"\"", ""), ("false", "false"), ("\"a\\nb\"", "a\nb")]
        {
            assert_eq!(output(json).as_deref(), Some(expected));
        }
        assert_eq!(output(" null "), None);
        assert_eq!(output(&format!("\"{}\"", "ä".repeat(900))).map(|text| text.chars().count()), Some(500));
    }

    #[test]
    fn remaining_time_follows_the_clock_once_there_is_one() {
        assert_eq!(estimate_ms("SQL_QUERY"), 2_000);
        assert_eq!(estimate_ms("research_query"), 3_000);
        assert_eq!(estimate_ms(""), 5_000);
        for (elapsed, percentage, expected) in
            [(0, 25.0, 2_250), (1_000, 25.0, 3_000), (1_000, 0.0, 0), (1_000, 100.0, 0), (5, f64::NAN, 0)]
        {
            assert_eq!(remaining_ms(3_000, elapsed, percentage), expected);
        }
    }
}
