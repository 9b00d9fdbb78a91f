//! Errors of a host's own, in the shape of the router's.

use serde_json::value::RawValue;

use super::{BuildFault, object_or_null};
use crate::{
    contract::{Frame, Instant},
    wire::{Writer, shape},
};

/// An error message: `{type:"error_message", error_code, error_message, details, timestamp, recovery_suggestions}`.
#[derive(Clone, Copy, Debug)]
pub struct ErrorMessage<'a> {
    code: &'a str,
    text: &'a str,
    details: Option<&'a RawValue>,
    suggestions: Option<&'a [&'a str]>,
}

impl<'a> ErrorMessage<'a> {
    /// An error with a stable code for programs and a text for people; neither may be blank.
    pub fn new(code: &'a str, text: &'a str) -> Result<Self, BuildFault> {
        for (member, value) in [("error_code", code), ("error_message", text)] {
            if value.trim().is_empty() {
                return Err(BuildFault::Blank(member));
            }
        }
        Ok(Self { code, text, details: None, suggestions: None })
    }

    /// Particulars: an object; null is none.
    pub fn details(self, details: &'a RawValue) -> Result<Self, BuildFault> {
        Ok(Self { details: object_or_null(details, "details")?, ..self })
    }

    /// What the client can do about it.
    #[must_use]
    pub const fn suggestions(self, suggestions: &'a [&'a str]) -> Self {
        Self { suggestions: Some(suggestions), ..self }
    }

    /// The message as a frame, stamped `now`.
    pub fn encode(&self, now: Instant) -> Frame {
        let mut w = Writer::default();
        shape::error_head(&mut w, self.code, self.text);
        w.raw(self.details.map_or("{}", RawValue::get));
        shape::error_tail(&mut w, now, self.suggestions);
        Frame::copy_of(w.finish())
    }
}

/// The older, nested form of an error, for clients that know no other:
/// `{type:"error", error:{code, message, timestamp}, request_id?}`. The router itself never sends it.
pub fn nested_error(now: Instant, code: &str, message: &str, request_id: Option<&str>) -> Frame {
    let mut w = Writer::default();
    w.begin();
    w.text("{\"type\":\"error\",\"error\":{\"code\":", code);
    w.text(",\"message\":", message);
    w.unix_seconds(",\"timestamp\":", now);
    w.raw("}");
    if let Some(id) = request_id.filter(|id| !id.is_empty()) {
        w.text(",\"request_id\":", id);
    }
    w.raw("}");
    Frame::copy_of(w.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_micros(7_000_000);

    #[test]
    fn an_error_has_the_shape_of_the_routers_own() {
        let details: &RawValue = serde_json::from_str(r#"{"a":1}"#).expect("JSON");
        let error = ErrorMessage::new("E", "m").and_then(|error| error.details(details)).expect("good");
        assert_eq!(
            error.suggestions(&["wait", "try \"again\""]).encode(NOW).as_str(),
            r#"{"type":"error_message","error_code":"E","error_message":"m","details":{"a":1},"timestamp":7.000000,"recovery_suggestions":["wait","try \"again\""]}"#
        );
        let bare = ErrorMessage::new("E", "m").expect("good").encode(NOW);
        assert!(
            bare.as_str().contains(r#""details":{},"#)
                && bare.as_str().contains(r#""recovery_suggestions":null"#)
        );
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        assert_eq!(ErrorMessage::new(" ", "m").map(|_| ()), Err(BuildFault::Blank("error_code")));
        assert_eq!(ErrorMessage::new("E", "\t").map(|_| ()), Err(BuildFault::Blank("error_message")));
        let list: &RawValue = serde_json::from_str("[]").expect("JSON");
        let refused = ErrorMessage::new("E", "m").and_then(|error| error.details(list)).map(|_| ());
        assert_eq!(refused, Err(BuildFault::NotAnObject("details")));
    }

    #[test]
    fn the_nested_form_leaves_out_an_empty_request() {
        assert_eq!(
            nested_error(NOW, "E", "m", Some("r")).as_str(),
            r#"{"type":"error","error":{"code":"E","message":"m","timestamp":7.000000},"request_id":"r"}"#
        );
        for none in [None, Some("")] {
            assert!(!nested_error(NOW, "E", "m", none).as_str().contains("request_id"));
        }
    }
}
