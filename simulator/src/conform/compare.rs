//! Comparing values: what every unit needs.

use serde_json::{Map, Value};

use super::{Notes, Translation};

/// Something recorded that the router does otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Where, e.g. `sent[2].data.status`.
    pub at: String,
    /// The recording.
    pub recorded: Value,
    /// The router.
    pub observed: Value,
}

impl Difference {
    /// A difference at a place.
    pub fn new(at: impl Into<String>, recorded: impl Into<Value>, observed: impl Into<Value>) -> Self {
        Self { at: at.into(), recorded: recorded.into(), observed: observed.into() }
    }
}

/// A frame that reached a socket.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// The connection's label in the case.
    pub conn: String,
    /// The user whose socket it is.
    pub user: String,
    /// Microseconds since the step began.
    pub at_us: u64,
    /// The frame.
    pub message: Value,
}

/// Text that stands in recordings for any reading of a clock.
pub(super) const TIME: &str = "<time>";

/// Compares a recorded value with an observed one: `<time>` matches any time, 1 equals 1.0, and members that the
/// canonical form adds on top of `extra` are passed over (N3).
pub(super) fn values(
    at: &str,
    recorded: &Value,
    observed: &Value,
    extra: &[&str],
    notes: &mut Notes,
    out: &mut Vec<Difference>,
) {
    match (recorded, observed) {
        (Value::Object(recorded), Value::Object(observed)) => {
            objects(at, recorded, observed, extra, notes, out);
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (n, (left, right)) in left.iter().zip(right).enumerate() {
                values(&format!("{at}[{n}]"), left, right, extra, notes, out);
            }
        }
        (Value::String(time), observed) if time == TIME && is_time(observed) => {}
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        (recorded, observed) if recorded == observed => {}
        (Value::String(name), Value::String(wire)) if is_enum_text(name, wire) => {
            notes.translated(Translation::N1);
        }
        _ => out.push(Difference::new(at, recorded.clone(), observed.clone())),
    }
}

fn objects(
    at: &str,
    recorded: &Map<String, Value>,
    observed: &Map<String, Value>,
    extra: &[&str],
    notes: &mut Notes,
    out: &mut Vec<Difference>,
) {
    for (key, value) in recorded {
        let at = join(at, key);
        match observed.get(key) {
            Some(seen) => values(&at, value, seen, extra, notes, out),
            None => out.push(Difference::new(at, value.clone(), "<absent>")),
        }
    }
    for (key, seen) in observed {
        if recorded.contains_key(key) {
            continue;
        }
        if extra.contains(&key.as_str()) {
            notes.translated(Translation::N3);
        } else {
            out.push(Difference::new(join(at, key), "<absent>", seen.clone()));
        }
    }
}

fn join(at: &str, key: &str) -> String {
    if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") }
}

/// Whether a value is a reading of the router's clock: Unix seconds, or RFC 3339.
pub(super) fn is_time(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::String(text) => {
            text == TIME || (text.len() >= 19 && text.as_bytes()[4] == b'-' && text.as_bytes()[10] == b'T')
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether `name` is the old rendering `MessageType.USER_MESSAGE` of the wire name `user_message`.
pub(super) fn is_enum_text(name: &str, wire: &str) -> bool {
    name.strip_prefix("MessageType.").is_some_and(|name| name.eq_ignore_ascii_case(wire))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(recorded: &Value, observed: &Value) -> Vec<String> {
        let (mut notes, mut out) = (Notes::default(), Vec::new());
        values("", recorded, observed, &["seq"], &mut notes, &mut out);
        out.into_iter().map(|difference| difference.at).collect()
    }

    #[test]
    fn times_numbers_names_and_added_members_are_equal() {
        let recorded = json!({"t": "<time>", "u": "<time>", "n": 1, "k": "MessageType.USER_TYPING"});
        let observed =
            json!({"t": 1.7e9, "u": "2026-01-01T00:00:00.000000Z", "n": 1.0, "k": "user_typing", "seq": 4});
        assert!(differences(&recorded, &observed).is_empty());
    }

    #[test]
    fn each_difference_names_its_place() {
        let recorded = json!({"a": [1, {"b": 2}], "c": 3, "t": "<time>"});
        let observed = json!({"a": [1, {"b": 5}], "d": 3, "t": "soon"});
        assert_eq!(differences(&recorded, &observed), ["a[1].b", "c", "t", "d"]);
    }
}
