//! Frames that are kept: their text, with the names of runs and connections and the distance of times in place of what
//! the router wrote. Where it writes these is fixed: the first of each, ahead of anything that a client or an agent said.

use super::Walk;
use crate::{contract::Instant, message::parse_timestamp_text};

/// A frame's text.
pub(super) fn digest(text: &str, walk: &mut Walk<'_>) {
    let (rest, times) = match id(text, "\"run_id\":\"run-", walk) {
        Some((number, rest)) => {
            walk.run(number);
            (rest, 1)
        }
        None => match id(text, "\"connection_id\":\"conn-", walk) {
            Some((number, rest)) => {
                walk.connection(number);
                // One in its data, one of its own.
                (rest, 2)
            }
            None => (text, 1),
        },
    };
    let mut rest = rest;
    for _ in 0..times {
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
