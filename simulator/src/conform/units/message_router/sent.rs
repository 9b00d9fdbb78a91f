//! Frames: what reached each connection, beside what was recorded to reach it.

use std::collections::BTreeMap;

use router::{ErrorCode, Kind};
use serde_json::{Value, json};

use super::{
    Outcome, Player,
    canned::nested,
    compare::{BROKEN_SOCKET, Step},
    frames::frame_text,
};
use crate::conform::{
    Decision, Difference, Notes, Translation,
    compare::values,
    decisions::{NO_AGENT, UNKNOWN_TYPE},
};

/// One error frame for all.
const ERROR_FRAME: Decision = Decision {
    name: "error-frame",
    demands: "the one error frame: recovery_suggestions is a list, never null",
    added: false,
};
/// Events belong to their user.
const EVERY_TAB: Decision = Decision {
    name: "every-tab",
    demands: "a run's events reach every connection of its user, in one order; replies go to the one that asked",
    added: false,
};
/// What the defective agent handler told its clients.
const DEFECT_CODE: &str = "AGENT_REQUEST_ERROR";
const DEFECT_TEXT: &str = "is not defined";
const RUN: [&str; 5] =
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"];
/// Two readings of the clock in recordings agree to this many microseconds.
const CLOCK_US: u64 = 1000;

/// A frame that reached a connection, in the recording's form.
#[derive(Debug)]
struct Reached {
    at_us: u64,
    message: Value,
}

impl Player {
    /// Compares the step's frames, connection by connection, in order.
    pub(super) fn frames(&self, step: &mut Step<'_>, notes: &mut Notes) {
        let mut recorded: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
        for sent in &step.expect.sent {
            recorded.entry(sent["conn"].as_str().unwrap_or_default()).or_default().push(sent);
        }
        let mut reached: BTreeMap<&str, Vec<Reached>> = BTreeMap::new();
        for sent in &self.seen.sent {
            let message = match self.agents.request_of(&sent.message) {
                Some(request) => {
                    notes.translated(Translation::N4);
                    nested(&sent.message, request).unwrap_or_else(|| sent.message.clone())
                }
                None => sent.message.clone(),
            };
            let of = reached.entry(self.sockets.conn(&sent.conn)).or_default();
            of.push(Reached { at_us: sent.at_us, message });
        }
        self.on_other_tabs(&recorded, &mut reached, notes);
        self.repaired(step, notes);
        let mut conns: Vec<&str> = recorded.keys().chain(reached.keys()).copied().collect();
        conns.sort_unstable();
        conns.dedup();
        for sent in &step.expect.sent {
            // A frame in the name of another user than its socket's is the leak itself.
            let owner = self.sockets.user(sent["conn"].as_str().unwrap_or_default());
            if sent["user"].as_str().is_some_and(|user| user != owner) {
                step.out.push(Difference::new("sent.user", sent["user"].clone(), owner));
            }
        }
        for conn in conns {
            let (left, right) =
                (recorded.remove(conn).unwrap_or_default(), reached.remove(conn).unwrap_or_default());
            if self.sockets.is_connected(conn) {
                self.on_connected(conn, &left, right, step, notes);
            } else {
                self.on_closed(conn, &left, &right, step);
            }
        }
    }

