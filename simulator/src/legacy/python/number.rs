//! Numbers: what `float()` and `int()` take from a text, and what a typed model took for one.

use super::Value;

/// First digit of each run of ten decimal digits that Unicode 14 has: all of them are digits to `float()` and `int()`.
const ZEROS: [u32; 66] = [
    0x30, 0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50,
    0xed0, 0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40,
    0x1c50, 0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066,
    0x110f0, 0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950,
    0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0, 0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6,
    0x1e140, 0x1e2f0, 0x1e950, 0x1fbf0,
];

/// The value of a decimal digit of any script.
fn digit(c: char) -> Option<char> {
    if c.is_ascii() {
        return c.is_ascii_digit().then_some(c);
    }
    let zero = ZEROS.iter().rev().find(|zero| **zero <= u32::from(c))?;
    char::from_digit(u32::from(c) - zero, 10)
}

/// `text.strip()`.
pub fn strip(text: &str) -> &str {
    let is_space = |c: char| c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c);
    text.trim_matches(is_space)
}

/// The text in ASCII, without the underscores between digits; `None` if one stands elsewhere.
fn plain(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = strip(text).chars().map(|c| digit(c).unwrap_or(c)).peekable();
    let mut last = ' ';
    while let Some(c) = chars.next() {
        if c == '_' {
            let between = last.is_ascii_digit() && chars.peek().is_some_and(char::is_ascii_digit);
            if !between {
                return None;
            }
        } else {
            out.push(c);
        }
        last = c;
    }
    Some(out)
}

/// `float(text)`: decimal digits of any script with underscores between them, `nan` and `inf` in any case.
pub fn float(text: &str) -> Option<f64> {
    plain(text)?.parse().ok()
}

/// `int(text)`.
pub fn int(text: &str) -> Option<Value> {
    let text = plain(text)?;
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let whole = format!("{sign}{digits}");
    Some(
        whole.parse().map_or_else(
            |_| Value::Big(format!("{sign}{}", digits.trim_start_matches('0')).into()),
            Value::Int,
        ),
    )
}

/// Why a value is no float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoFloat {
    /// It is no number.
    NotANumber,
    /// An integer beyond the range of a float: `OverflowError`.
    TooLarge,
}

/// `float(value)` of a number: a truth value is one, too.
///
/// # Errors
/// What is no number, and an integer that no float can hold.
pub fn float_of(value: &Value) -> Result<f64, NoFloat> {
    match value {
        Value::Bool(value) => Ok(f64::from(u8::from(*value))),
        Value::Int(value) => Ok(*value as f64),
        Value::Float(value) => Ok(*value),
        Value::Big(digits) => match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            Ok(_) | Err(_) => Err(NoFloat::TooLarge),
        },
        Value::None | Value::Str(_) | Value::List(_) | Value::Dict(_) => Err(NoFloat::NotANumber),
    }
}

/// An integer member of a typed model in its lenient mode: whole floats, truth values and numeric texts were taken.
pub fn lenient_int(value: &Value) -> Option<i64> {
    match value {
        Value::Bool(value) => Some(i64::from(*value)),
        Value::Int(value) => Some(*value),
        Value::Float(value) => (value.fract() == 0.0 && value.abs() < 9.2e18).then_some(*value as i64),
        Value::Str(text) => {
            let text = strip(text);
            let whole = text.split_once('.').filter(|(_, zeros)| zeros.bytes().all(|byte| byte == b'0'));
            match int(whole.map_or(text, |(whole, _)| whole))? {
                Value::Int(value) => Some(value),
                Value::None
                | Value::Bool(_)
                | Value::Big(_)
                | Value::Float(_)
                | Value::Str(_)
                | Value::List(_)
                | Value::Dict(_) => None,
            }
        }
        Value::None | Value::Big(_) | Value::List(_) | Value::Dict(_) => None,
    }
}

/// A float member of a typed model in its lenient mode.
pub fn lenient_float(value: &Value) -> Option<f64> {
    match value {
        Value::Str(text) => float(text),
        Value::None
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Big(_)
        | Value::Float(_)
        | Value::List(_)
        | Value::Dict(_) => float_of(value).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_read_from_texts_of_many_forms() {
        for (text, number) in [
            (" 12\t", 12.0),
            ("1_000.5", 1000.5),
            ("+5", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("1E-3", 0.001),
            ("٣", 3.0),
            ("１２", 12.0),
            ("-Infinity", f64::NEG_INFINITY),
        ] {
            assert_eq!(float(text), Some(number), "{text}");
        }
        assert!(float("NaN").is_some_and(f64::is_nan));
        for text in ["", " ", "1__0", "_1", "1_", "0x10", "1,5", "--5", "abc", "1e", "."] {
            assert_eq!(float(text), None, "{text}");
        }
    }

    #[test]
    fn typed_models_take_what_looks_like_a_number() {
        for (value, number) in [
            (Value::Bool(true), Some(1)),
            (Value::Float(5.0), Some(5)),
            (Value::Float(5.5), None),
            (Value::Float(f64::NAN), None),
            (" 7 ".into(), Some(7)),
            ("7.0".into(), Some(7)),
            ("high".into(), None),
            (Value::None, None),
        ] {
            assert_eq!(lenient_int(&value), number, "{value:?}");
        }
    }

    #[test]
    fn an_integer_no_float_can_hold_is_too_large() {
        assert_eq!(float_of(&Value::Big("1".repeat(400).into())), Err(NoFloat::TooLarge));
        assert_eq!(float_of(&Value::Bool(true)), Ok(1.0));
        assert_eq!(float_of(&Value::None), Err(NoFloat::NotANumber));
        assert_eq!(int("-0012"), Some(Value::Int(-12)));
    }
}
