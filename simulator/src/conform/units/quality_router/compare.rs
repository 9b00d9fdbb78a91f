//! Comparing: messages and their answers. News is next door.

use serde_json::Value;

use super::{QualityRouter, Seen, facade, host::Call, news, report, text_of};
use crate::conform::{
    Action, Decision, Difference, Expect, Notes, Sent, Translation, compare,
    decisions::{MALFORMED, UNKNOWN_TYPE},
};
use crate::legacy::quality_router::REASON;

/// A user id is 1 to 128 printable characters without white space; no other rule applies.
pub(super) const USER_IDS: Decision = Decision {
    name: "user-ids",
    demands: "an id of 1 to 128 printable characters without white space is a user like any other; who has another \
              id never gets a connection: nothing is sent, no service is asked",
    added: false,
};
/// The embedded monitor works.
pub(super) const REAL_MONITOR: Decision = Decision {
    name: "working-monitor",
    demands: "the embedded monitor answers a whole dashboard where the old one failed inside and answered nothing",
    added: true,
};
/// Members that an answer has on top: the ids of the message it answers.
const IDS: [&str; 3] = ["message_id", "thread_id", "run_id"];
/// Codes of a service that failed, was not there, or took nobody in.
const FAILURES: [&str; 3] = ["HANDLER_ERROR", "SERVICE_NOT_READY", "OVERLOADED"];

/// Compares one step.
pub(super) fn step(
    unit: &QualityRouter,
    action: &Action,
    expect: &Expect,
    notes: &mut Notes,
) -> Vec<Difference> {
    let one;
    let messages: Vec<(&Value, &Value)> = match action.op.as_str() {
        "handle_message" => {
            one = (action.arg("user"), action.arg("message"));
            vec![one]
        }
        "concurrent_handle_message" => {
            let calls = action.arg("calls").as_array().into_iter().flatten();
            calls.map(|call| (&call["user"], &call["message"])).collect()
        }
        _ => return news::step(unit, action, expect, notes),
    };
    let step = Step { unit, seen: &unit.seen, messages, expect };
    step.compare(notes)
}

/// A step of messages.
struct Step<'a> {
    unit: &'a QualityRouter,
    seen: &'a Seen,
    messages: Vec<(&'a Value, &'a Value)>,
    expect: &'a Expect,
}