    /// Takes out what a connection got of the runs that another connection of its user asked for: exactly what that one got.
    fn on_other_tabs(
        &self,
        recorded: &BTreeMap<&str, Vec<&Value>>,
        reached: &mut BTreeMap<&str, Vec<Reached>>,
        notes: &mut Notes,
    ) {
        let of_runs = |frames: &[Reached]| -> Vec<Value> {
            let of_run = |frame: &&Reached| RUN.iter().any(|kind| frame.message["data"]["event"] == *kind);
            frames.iter().filter(of_run).map(|frame| frame.message.clone()).collect()
        };
        let has_run = |sent: &&Value| RUN.iter().any(|kind| sent["message"]["data"]["event"] == *kind);
        let asked = |conn: &str| recorded.get(conn).is_some_and(|sent| sent.iter().any(has_run));
        let runs: BTreeMap<&str, Vec<Value>> =
            reached.iter().map(|(conn, frames)| (*conn, of_runs(frames))).collect();
        for (conn, frames) in reached.iter_mut().filter(|(conn, _)| !asked(conn)) {
            let own = of_runs(frames);
            let user = self.sockets.user(conn);
            let same = |(other, run): (&&str, &Vec<Value>)| {
                *other != *conn && asked(other) && self.sockets.user(other) == user && *run == own
            };
            if !own.is_empty() && runs.iter().any(same) {
                frames.retain(|frame| !own.contains(&frame.message));
                notes.decided(EVERY_TAB);
            }
        }
    }

    /// H2: the recorded agent request failed for an undefined name; here the run had its five events, and no text
    /// names anything internal.
    fn repaired(&self, step: &Step<'_>, notes: &mut Notes) {
        let told = step.expect.sent.iter().any(|sent| is_defect(&sent["message"]));
        let asked = self
            .seen
            .messages
            .iter()
            .any(|ended| ended.kind.is_some_and(Kind::starts_run) && ended.outcome == Outcome::Handled);
        let silent = step.expect.sent.is_empty() && step.expect.raises.is_some();
        let clean = !self.seen.sent.iter().any(|sent| sent.message.to_string().contains(DEFECT_TEXT));
        let whole = self.seen.runs_completed > 0 && self.seen.run_events == 5 * self.seen.runs_completed;
        let away = self.seen.messages.iter().all(|ended| ended.outcome == Outcome::NotAdmitted);
        if (told || silent) && clean && (asked && whole || away) {
            notes.cured("H2");
            if silent && asked {
                // Also handled under its own type, and with the replies it is to have.
                notes.cured("H1");
            }
        }
    }

    /// N7: on a socket that is not connected nothing can be seen; whether the run succeeded still can.
    fn on_closed(&self, conn: &str, recorded: &[&Value], reached: &[Reached], step: &mut Step<'_>) {
        if let Some(frame) = reached.first() {
            step.out.push(Difference::new(format!("sent.{conn}"), "<closed>", frame.message.clone()));
        }
        let failed = recorded.iter().any(|sent| sent["message"]["error_code"] == DEFECT_CODE);
        if failed && self.seen.runs_completed > 0 {
            step.out.push(Difference::new(format!("run.{conn}"), "failed", "completed"));
        }
    }

    fn on_connected(
        &self,
        conn: &str,
        recorded: &[&Value],
        mut reached: Vec<Reached>,
        step: &mut Step<'_>,
        notes: &mut Notes,
    ) {
        reached.retain(|frame| !self.announces(frame, recorded, notes));
        let mut out = Vec::new();
        if recorded.len() == reached.len() {
            for (n, (left, right)) in recorded.iter().zip(&reached).enumerate() {
                frame(&format!("sent.{conn}[{n}]"), left, right, notes, &mut out);
            }
        } else {
            let left: Value = recorded.iter().map(|sent| sent["message"].clone()).collect();
            let right: Value = reached.iter().map(|frame| frame.message.clone()).collect();
            out.push(Difference::new(format!("sent.{conn}"), left, right));
        }
        // A failed write is the end of its socket: replies are gone with it, and whoever comes back has the run.
        let broke = self.seen.broke.iter().any(|broken| broken == conn);
        let run = reached.iter().map(|frame| frame.message["data"]["event"].as_str().unwrap_or_default());
        let whole = reached.is_empty() || run.eq(RUN);
        // Where the recorded handler itself failed, a run that succeeds is what makes the difference.
        let handler_failed = recorded.is_empty() && step.expect.raises.is_some()
            || recorded.iter().any(|sent| is_defect(&sent["message"]));
        if !out.is_empty() && broke && whole && !handler_failed {
            notes.decided(BROKEN_SOCKET);
            out.clear();
        }
        step.out.append(&mut out);
    }

