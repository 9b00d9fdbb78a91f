//! Frames that the router refuses, each with the code of its answer, and types that it merely acknowledges.

use crate::dialect::quoted;
use crate::prng::Prng;

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

const BAD_FRAMES: [(&str, &str); 13] = [
    (r#"{"type":"user_message","payload":{"#, "JSON_PARSE_ERROR"),
    (r#"not json at all"#, "JSON_PARSE_ERROR"),
    (r#"{"type":"ping","payload":{"x":NaN}}"#, "JSON_PARSE_ERROR"),
    (r#"{"type":"ping","payload":{"x":"\ud800"}}"#, "JSON_PARSE_ERROR"),
    (r#"[{"type":"ping"}]"#, "NOT_AN_OBJECT"),
    (r#""ping""#, "NOT_AN_OBJECT"),
    (r#"5"#, "NOT_AN_OBJECT"),
    (r#"{"type":"user_message","payload":["hello"]}"#, "BAD_PAYLOAD"),
    (r#"{"type":"user_message","thread_id":5,"payload":{"content":"hello"}}"#, "BAD_FIELD"),
    (r#"{"type":{"name":"ping"},"payload":{}}"#, "BAD_FIELD"),
    (r#"{"type":"ping","type":"ping","payload":{}}"#, "BAD_FIELD"),
    (r#"{"type":"ping","payload":{"x":1e999}}"#, "BAD_NUMBER"),
    (r#"{"type":"user_message","user_id":"someone-else","payload":{"content":"hello"}}"#, "FOREIGN_USER_ID"),
];

/// A type that the router does not know.
pub(super) fn unknown_type(prng: &mut Prng) -> &'static str {
    UNKNOWN_TYPES[prng.below(UNKNOWN_TYPES.len() as u64) as usize]
}

/// A bad frame and the code of its answer.
pub(super) fn malformed(frame_bytes_max: u32, prng: &mut Prng) -> (String, &'static str) {
    let which = prng.below(BAD_FRAMES.len() as u64 + 2) as usize;
    match BAD_FRAMES.get(which) {
        Some((frame, code)) => ((*frame).to_owned(), code),
        None if which == BAD_FRAMES.len() => (too_deep(), "TOO_DEEP"),
        None => (too_large(frame_bytes_max), "TOO_LARGE"),
    }
}

/// A message that would start a run in another user's name.
pub(super) fn foreign(other_user: &str, thread: &str, text: &str) -> (String, &'static str) {
    let mut frame =
        format!(r#"{{"type":"user_message","user_id":"{other_user}","thread_id":"{thread}","payload":"#);
    frame.push_str(r#"{"content":"#);
    quoted(text, &mut frame);
    frame.push_str("}}");
    (frame, "FOREIGN_USER_ID")
}

/// A question about quality.
pub(super) fn quality_type(prng: &mut Prng) -> &'static str {
    QUALITY_TYPES[prng.below(QUALITY_TYPES.len() as u64) as usize]
}

/// One level more than the 64 that are allowed, however the levels are counted.
fn too_deep() -> String {
    format!(r#"{{"type":"ping","payload":{{"x":{}{}}}}}"#, "[".repeat(66), "]".repeat(66))
}

/// A little above the limit on text, far below the transport's.
fn too_large(frame_bytes_max: u32) -> String {
    format!(r#"{{"type":"ping","payload":{{"x":"{}"}}}}"#, "x".repeat(frame_bytes_max as usize))
}