impl Step<'_> {
    fn compare(&self, notes: &mut Notes) -> Vec<Difference> {
        if let Some(differences) = self.escaped(notes) {
            return differences;
        }
        if let [(user, message)] = self.messages[..]
            && let Some(differences) = self.decided(user, message, notes)
        {
            return differences;
        }
        let mut out = Vec::new();
        self.frames(notes, &mut out);
        self.state(notes, &mut out);
        out
    }

    /// The recorded call raised an error; here nothing ever does.
    fn escaped(&self, notes: &mut Notes) -> Option<Vec<Difference>> {
        let of_calls = self.expect.returns.as_array();
        let raised: Vec<(usize, &Value)> = match (&self.expect.raises, of_calls) {
            (Some(_), _) => vec![(0, &self.expect.all["raises"])],
            (None, Some(list)) => list.iter().enumerate().filter(|(_, error)| !error.is_null()).collect(),
            (None, None) => Vec::new(),
        };
        if raised.is_empty() {
            return None;
        }
        let mut out = Vec::new();
        for (n, error) in raised {
            out.push(Difference::new("raises", error.clone(), Value::Null));
            let Some((user, message)) = self.messages.get(n) else { continue };
            let frames = self.frames_of(user);
            let refused = matches!(frames[..], [frame] if is_stable(frame));
            if message["type"] == "start_agent" {
                // The agent handler owns the type: it starts a run, or says what is missing.
                let code_lost = self.seen.lost > 0 && !self.seen.codes.is_empty();
                if (refused || code_lost || self.seen.runs > 0) && self.seen.calls.is_empty() {
                    notes.cured("Q5");
                }
            }
            let served = matches!(frames[..], [frame] if is_answer(frame, message));
            if refused || served {
                notes.cured("Q9-escape");
            }
        }
        Some(out)
    }

    /// Outcomes that a decision demands instead of the recorded one.
    fn decided(&self, user: &Value, message: &Value, notes: &mut Notes) -> Option<Vec<Difference>> {
        let exists = self.seen.asked_by.first().is_some_and(|(_, exists)| *exists);
        let untouched = self.seen.calls.is_empty() && self.seen.subscribers == self.seen.before;
        if !exists {
            if self.seen.sent.is_empty() && untouched {
                notes.decided(USER_IDS);
                return Some(Vec::new());
            }
            return Some(vec![Difference::new("sent", "<nobody there>", self.unit_sent())]);
        }
        let malformed = ["thread_id", "run_id"]
            .into_iter()
            .any(|key| !matches!(message.get(key), None | Some(Value::Null | Value::String(_))));
        if malformed && message.is_object() {
            // A message that is wrong in two ways is told of one.
            let shapeless = message.get("payload").is_some_and(|payload| !payload.is_object());
            let told = self.frames_of(user).into_iter().all(|frame| {
                (shapeless && frame["error_code"] == "BAD_PAYLOAD")
                    || frame["error_code"] == "BAD_FIELD"
                        && ["thread_id", "run_id"].iter().any(|key| frame["details"]["path"] == *key)
            });
            let count = |code: &str| self.seen.codes.get(code).copied().unwrap_or_default();
            if told && count("BAD_FIELD") + count("BAD_PAYLOAD") == 1 && untouched {
                notes.decided(MALFORMED);
                return Some(Vec::new());
            }
            return Some(vec![Difference::new("sent", "<BAD_FIELD>", self.unit_sent())]);
        }
        let failing = user.as_str().is_some_and(|user| self.unit.failing.contains(user));
        if self.expect.sent.is_empty() && !failing && !self.unit.dead_wiring {
            // The old grammar of user ids kept the answer back.
            let mut out = Vec::new();
            match self.frames_of(user)[..] {
                _ if user.as_str().is_some_and(always_an_id) => {
                    out.push(Difference::new("sent", Value::Array(Vec::new()), self.unit_sent()));
                }
                [frame] if is_answer(frame, message) || is_failure(frame) => notes.decided(USER_IDS),
                _ => out.push(Difference::new("sent", "<its answer>", self.unit_sent())),
            }
            self.calls(notes, &mut out);
            self.subscribers(&mut out);
            return Some(out);
        }
        None
    }

    fn frames(&self, notes: &mut Notes, out: &mut Vec<Difference>) {
        let (recorded, seen) = (&self.expect.sent, &self.seen.sent);
        if recorded.len() != seen.len() {
            out.push(Difference::new("sent", recorded.clone(), self.unit_sent()));
            let answered = self.messages.iter().all(
                |(user, message)| matches!(self.frames_of(user)[..], [frame] if is_answer(frame, message)),
            );
            if self.unit.dead_wiring && recorded.is_empty() && answered {
                notes.cured("Q4");
            }
            return;
        }
        for (n, (recorded, seen)) in recorded.iter().zip(seen).enumerate() {
            let at = format!("sent[{n}]");
            if recorded["user"] != *seen.user {
                out.push(Difference::new(format!("{at}.user"), recorded["user"].clone(), seen.user.clone()));
                continue;
            }
            self.frame(&at, &recorded["message"], seen, notes, out);
        }
    }

    fn frame(&self, at: &str, recorded: &Value, seen: &Sent, notes: &mut Notes, out: &mut Vec<Difference>) {
        let message = self.message_of(seen);
        let encoded = facade::encode(&seen.message, message);
        if recorded["type"] == "error" {
            notes.translated(Translation::N4);
            self.error(at, recorded, seen, &encoded, notes, out);
            return;
        }
        context(at, &seen.message, message, out);
        if recorded["type"] == "quality_report_generated" && encoded["type"] == recorded["type"] {
            let real = !self.unit.host.has_monitor();
            report::compare(at, &recorded["payload"], &encoded["payload"], real, notes, out);
            return;
        }
        if !self.unit.host.has_monitor()
            && recorded["type"] == "quality_metrics"
            && is_dashboard(&encoded["payload"])
            && recorded["payload"].as_object().is_some_and(serde_json::Map::is_empty)
        {
            notes.decided(REAL_MONITOR);
            return;
        }
        compare::values(at, recorded, &encoded, &IDS, notes, out);
    }

    /// A recorded error text against what the facade makes of the answer.
    fn error(
        &self,
        at: &str,
        recorded: &Value,
        seen: &Sent,
        encoded: &Value,
        notes: &mut Notes,
        out: &mut Vec<Difference>,
    ) {
        let message = self.message_of(seen);
        let text = |frame: &Value| frame["message"].as_str().unwrap_or_default().to_owned();
        let (old, new) = (text(recorded), text(encoded));
        let at = format!("{at}.message");
        let differ =
            |out: &mut Vec<Difference>| out.push(Difference::new(at, recorded.clone(), encoded.clone()));
        let prefix = facade::prefix(&old, message);
        let rest = &old[prefix.map_or(0, str::len)..];
        if rest == REASON {
            // Intended: the client is told nothing but that it failed. Here it gets a code.
            if is_stable(&seen.message) && new.starts_with(prefix.unwrap_or_default()) {
                notes.translated(Translation::N5);
            } else {
                differ(out);
            }
            return;
        }
        let Some(prefix) = prefix else {
            if old != new {
                differ(out);
            }
            return;
        };
        match new.strip_prefix(prefix) {
            Some(same) if prefix == facade::UNKNOWN => {
                if same == rest {
                    return;
                }
                let cut: String = rest.chars().take(64).collect();
                if same == cut && rest.chars().count() > 64 {
                    notes.decided(UNKNOWN_TYPE)
                } else {
                    differ(out)
                }
            }
            Some(_) if prefix == facade::ACTION => notes.translated(Translation::N5),
            Some(_) if self.unit.host.says(rest) => {
                // The host's own words stay with the host; the client gets a code.
                if is_failure(&seen.message) {
                    notes.translated(Translation::N5);
                } else {
                    differ(out);
                }
            }
            _ => {
                // A text that nobody gave: it came out of the old runtime.
                if is_stable(&seen.message) || is_answer(&seen.message, message) {
                    notes.cured("Q9");
                }
                differ(out);
            }
        }
    }

    fn state(&self, notes: &mut Notes, out: &mut Vec<Difference>) {
        self.subscribers(out);
        self.calls(notes, out);
        if self.unit.dead_wiring {
            return; // the log is about the wiring that is no more
        }
        let mut lost = 0;
        let mut lines = Vec::new();
        for (user, message) in &self.messages {
            let name = user.as_str().unwrap_or_default();
            if self.unit.failing.contains(name) {
                lost += 1;
                lines.extend(self.lost_lines(name, message));
                continue;
            }
            let failed = self
                .frames_of(user)
                .into_iter()
                .any(|frame| frame["type"] == "error_message" && !facade::is_bad_action(frame));
            if let Some(words) = facade::words(&message["type"]).filter(|_| failed) {
                lines.push(words.log.to_owned());
            }
        }
        // Of several frames for one socket only the first is lost with it; for the others there is no socket.
        let exact = self.messages.len() == 1 || lost == 0;
        if lost != self.seen.lost && (exact || self.seen.lost == 0) {
            out.push(Difference::new("lost frames", lost, self.seen.lost));
        }
        compare_log(self.expect, lines, notes, out);
    }

    /// What the facade logs when the answer to a message was lost with its socket.
    fn lost_lines(&self, user: &str, message: &Value) -> Vec<String> {
        let could_not = |what: &str| format!("Failed to send {what} to user {user}: ");
        match facade::words(&message["type"]) {
            None => vec![could_not("error message")],
            Some(_)
                if message["type"] == "subscribe_quality_alerts"
                    && self.seen.codes.contains_key("BAD_FIELD") =>
            {
                vec![could_not("action error")]
            }
            Some(words) => vec![words.log.to_owned(), could_not(&format!("{} error", words.error))],
        }
    }

    fn subscribers(&self, out: &mut Vec<Difference>) {
        let Some(state) = &self.expect.state else { return };
        let seen: Vec<&str> = self.seen.subscribers.iter().map(String::as_str).collect();
        if state["subscribers"] != Value::from(seen.clone()) {
            out.push(Difference::new("state.subscribers", state["subscribers"].clone(), seen));
        }
    }

    fn calls(&self, notes: &mut Notes, out: &mut Vec<Difference>) {
        let Some(state) = &self.expect.state else { return };
        let (monitor, gate) = (self.unit.host.has_monitor(), self.unit.host.has_gate());
        let noted = |call: &&Call| if call.service == "gate" { gate } else { monitor };
        let seen: Vec<&Call> = self.seen.calls.iter().filter(noted).collect();
        let recorded = state["service_calls"].as_array().cloned().unwrap_or_default();
        let same = recorded.len() == seen.len()
            && recorded.iter().zip(&seen).all(|(recorded, seen)| is_call(recorded, seen, notes));
        if !same {
            let seen: Vec<Value> = seen.into_iter().map(Call::json).collect();
            out.push(Difference::new("state.service_calls", recorded, seen));
        }
    }

    /// The message that a frame answers: its user's, and of several the one with that type of answer and those ids.
    fn message_of(&self, seen: &Sent) -> &Value {
        let of_user = || self.messages.iter().filter(|(user, _)| **user == seen.user);
        let answered = || of_user().filter(|(_, message)| is_answer(&seen.message, message));
        let own_ids = |message: &Value| {
            let mut differences = Vec::new();
            context("", &seen.message, message, &mut differences);
            differences.is_empty()
        };
        let exact = answered().find(|(_, message)| own_ids(message));
        let message = exact.or_else(|| answered().next()).or_else(|| of_user().next());
        message.map_or(&Value::Null, |(_, message)| message)
    }

    fn frames_of(&self, user: &Value) -> Vec<&Value> {
        self.seen.sent.iter().filter(|sent| *user == sent.user).map(|sent| &sent.message).collect()
    }

    fn unit_sent(&self) -> Value {
        sent_json(&self.seen.sent)
    }
}

