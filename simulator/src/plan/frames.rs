//! Frames that the router refuses, each with the code of its answer, and types that it merely acknowledges.

use std::borrow::Cow;

use crate::dialect::quoted;
use crate::prng::Prng;
use crate::scenario::BadFrame;

const FOREIGN_USER_ID: &str = "FOREIGN_USER_ID";

/// Types that are neither canonical nor aliases nor quality types. The last one is longer than what an
/// acknowledgement repeats.
const UNKNOWN_TYPES: [&str; 5] = [
    "telemetry_sample",
    "UserMessage",
    "tool_started",
    "presence.update",
    "a_type_name_that_is_much_longer_than_the_sixty_four_characters_an_ack_repeats",
];

const QUALITY_TYPES: [&str; 4] =
    ["get_quality_metrics", "validate_content", "generate_quality_report", "subscribe_quality_alerts"];

const BAD_FRAMES: [BadFrame; 15] = [
    BadFrame::CutOff,
    BadFrame::NotJson,
    BadFrame::NotANumber,
    BadFrame::LoneSurrogate,
    BadFrame::Array,
    BadFrame::Text,
    BadFrame::Number,
    BadFrame::PayloadArray,
    BadFrame::ThreadNumber,
    BadFrame::TypeObject,
    BadFrame::TypeTwice,
    BadFrame::HugeNumber,
    BadFrame::SomeoneElse,
    BadFrame::TooDeep,
    BadFrame::TooLarge,
];

/// A type that the router does not know.
pub(super) fn unknown_type(prng: &mut Prng) -> &'static str {
    UNKNOWN_TYPES[prng.below(UNKNOWN_TYPES.len() as u64) as usize]
}

/// The type of a name, if it is one that the router does not know.
pub(super) fn unknown_type_named(name: &str) -> Option<&'static str> {
    UNKNOWN_TYPES.into_iter().find(|known| *known == name)
}

/// The types that the router does not know, for an error.
pub(super) fn unknown_types() -> String {
    UNKNOWN_TYPES.join(", ")
}

/// A bad frame.
pub(super) fn malformed(prng: &mut Prng) -> BadFrame {
    BAD_FRAMES[prng.below(BAD_FRAMES.len() as u64) as usize]
}

/// The bad frame of that text, if it is one.
pub(super) fn malformed_as(text: &str, frame_bytes_max: u32) -> Option<BadFrame> {
    BAD_FRAMES.into_iter().find(|bad| bad_frame(*bad, frame_bytes_max).0 == text)
}

/// The text of a bad frame, and the code of its answer.
pub(super) fn bad_frame(bad: BadFrame, frame_bytes_max: u32) -> (Cow<'static, str>, &'static str) {
    let (frame, code) = match bad {
        BadFrame::CutOff => (r#"{"type":"user_message","payload":{"#, "JSON_PARSE_ERROR"),
        BadFrame::NotJson => ("not json at all", "JSON_PARSE_ERROR"),
        BadFrame::NotANumber => (r#"{"type":"ping","payload":{"x":NaN}}"#, "JSON_PARSE_ERROR"),
        BadFrame::LoneSurrogate => (r#"{"type":"ping","payload":{"x":"\ud800"}}"#, "JSON_PARSE_ERROR"),
        BadFrame::Array => (r#"[{"type":"ping"}]"#, "NOT_AN_OBJECT"),
        BadFrame::Text => (r#""ping""#, "NOT_AN_OBJECT"),
        BadFrame::Number => ("5", "NOT_AN_OBJECT"),
        BadFrame::PayloadArray => (r#"{"type":"user_message","payload":["hello"]}"#, "BAD_PAYLOAD"),
        BadFrame::ThreadNumber => {
            (r#"{"type":"user_message","thread_id":5,"payload":{"content":"hello"}}"#, "BAD_FIELD")
        }
        BadFrame::TypeObject => (r#"{"type":{"name":"ping"},"payload":{}}"#, "BAD_FIELD"),
        BadFrame::TypeTwice => (r#"{"type":"ping","type":"ping","payload":{}}"#, "BAD_FIELD"),
        BadFrame::HugeNumber => (r#"{"type":"ping","payload":{"x":1e999}}"#, "BAD_NUMBER"),
        BadFrame::SomeoneElse => (
            r#"{"type":"user_message","user_id":"someone-else","payload":{"content":"hello"}}"#,
            FOREIGN_USER_ID,
        ),
        BadFrame::TooDeep => return (Cow::Owned(too_deep()), "TOO_DEEP"),
        BadFrame::TooLarge => return (Cow::Owned(too_large(frame_bytes_max)), "TOO_LARGE"),
    };
    (Cow::Borrowed(frame), code)
}

/// A message that would start a run in another user's name.
pub(super) fn foreign(other_user: &str, thread: &str, text: &str) -> (String, &'static str) {
    let mut frame =
        format!(r#"{{"type":"user_message","user_id":"{other_user}","thread_id":"{thread}","payload":"#);
    frame.push_str(r#"{"content":"#);
    quoted(text, &mut frame);
    frame.push_str("}}");
    (frame, FOREIGN_USER_ID)
}

/// User and thread that such a message names.
pub(super) fn foreign_as(frame: &str) -> Option<(String, String)> {
    #[derive(serde::Deserialize)]
    struct Named {
        user_id: String,
        thread_id: String,
    }
    let Named { user_id, thread_id } = serde_json::from_str(frame).ok()?;
    Some((user_id, thread_id))
}

/// A question about quality.
pub(super) fn quality_type(prng: &mut Prng) -> &'static str {
    QUALITY_TYPES[prng.below(QUALITY_TYPES.len() as u64) as usize]
}

/// The type of a name, if it is a question about quality.
pub(super) fn quality_type_named(name: &str) -> Option<&'static str> {
    QUALITY_TYPES.into_iter().find(|known| *known == name)
}

/// The questions about quality, for an error.
pub(super) fn quality_types() -> String {
    QUALITY_TYPES.join(", ")
}

/// One level more than the 64 that are allowed, however the levels are counted.
fn too_deep() -> String {
    format!(r#"{{"type":"ping","payload":{{"x":{}{}}}}}"#, "[".repeat(66), "]".repeat(66))
}

/// A little above the limit on text, far below the transport's.
fn too_large(frame_bytes_max: u32) -> String {
    format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(frame_bytes_max as usize))
}