    /// N8: where the recording was silent, the router says what became of the message.
    fn announces(&self, frame: &Reached, recorded: &[&Value], notes: &mut Notes) -> bool {
        let of = |outcome: Outcome| self.seen.messages.iter().any(|ended| ended.outcome == outcome);
        let message = &frame.message;
        let code = message["error_code"].as_str().unwrap_or_default();
        let recorded_too = |name: &str| recorded.iter().any(|sent| sent["message"][name] == message[name]);
        if message["type"] == "ack" {
            let known = message["received_type"].as_str().and_then(Kind::from_name);
            let known = known.is_some_and(|kind| self.config.profile.recognised.contains(kind));
            let announces = known && of(Outcome::Unhandled) && !recorded_too("received_type");
            if announces {
                notes.translated(Translation::N8);
            }
            return announces;
        }
        if message["type"] != "error_message" || recorded_too("error_code") {
            return false;
        }
        if code == "AGENT_UNAVAILABLE" && of(Outcome::Unhandled) {
            notes.decided(NO_AGENT);
            return true;
        }
        let announces = match code {
            "HANDLER_ERROR" => of(Outcome::HandlerError),
            "BAD_FIELD" | "BAD_PAYLOAD" => of(Outcome::Rejected),
            _ => false,
        };
        if announces {
            notes.translated(Translation::N8);
        }
        announces
    }
}

/// Whether a frame tells of the agent handler's undefined name.
pub(super) fn is_defect(message: &Value) -> bool {
    let text = message["error_message"].as_str().unwrap_or_default();
    message["error_code"] == DEFECT_CODE && text.contains(DEFECT_TEXT)
}

/// One frame and its time.
fn frame(at: &str, recorded: &Value, reached: &Reached, notes: &mut Notes, out: &mut Vec<Difference>) {
    let at_us = (recorded["at"].as_f64().unwrap_or_default() * 1e6).round() as u64;
    if at_us.abs_diff(reached.at_us) > CLOCK_US {
        out.push(Difference::new(format!("{at}.at"), recorded["at"].clone(), reached.at_us as f64 / 1e6));
    }
    let (left, right) = (&recorded["message"], &reached.message);
    let mut wanted = left.clone();
    if left["type"] == "ack"
        && let Some(cut) = received_as(&left["received_type"])
        && right["received_type"] == cut
    {
        notes.decided(UNKNOWN_TYPE);
        wanted["received_type"] = cut;
    }
    if left["type"] == "error_message"
        && left["recovery_suggestions"].is_null()
        && right["recovery_suggestions"].is_array()
    {
        notes.decided(ERROR_FRAME);
        wanted["recovery_suggestions"] = right["recovery_suggestions"].clone();
    }
    if is_told_by_code(left, right) {
        notes.translated(Translation::N5);
        wanted.clone_from(right);
    }
    values(at, &wanted, right, &[], notes, out);
}

/// Whether both are the error frame with the same stable code: its text is ours.
fn is_told_by_code(left: &Value, right: &Value) -> bool {
    let code = |frame: &Value| ErrorCode::ALL.into_iter().find(|code| frame["error_code"] == code.name());
    let errors = [left, right].iter().all(|frame| frame["type"] == "error_message");
    errors
        && code(left) == code(right)
        && code(right).is_some_and(|code| right["error_message"] == code.text())
}

/// How an acknowledgement repeats a type that is not simply repeated: cut, or as its JSON text.
fn received_as(received: &Value) -> Option<Value> {
    let token = frame_text(received);
    match received {
        Value::Object(_) if !token.starts_with(['{', '"']) => {
            Some(json!(token.chars().take(64).collect::<String>()))
        }
        Value::String(text) => {
            (text.chars().count() > 64).then(|| json!(text.chars().take(64).collect::<String>()))
        }
        Value::Null => Some(json!("unknown")),
        Value::Number(_) | Value::Bool(_) => Some(json!(received.to_string())),
        Value::Array(_) | Value::Object(_) => None,
    }
}