/// Whether the old grammar of user ids certainly let a text in: a word and a number, or digits, or a UUID.
fn always_an_id(user: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let groups: Vec<&str> = user.split('-').collect();
    let hex = |text: &&str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) && groups.iter().all(hex);
    user.strip_prefix("user_").is_some_and(digits) || (15..=21).contains(&user.len()) && digits(user) || uuid
}

/// Frames with their users.
pub(super) fn sent_json(sent: &[Sent]) -> Value {
    sent.iter().map(|sent| serde_json::json!({"user": sent.user, "message": sent.message})).collect()
}

/// Compares the log, line by line, by how each begins.
pub(super) fn compare_log(
    expect: &Expect,
    mut lines: Vec<String>,
    notes: &mut Notes,
    out: &mut Vec<Difference>,
) {
    let recorded = expect.state.as_ref().and_then(|state| state["logged_errors"].as_array());
    let mut recorded: Vec<&str> = recorded.into_iter().flatten().filter_map(Value::as_str).collect();
    recorded.sort_unstable();
    lines.sort_unstable();
    let same = recorded.len() == lines.len()
        && recorded.iter().zip(&lines).all(|(recorded, line)| recorded.starts_with(line.as_str()));
    if !same {
        out.push(Difference::new("state.logged_errors", recorded, lines));
    } else if !lines.is_empty() {
        notes.translated(Translation::N5);
    }
}

