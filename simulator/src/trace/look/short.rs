//! The short form.

use serde_json::Value;

use super::{About, Shown, text};

/// Characters of a text that are shown.
const TEXT_MAX: usize = 40;

/// One row of the short form.
pub(super) struct Told {
    pub(super) is_input: bool,
    pub(super) about: About,
    pub(super) what: String,
}

/// A row in its columns, with its end.
pub(super) fn row(time: &str, line: &str, user: &str, place: &str, sign: &str, what: &str) -> String {
    let row = format!("{time:>13} {line:>8}  {user:<18} {place:<9} {sign:<1} {what}");
    format!("{}\n", row.trim_end())
}

/// What there is to tell of a line. Frames of one text in a row, as a fan-out has them, are one row.
pub(super) fn told<'a>(shown: impl Iterator<Item = &'a Shown<'a>>) -> Vec<Told> {
    let mut rows: Vec<Told> = Vec::new();
    let mut last: Option<&Value> = None;
    for Shown { is_input, thing, about, .. } in shown {
        let frame = thing.get("frame");
        if let Some(row) = rows.last_mut().filter(|_| frame.is_some() && last == frame) {
            row.about.place = format!("{} {}", row.about.place, about.place);
            continue;
        }
        let what = if *is_input { input(thing) } else { effect(thing) };
        if let Some(what) = what {
            last = frame;
            rows.push(Told { is_input: *is_input, about: about.clone(), what });
        }
    }
    rows
}

fn input(input: &Value) -> Option<String> {
    if let Some(connect) = input.get("connect") {
        let resume =
            connect["resume"].as_u64().map_or(String::new(), |cursor| format!(" after cursor {cursor}"));
        return Some(format!("connects as {}{resume}", text(&connect["tier"])));
    }
    if let Some(frame) = input.get("text") {
        return message(text(frame));
    }
    if input.get("closed").is_some() {
        return Some("is gone".to_owned());
    }
    if let Some(said) = input.get("agent").or_else(|| input.get("tool")) {
        return Some(format!("agent: {}", head(text(said))));
    }
    if input.get("written").is_some() || input.get("pong").is_some() || *input == "tick" {
        return None;
    }
    Some(head(&input.to_string()))
}

/// A client's message by its type, and what tells it from others.
fn message(frame: &str) -> Option<String> {
    let Ok(message) = serde_json::from_str::<Value>(frame) else {
        return Some(format!("says {}", head(frame)));
    };
    let kind = text(&message["type"]);
    if matches!(kind, "pong" | "heartbeat" | "confirmation") {
        return None;
    }
    let words = [kind, text(&message["message_id"]), text(&message["run_id"])];
    Some(words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" "))
}

fn effect(effect: &Value) -> Option<String> {
    if let Some(frame) = effect.get("frame") {
        let kind = text(&frame["type"]);
        if matches!(kind, "heartbeat" | "heartbeat_ack" | "pong") {
            return None;
        }
        let mut told = kind.to_owned();
        for member in ["seq", "cursor"] {
            if let Some(number) = frame[member].as_u64() {
                told = format!("{told} {member} {number}");
            }
        }
        for member in ["tool_name", "status", "error_code"] {
            let word = frame.get(member).unwrap_or(&frame["payload"][member]);
            if let Some(word) = word.as_str() {
                told = format!("{told} {word}");
            }
        }
        let recovered = if frame["recovered"] == true { " recovered" } else { "" };
        let refused = if effect.get("refused").is_some() { "refused: " } else { "" };
        return Some(format!("{refused}{told}{recovered}"));
    }
    if effect.get("accepted").is_some() {
        return Some("accepted".to_owned());
    }
    if effect.get("close").is_some() {
        return Some(format!("closed {} {}", effect["code"], text(&effect["reason"])));
    }
    if effect.get("start").is_some() {
        return Some(format!("starts {} for {}", text(&effect["run_id"]), text(&effect["request"])));
    }
    if effect.get("cancel").is_some() {
        return Some(format!("cancelled: {}", text(&effect["reason"])));
    }
    if effect.get("ping").is_some() {
        return None;
    }
    Some(head(&effect.to_string()))
}

fn head(text: &str) -> String {
    let head: String = text.chars().take(TEXT_MAX).collect();
    if head.len() < text.len() { format!("{head}…") } else { head }
}
