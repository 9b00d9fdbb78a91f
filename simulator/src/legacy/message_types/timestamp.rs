//! What passes for a time.
//!
//! H12: `nan`, truth values and short numbers pass, `2025` is an epoch second, and an integer that no float holds
//! raises through the lenient reader. Without it a time is a finite number, a decimal text of at least nine digits or
//! ISO 8601 in a usual form, from 1970 to 9999.

use crate::legacy::{
    Hazard, Hazards,
    python::{Raised, Value, moment, number},
};

/// First second of the year 10000.
const END_SECONDS: f64 = 253_402_300_800.0;
/// Digits that a text must have to be seconds since 1970.
const DIGITS_MIN: usize = 9;

/// The time a value names, in seconds since 1970; nothing, a list and an object mean now.
///
/// # Errors
/// `ValueError` for a text that names no time, `OverflowError` for an integer beyond all floats.
pub fn strict(value: &Value, now: f64, hazards: Hazards) -> Result<f64, Raised> {
    let seconds = match value {
        Value::None | Value::List(_) | Value::Dict(_) => return Ok(now),
        Value::Bool(_) | Value::Int(_) | Value::Big(_) | Value::Float(_) => number::float_of(value)
            .map_err(|_| Raised::new("OverflowError", "int too large to convert to float"))?,
        Value::Str(text) => of_text(text)?,
    };
    if hazards.has(Hazard::H12) || is_sound(value, seconds) {
        Ok(seconds)
    } else {
        Err(Raised::value("Not a time between the years 1970 and 9999."))
    }
}

/// As [`strict`]; a value that names no time means now, or nothing without `fallback`.
///
/// # Errors
/// H12: `OverflowError` goes through.
pub fn lenient(value: &Value, now: f64, fallback: bool, hazards: Hazards) -> Result<Option<f64>, Raised> {
    match strict(value, now, hazards) {
        Ok(seconds) => Ok(Some(seconds)),
        Err(raised) if raised.class == "OverflowError" && hazards.has(Hazard::H12) => Err(raised),
        Err(_) => Ok(fallback.then_some(now)),
    }
}

/// Whether a value names a time.
///
/// # Errors
/// As [`lenient`].
pub fn is_valid(value: &Value, hazards: Hazards) -> Result<bool, Raised> {
    lenient(value, 0.0, false, hazards).map(|seconds| seconds.is_some())
}

fn of_text(text: &str) -> Result<f64, Raised> {
    let text = number::strip(text);
    number::float(text).or_else(|| moment::iso_8601(text).map(moment::seconds)).ok_or_else(|| {
        Raised::value(format!(
            "Unable to parse timestamp string '{text}'. Expected ISO format (2025-09-08T16:50:01.447585) or Unix \
             timestamp."
        ))
    })
}

/// Whether a value that could be read as that many seconds was meant as a time.
fn is_sound(value: &Value, seconds: f64) -> bool {
    let form = match value {
        Value::Int(_) | Value::Float(_) => true,
        Value::Str(text) => {
            let text = number::strip(text);
            if number::float(text).is_some() {
                let whole = text.split('.').next().unwrap_or_default();
                whole.len() >= DIGITS_MIN && text.chars().all(|c| c.is_ascii_digit() || c == '.')
            } else {
                text.chars().all(|c| c.is_ascii_digit() || "-+:.,WTtZ ".contains(c))
                    && !text.contains(" +")
                    && !text.contains(" -")
            }
        }
        Value::None | Value::Bool(_) | Value::Big(_) | Value::List(_) | Value::Dict(_) => false,
    };
    form && (0.0..END_SECONDS).contains(&seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFF: Hazards = Hazards::ALL.without(Hazard::H12);

    fn read(value: &Value, hazards: Hazards) -> Result<Option<f64>, String> {
        lenient(value, 7.0, true, hazards).map_err(|raised| raised.class)
    }

    #[test]
    fn h12_lets_nonsense_pass_for_a_time() {
        for (value, on) in [
            (Value::Bool(true), Ok(Some(1.0))),
            ("2025".into(), Ok(Some(2025.0))),
            ("1_000_000_000".into(), Ok(Some(1e9))),
            (Value::Int(-1), Ok(Some(-1.0))),
            (Value::Float(f64::INFINITY), Ok(Some(f64::INFINITY))),
            (Value::Big("9".repeat(400).into()), Err("OverflowError".to_owned())),
        ] {
            assert_eq!(read(&value, Hazards::ALL), on, "{value:?}");
            assert_eq!(read(&value, OFF), Ok(Some(7.0)), "{value:?}: now");
        }
        for value in [Value::Int(1_757_350_201), "1757350201".into(), "2025-09-08T16:50:01Z".into()] {
            assert_eq!(read(&value, Hazards::ALL), Ok(Some(1_757_350_201.0)));
            assert_eq!(read(&value, OFF), Ok(Some(1_757_350_201.0)));
        }
    }

    #[test]
    fn without_a_fallback_there_is_no_time() {
        assert_eq!(lenient(&"abc".into(), 7.0, false, Hazards::ALL), Ok(None));
        assert_eq!(lenient(&Value::None, 7.0, false, Hazards::ALL), Ok(Some(7.0)));
        assert_eq!(is_valid(&Value::List(Vec::new()), Hazards::ALL), Ok(true));
    }
}
