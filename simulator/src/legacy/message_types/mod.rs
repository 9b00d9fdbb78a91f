//! Types of messages, their names and times, and the constructors of messages.
//!
//! What was recorded of the module of that name, which routers and hosts shared. Values are those of the old language
//! ([`python`](super::python)), since much here follows from what it takes for a number or a name.
//!
//! | switch | where |
//! |---|---|
//! | H12 | [`timestamp`]: what passes for a time |
//! | H14 | [`MessageType::written`]: the enumeration's text in place of the wire's |
//! | H23 | [`json_rpc`]: a request without an id is a request, and no notification exists |
//! | H29 | [`frontend`]: outbound names that mean something else when they come back |

pub mod build;
pub mod json_rpc;
mod kind;
pub mod timestamp;

pub use kind::{Given, MessageType, frontend, is_unknown, normalise};

use super::python::{Raised, Value, json};

/// Reads a text; one that is no JSON gives nothing.
///
/// # Errors
/// `ValueError` for an integer of too many digits and `RecursionError` for deep nesting: the caller expected malformed
/// text only, so these went through.
pub fn parse(text: &str) -> Result<Value, Raised> {
    match json::loads(text) {
        Ok(value) => Ok(value),
        Err(json::Fault::Malformed(_)) => Ok(Value::None),
        Err(json::Fault::Digits(digits)) => {
            let max = json::INT_DIGITS_MAX;
            Err(Raised::value(format!(
                "Exceeds the limit ({max} digits) for integer string conversion: value has {digits} digits; use \
                 sys.set_int_max_str_digits() to increase the limit"
            )))
        }
        Err(json::Fault::Depth) => Err(Raised::new(
            "RecursionError",
            "maximum recursion depth exceeded while decoding a JSON array from a unicode string",
        )),
    }
}

/// Whether a value has the shape of a message: an object with a type, whatever that is.
pub fn has_structure(value: &Value) -> bool {
    value.get("type").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_no_json_gives_nothing_and_a_long_integer_raises() {
        assert_eq!(parse("{"), Ok(Value::None));
        assert_eq!(parse(&"7".repeat(5000)).map_err(|raised| raised.class), Err("ValueError".to_owned()));
        assert!(has_structure(&Value::dict([("type", Value::None)])));
        assert!(!has_structure(&Value::dict([("Type", "x".into())])));
    }
}