/// An error with a stable code and the text of that code, and nothing else of anybody's.
fn is_stable(frame: &Value) -> bool {
    frame["type"] == "error_message"
        && text_of(&frame["error_code"]).is_some_and(|text| frame["error_message"] == text)
}

/// An error that says that a service failed, was not there, or took nobody in.
fn is_failure(frame: &Value) -> bool {
    is_stable(frame) && FAILURES.iter().any(|code| frame["error_code"] == *code)
}

/// A good answer to a message: of the type that belongs to it, or the acknowledgement of a type nobody knows.
fn is_answer(frame: &Value, message: &Value) -> bool {
    match facade::words(&message["type"]) {
        Some(words) => words.answers.iter().any(|kind| frame["type"] == *kind),
        None => frame["type"] == "ack" && frame["status"] == "acknowledged",
    }
}

/// A dashboard of the embedded monitor, whole.
pub(super) fn is_dashboard(payload: &Value) -> bool {
    let members = ["overall_stats", "agent_profiles", "quality_distribution", "recent_alerts", "timestamp"];
    members.into_iter().all(|member| payload.get(member).is_some())
}

/// An answer carries the ids of its own message, the envelope's before the payload's, and no others.
fn context(at: &str, frame: &Value, message: &Value, out: &mut Vec<Difference>) {
    let given = |of: &Value, key: &str| {
        of.get(key).and_then(Value::as_str).filter(|id| !id.is_empty()).map(str::to_owned)
    };
    for key in ["thread_id", "run_id"] {
        let own = given(message, key).or_else(|| given(&message["payload"], key));
        let own = own.map_or(Value::Null, Value::String);
        if frame[key] != own {
            out.push(Difference::new(format!("{at}.{key}"), own, frame[key].clone()));
        }
    }
}

fn is_call(recorded: &Value, seen: &Call, notes: &mut Notes) -> bool {
    let Some(args) = recorded["args"].as_array() else { return false };
    let named = recorded["service"] == seen.service && recorded["method"] == seen.method;
    if seen.service != "gate" {
        return named && *args == seen.args;
    }
    // The old call handed its strictness in as a positional argument, where the gate did not look for it.
    let Some((strict, args)) = args.split_last() else { return false };
    notes.translated(Translation::N9);
    named && *args == seen.args && is_truthy(&strict["third_positional"]) == seen.strict
}

fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is) => *is,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}
