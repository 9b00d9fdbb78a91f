//! Comparing strictly: every member that was recorded.

use serde_json::{Map, Value};

use crate::conform::{Difference, Expect, compare};

/// What the recording has and the model has not, or has otherwise. A member that was not recorded is not compared; one
/// that a recording has and the model lacks counts as null.
pub(super) fn recorded(recorded: &Expect, observed: &Expect) -> Vec<Difference> {
    let mut out = Vec::new();
    for (member, value) in &recorded.all {
        values(member, value, observed.all.get(member).unwrap_or(&Value::Null), &mut out);
    }
    out
}

/// `<time>` stands for any reading of the clock, and 1 equals 1.0; a model that says `{"$prefix": text}` vouches for the
/// beginning of a text only, as where the rest quotes the old language's own wording. All else must be the same.
fn values(at: &str, recorded: &Value, observed: &Value, out: &mut Vec<Difference>) {
    match (recorded, observed) {
        (Value::Object(left), Value::Object(right)) => objects(at, left, right, out),
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (n, (left, right)) in left.iter().zip(right).enumerate() {
                values(&format!("{at}[{n}]"), left, right, out);
            }
        }
        (Value::String(time), observed) if time == compare::TIME && compare::is_time(observed) => {}
        (Value::Number(left), Value::Number(right)) if left.as_f64() == right.as_f64() => {}
        (recorded, observed) if recorded == observed => {}
        (Value::String(text), Value::Object(observed)) if begins(text, observed) => {}
        _ => out.push(Difference::new(at, recorded.clone(), observed.clone())),
    }
}

fn begins(text: &str, observed: &Map<String, Value>) -> bool {
    let prefix = observed.get("$prefix").and_then(Value::as_str);
    prefix.is_some_and(|prefix| !prefix.is_empty() && text.starts_with(prefix))
}

fn objects(
    at: &str,
    recorded: &Map<String, Value>,
    observed: &Map<String, Value>,
    out: &mut Vec<Difference>,
) {
    for (key, value) in recorded {
        match observed.get(key) {
            Some(seen) => values(&format!("{at}.{key}"), value, seen, out),
            None => out.push(Difference::new(format!("{at}.{key}"), value.clone(), "<absent>")),
        }
    }
    for (key, seen) in observed.iter().filter(|(key, _)| !recorded.contains_key(*key)) {
        out.push(Difference::new(format!("{at}.{key}"), "<absent>", seen.clone()));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn differences(left: &Value, right: &Value) -> Vec<String> {
        let mut out = Vec::new();
        values("v", left, right, &mut out);
        out.into_iter().map(|difference| difference.at).collect()
    }

    #[test]
    fn only_readings_of_the_clock_are_free() {
        let recorded = json!({"t": "<time>", "n": 1, "k": "MessageType.PING", "l": [1, 2]});
        let observed = json!({"t": 1.7e9, "n": 1.0, "k": {"$prefix": "Message"}, "l": [1, 2]});
        assert!(differences(&recorded, &observed).is_empty());
        let observed = json!({"t": "soon", "n": true, "k": "ping", "l": [1], "x": 0});
        assert_eq!(differences(&recorded, &observed), ["v.k", "v.l", "v.n", "v.t", "v.x"]);
    }
}
