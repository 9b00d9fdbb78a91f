//! Timestamps: what a client says in `timestamp`, and what a router makes of it.

use router::{Instant, message};
use serde_json::{Value, json};

use super::{Refusal, USER, frame, said, stage};
use crate::conform::{Action, Difference, Expect, Notes, Translation, compare::TIME, decisions::TIMESTAMPS};

/// What a router made of a timestamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamp {
    /// There was none: the router's clock.
    Clock,
    /// Taken at its word.
    Taken(Instant),
    /// Not to be trusted: the router's clock, and counted.
    Replaced,
}

/// First second of the year 10000.
const END: f64 = 253_402_300_800.0;

/// Says `{"type":"ping","timestamp":…}` to a router.
pub(super) fn sent(value: &Value) -> Result<Stamp, Refusal> {
    let text = frame(&[("type", &json!("ping")), ("timestamp", value)]);
    let mut stage = stage()?;
    let answer = said(&mut stage, &text)?;
    let replaced = stage.router().stats().inbound.timestamps_replaced == 1;
    let at = message::scan(&text, USER.as_bytes(), message::NESTING_MAX)?.sent_at();
    match (answer["type"].as_str(), at, replaced) {
        (Some("pong"), Some(at), false) => Ok(Stamp::Taken(at)),
        (Some("pong"), None, true) => Ok(Stamp::Replaced),
        (Some("pong"), None, false) if value.is_null() => Ok(Stamp::Clock),
        _ => Err(Refusal::Unmade),
    }
}

impl Stamp {
    pub(super) fn compare(self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let (value, recorded) = (action.arg("value"), &expect.returns);
        let replaced = self == Stamp::Replaced;
        // A list or an object was read as "now", even by those that validate.
        let container = value.is_array() || value.is_object() && !is_number(value);
        let agrees = match (&expect.raises, recorded) {
            (Some(_), _) => {
                notes.translated(Translation::N5);
                replaced
            }
            (None, Value::Bool(valid)) => *valid != replaced || *valid && container,
            (None, Value::Null) => replaced,
            (None, Value::String(time)) if time == TIME => replaced || self == Stamp::Clock,
            (None, seconds) => self.is_at(seconds),
        };
        if agrees {
            return Vec::new();
        }
        if replaced && may_replace(value, recorded) {
            notes.decided(TIMESTAMPS);
            return Vec::new();
        }
        let recorded = expect.raises.clone().map_or_else(|| recorded.clone(), Value::from);
        vec![Difference::new("returns", recorded, format!("{self:?}"))]
    }

    /// Whether it is at that many seconds, to the microsecond.
    fn is_at(self, seconds: &Value) -> bool {
        let Stamp::Taken(at) = self else { return false };
        let taken = at.as_micros() as f64 / 1e6;
        seconds.as_f64().is_some_and(|seconds| (seconds - taken).abs() <= 1e-6)
    }
}

/// Whether the timestamp of a message that was built may be replaced.
pub(super) fn may_be_replaced(action: &Action, expect: &Expect) -> bool {
    may_replace(&action.arg("fields")["timestamp"], &expect.returns["timestamp"])
}

/// Whether the rule demands that a value be replaced that the recording read as that many seconds. The rule says what is
/// taken: a finite number, a decimal text of at least 9 digits, ISO 8601, within the years 1970 to 9999.
fn may_replace(value: &Value, recorded: &Value) -> bool {
    let outside = |seconds: f64| !(0.0..END).contains(&seconds);
    match value {
        Value::Number(number) => number.as_f64().is_none_or(outside),
        Value::String(text) => {
            let text = text.trim();
            if recorded.as_f64().is_some_and(outside) {
                return true;
            }
            let digits = text.chars().filter(char::is_ascii_digit).count();
            match text.chars().all(|c| c.is_ascii_digit() || c == '.') {
                true => digits < 9 || text.parse().is_ok_and(outside),
                // Without the recorded seconds, the year decides, and a day at the edge with an offset.
                false => !is_iso_8601(text) || text < "1970-01-02" || text.starts_with("9999-12-31"),
            }
        }
        Value::Bool(_) => true,
        Value::Object(_) => is_number(value),
        Value::Null | Value::Array(_) => false,
    }
}

/// Whether a value stands for a number that JSON has not.
fn is_number(value: &Value) -> bool {
    value.get("$int").is_some() || value.get("$float").is_some()
}

const DATES: [&str; 6] = ["0000-00-00", "00000000", "0000-W00-0", "0000W000", "0000-W00", "0000W00"];
const TIMES: [&str; 7] = ["00", "00:00", "00:00:00", "00:00:00.0", "0000", "000000", "000000.0"];
const OFFSETS: [&str; 8] = ["", "Z", "+00", "-00", "+00:00", "-00:00", "+0000", "-0000"];

/// Whether a text has a form of ISO 8601, by its shape alone: each digit is a 0, a fraction one digit.
fn is_iso_8601(text: &str) -> bool {
    let mut shape = String::new();
    let mut fraction = false;
    for c in text.chars() {
        match c {
            '0'..='9' if fraction && shape.ends_with('0') => {}
            '0'..='9' => shape.push('0'),
            '.' | ',' => {
                shape.push('.');
                fraction = true;
            }
            c => {
                shape.push(c);
                fraction = false;
            }
        }
    }
    DATES.iter().filter_map(|date| shape.strip_prefix(date)).any(|rest| {
        let time = rest.strip_prefix(['T', 't', ' ']);
        let after = |time: &str| TIMES.iter().any(|form| time.strip_prefix(form).is_some_and(is_offset));
        rest.is_empty() || time.is_some_and(after)
    })
}

fn is_offset(shape: &str) -> bool {
    OFFSETS.contains(&shape)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_of_iso_8601_are_told_from_others() {
        for text in ["2025-09-08", "2025-W37-1", "2025-09-08 16:50:01,1234567+05:30", "20250908T165001Z"] {
            assert!(is_iso_8601(text), "{text}");
        }
        for text in
            ["2025-251", "2025-09-08_16:50:01", "2025-09-08Z", "2025-09-08T16:50:01+23:59:59", "1e3", "nan"]
        {
            assert!(!is_iso_8601(text), "{text}");
        }
    }

    #[test]
    fn a_good_timestamp_that_is_replaced_is_a_difference() {
        let seconds = json!(1_757_350_201.0);
        for (value, may) in [
            (json!("2025-09-08T16:50:01Z"), false),
            (json!("1757350201"), false),
            (json!(1_757_350_201), false),
            (json!("2025-09-08_16:50:01"), true),
            (json!(true), true),
            (json!({"$float": "nan"}), true),
        ] {
            assert_eq!(may_replace(&value, &seconds), may, "{value}");
        }
        assert!(may_replace(&json!("1969-12-31T23:59:59Z"), &json!(-1.0)));
        assert!(may_replace(&json!("2025"), &json!(2025.0)));
    }
}
