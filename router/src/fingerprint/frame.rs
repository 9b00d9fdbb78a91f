//! Frames that are kept: their text, with the names of runs and connections and the distance of times in place of what
//! the router wrote. Where it writes these is fixed: the first of each, ahead of anything that a client or an agent said.

use super::Walk;
use crate::{contract::Instant, message::parse_timestamp_text};

/// How frames begin that say the time in their data, too.
const TIMED_DATA: [&str; 3] =
    ["{\"type\":\"connection_established\"", "{\"type\":\"pong\"", "{\"type\":\"heartbeat"];

/// A frame's text.
pub(super) fn digest(text: &str, walk: &mut Walk<'_>) {
    let mut rest = text;
    if let Some((number, after)) = id(text, "\"run_id\":\"run-", walk) {
        walk.run(number);
        rest = after;
    } else if let Some((number, after)) = id(text, "\"connection_id\":\"conn-", walk) {
        walk.connection(number);
        rest = after;
    }
    for _ in 0..1 + usize::from(TIMED_DATA.iter().any(|head| text.starts_with(head))) {
        let Some((at, after)) = time(rest, walk) else { break };
        walk.time(at);
        rest = after;
    }
    walk.text(rest);
}

/// The number of an id of this router's, and what follows; what is before it has been taken in.
fn id<'t>(text: &'t str, key: &str, walk: &mut Walk<'_>) -> Option<(u64, &'t str)> {
    let (head, value) = text.split_at(text.find(key)? + key.len());
    let digits = value.strip_prefix(walk.node)?.strip_prefix('-')?;
    let end = digits.find('"')?;
    let number = digits[..end].parse().ok()?;
    walk.text(head);
    Some((number, &digits[end..]))
}

/// The next time, and what follows; what is before it has been taken in.
fn time<'t>(text: &'t str, walk: &mut Walk<'_>) -> Option<(Instant, &'t str)> {
    const KEY: &str = "\"timestamp\":";
    let (head, value) = text.split_at(text.find(KEY)? + KEY.len());
    let (at, rest) = match value.strip_prefix('"') {
        Some(text) => {
            let end = text.find('"')?;
            (parse_timestamp_text(&text[..end])?, &text[end..])
        }
        // Seconds with six decimals.
        None => {
            let end = value.find(|c: char| !matches!(c, '0'..='9' | '.'))?;
            let (seconds, micros) = value[..end].split_once('.')?;
            let seconds: u64 = seconds.parse().ok()?;
            let micros: u64 = micros.parse().ok().filter(|_| micros.len() == 6)?;
            (Instant::from_micros(seconds.checked_mul(1_000_000)?.checked_add(micros)?), &value[end..])
        }
    };
    walk.text(head);
    Some((at, rest))
}
