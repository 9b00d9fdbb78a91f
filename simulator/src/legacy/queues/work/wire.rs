//! A message as it was written: JSON with defaults for what is not there.

use serde_json::{Map, Value, json};

use crate::legacy::python::moment::iso_8601;

/// The statuses that a message could be written with.
const STATUSES: [&str; 9] = [
    "pending",
    "processing",
    "completed",
    "failed",
    "retrying",
    "recoverable_failed",
    "circuit_breaker_open",
    "dead_letter",
    "retry_exhausted",
];
/// Attempts of a message that was written without a number.
const ATTEMPTS_WRITTEN: u32 = 3;

/// Why a text is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It is not JSON, or no object.
    NotAnObject,
    /// That member has a value that it cannot have.
    Value(&'static str),
    /// That member has a value of a type that it cannot have.
    Type(&'static str),
}

impl Misread {
    /// The class of the old exception.
    pub const fn class(self) -> &'static str {
        match self {
            Misread::NotAnObject => "JSONDecodeError",
            Misread::Value(_) => "ValueError",
            Misread::Type(_) => "TypeError",
        }
    }

    /// In words.
    pub const fn text(self) -> &'static str {
        match self {
            Misread::NotAnObject => "expected a JSON object",
            Misread::Value(member) | Misread::Type(member) => member,
        }
    }
}

/// A message with all its members; `fresh_id` and `now` stand for what is drawn when they are missing.
///
/// # Errors
/// The first member that is wrong.
pub fn read(written: &Value, fresh_id: &str, now: &str) -> Result<Map<String, Value>, Misread> {
    let Value::Object(written) = written else { return Err(Misread::NotAnObject) };
    let or = |name: &str, default: Value| written.get(name).cloned().unwrap_or(default);
    let mut message = Map::new();
    message.insert("id".into(), or("id", fresh_id.into()));
    message.insert("user_id".into(), or("user_id", "".into()));
    message.insert("type".into(), or("type", "".into()));
    message.insert("payload".into(), or("payload", json!({})));
    message.insert("priority".into(), priority(&or("priority", json!(1)))?.into());
    let status = or("status", "pending".into());
    if !status.as_str().is_some_and(|status| STATUSES.contains(&status)) {
        return Err(Misread::Value("status"));
    }
    message.insert("status".into(), status);
    message.insert("retry_count".into(), or("retry_count", json!(0)));
    message.insert("max_retries".into(), or("max_retries", json!(ATTEMPTS_WRITTEN)));
    let created = match written.get("created_at") {
        None => now.to_owned(),
        Some(text) => moment("created_at", text)?,
    };
    message.insert("created_at".into(), created.into());
    for name in ["processing_started_at", "completed_at"] {
        let at = match written.get(name) {
            None | Some(Value::Null) => Value::Null,
            Some(text) => moment(name, text)?.into(),
        };
        message.insert(name.into(), at);
    }
    message.insert("error".into(), or("error", Value::Null));
    Ok(message)
}

/// 0 to 3; a truth value and a whole number with a point count as one.
fn priority(value: &Value) -> Result<u8, Misread> {
    let number = match value {
        Value::Bool(truth) => Some(f64::from(u8::from(*truth))),
        Value::Number(number) => number.as_f64(),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let known = (0..=3_u8).find(|known| number == Some(f64::from(*known)));
    known.ok_or(Misread::Value("priority"))
}

/// A moment as it is written again: date, `T`, time, a fraction of six digits, the offset as numbers.
fn moment(name: &'static str, value: &Value) -> Result<String, Misread> {
    let text = value.as_str().ok_or(Misread::Type(name))?;
    iso_8601(text).ok_or(Misread::Value(name))?;
    let (text, zulu) = text.strip_suffix('Z').map_or((text, ""), |text| (text, "+00:00"));
    if text.len() == 10 {
        return Ok(format!("{text}T00:00:00{zulu}"));
    }
    let Some((date, time)) = text.split_at_checked(10) else { return Ok(format!("{text}{zulu}")) };
    let time: String = time.chars().skip(1).collect();
    Ok(format!("{date}T{time}{zulu}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_has_a_default_and_what_is_wrong_is_named() {
        let message = read(&json!({"created_at": "2023-11-14 22:13:20Z"}), "7", "now").expect("a message");
        let shown = [&message["id"], &message["max_retries"], &message["created_at"]];
        assert_eq!(shown, [&json!("7"), &json!(3), &json!("2023-11-14T22:13:20+00:00")]);
        let wrong = [
            (json!([]), Misread::NotAnObject),
            (json!({"priority": 4}), Misread::Value("priority")),
            (json!({"priority": null}), Misread::Value("priority")),
            (json!({"status": null}), Misread::Value("status")),
            (json!({"created_at": null}), Misread::Type("created_at")),
            (json!({"created_at": "yesterday"}), Misread::Value("created_at")),
            (json!({"completed_at": 5}), Misread::Type("completed_at")),
        ];
        for (written, misread) in wrong {
            assert_eq!(read(&written, "", ""), Err(misread), "{written}");
        }
    }
}
