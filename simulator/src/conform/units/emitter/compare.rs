//! What was recorded against what the sockets got.

use router::{DeliveryState, Refusal};
use serde_json::{Map, Value, json};

use super::{Emitter, rules};
use crate::conform::{
    Action, Decision, Difference, Expect, Notes, Sent, Translation,
    compare::{TIME, values},
    decisions::FOREIGN_IDS,
};

/// An event without a run is refused, whatever its type.
const NO_RUN: Decision = Decision {
    name: "no-run",
    demands: "an event that speaks for no run is refused and reaches nobody",
    added: false,
};
/// A run is addressed by the ids that it got at its start.
const RUN_IS_KEY: Decision = Decision {
    name: "run-is-key",
    demands: "accepted when it names its run, refused when it names none, whatever a registry beside it says",
    added: false,
};
/// Values are cut and redacted wherever they stand.
const SANITISED: Decision = Decision {
    name: "sanitised",
    demands: "values are cut and redacted in every event given as JSON, in lists and results, too",
    added: false,
};
/// The result of a call is the event's own.
const RESULT_KEPT: Decision = Decision {
    name: "result-kept",
    demands: "the result of the call is the event's `final_response`, not only its metadata",
    added: false,
};
/// The recovery window keeps more, and until it is acknowledged.
const RECOVERY_WINDOW: Decision = Decision {
    name: "recovery-window",
    demands: "the 200 newest events are kept, replayed in order and flagged, until acknowledged",
    added: false,
};
/// A type that the automaton does not know goes out as it is given.
const TYPE_AS_GIVEN: Decision = Decision {
    name: "type-as-given",
    demands: "any text of at most 64 bytes is a type, the empty one, too",
    added: false,
};

/// Operations on counters, pools and guesses that no router has (N9).
const OF_THE_OLD_PROCESS: [&str; 9] = [
    "update_token_metrics",
    "get_token_metrics",
    "pool_new",
    "attempt_recovery",
    "emit_auth_event",
    "get_auth_stats",
    "tracker_statuses",
    "tracker_metrics",
    "is_suspicious_run_id",
];

impl Emitter {
    pub(super) fn compare_step(
        &mut self,
        action: &Action,
        expect: &Expect,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        if self.last.outcome.is_some() {
            return self.event(action, expect, notes);
        }
        if let Some(raised) = expect.raises.as_ref().filter(|_| {
            // These two say what they make of it below.
            !["factory_scoped", "resolve_thread"].contains(&action.op.as_str())
        }) {
            return vec![Difference::new("raises", raised.clone(), Value::Null)];
        }
        match action.op.as_str() {
            "new" | "pool_acquire" => self.voice_state(expect, notes),
            "factory_scoped" => {
                let refused = self.last.answer["user_id"].is_null();
                differ(expect.raises.is_some() != refused, "raises", json!(expect.raises), refused)
            }
            "stats" => self.stats(expect, notes),
            "connect" => self.replayed(expect, notes),
            "recovery_queue" => self.window(expect, notes),
            "manager_event_stats" => self.manager_stats(expect, notes),
            "sanitize" => self.sanitised(expect, notes),
            "resolve_thread" => {
                // Nothing is read out of a run's id: an id of nobody's run leads to no thread.
                let found_none = self.last.answer == true;
                if expect.raises.is_none() && found_none {
                    notes.decided(RUN_IS_KEY);
                }
                differ(expect.raises.is_some() && !found_none, "raises", json!(expect.raises), "a thread")
            }
            "batch_task_alive" => {
                let recorded = expect.returns == true;
                if recorded && self.last.answer == false {
                    notes.cured("G15");
                }
                differ(recorded != (self.last.answer == true), "returns", recorded, self.last.answer.clone())
            }
            "validate_context" | "is_suspicious" | "get_user_tier" | "is_priority_user" | "death_message" => {
                notes.translated(Translation::N2);
                differ(
                    expect.returns != self.last.answer,
                    "returns",
                    expect.returns.clone(),
                    self.last.answer.clone(),
                )
            }
            "script" | "use" | "set_user_tier" | "disconnect" | "break_socket" => {
                self.frames(action, expect, notes)
            }
            _ if OF_THE_OLD_PROCESS.contains(&action.op.as_str()) => {
                notes.translated(Translation::N9);
                Vec::new()
            }
            op => vec![Difference::new("op", op, "<nothing is compared for this operation>")],
        }
    }

    fn voice_state(&self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        notes.translated(Translation::N9);
        let Some(state) = expect.state.as_ref().filter(|state| state.get("tier").is_some()) else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for key in ["user_id", "tier"] {
            out.extend(differ(
                state[key] != self.last.answer[key],
                key,
                state[key].clone(),
                self.last.answer[key].clone(),
            ));
        }
        out
    }

    fn stats(&self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        notes.translated(Translation::N9);
        let Some(state) = &expect.state else { return Vec::new() };
        let voice = self.voice();
        let tier = voice.user.as_deref().map(|user| self.scene.tier(user)).unwrap_or_default();
        differ(state["user_tier"] != tier.name(), "state.user_tier", state["user_tier"].clone(), tier.name())
    }

    fn event(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let outcome = self.last.outcome.unwrap_or_default();
        let failed = |text: &str| {
            expect.state.as_ref().and_then(|state| state["error"].as_str()).is_some_and(|e| e.contains(text))
        };
        if expect.raises.as_deref() == Some("TypeError") && failed("unexpected keyword argument") {
            notes.translated(Translation::N9);
            return Vec::new();
        }
        let recorded_sent = !expect.sent.is_empty() || action.op == "process_business_event";
        if !outcome.accepted() {
            return self.refused(action, expect, recorded_sent, notes);
        }
        if let Some(raised) = &expect.raises {
            if self.last.was_away {
                // A lost socket kills no run: the event waits.
                if outcome.run_lives || outcome.state.is_some() {
                    notes.cured("G27");
                }
                return vec![Difference::new("raises", raised.clone(), "accepted, and waits for the client")];
            }
            if self.bridge {
                notes.decided(RUN_IS_KEY);
                return Vec::new();
            }
            if self.last.call.as_ref().is_some_and(|call| call.kind == "") {
                notes.decided(TYPE_AS_GIVEN);
                return Vec::new();
            }
            return vec![Difference::new("raises", raised.clone(), "accepted")];
        }
        let mut out = self.returned(action, expect, notes);
        if !matches!(expect.returns, Value::Bool(false)) {
            out.extend(self.frames(action, expect, notes));
        }
        out
    }

    /// The router refused the event.
    fn refused(
        &mut self,
        action: &Action,
        expect: &Expect,
        recorded_sent: bool,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let outcome = self.last.outcome.unwrap_or_default();
        if !recorded_sent {
            notes.translated(Translation::N2);
            return Vec::new();
        }
        match outcome.refused {
            None if self.bridge => notes.decided(RUN_IS_KEY),
            None => notes.decided(NO_RUN),
            Some(Refusal::ForeignId) if action.op.starts_with("send_to") => {
                // Refused, neither rewritten nor delivered.
                if self.last.sent.is_empty() {
                    notes.cured("G25");
                }
                return vec![Difference::new("sent", json!(expect.sent), "refused(foreign_user)")];
            }
            Some(Refusal::ForeignId) => notes.decided(FOREIGN_IDS),
            Some(
                why @ (Refusal::Rule(_)
                | Refusal::NotAnObject
                | Refusal::BadMetadata
                | Refusal::TooDeep
                | Refusal::BadType
                | Refusal::Overrun),
            ) => {
                return vec![Difference::new("sent", json!(expect.sent), why.name())];
            }
        }
        differ(!self.last.sent.is_empty(), "sent", "<nothing>", self.last.sent.len())
    }

    /// What the call said of its outcome.
    fn returned(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let outcome = self.last.outcome.unwrap_or_default();
        let state = format!("{:?}", outcome.state);
        match &expect.returns {
            Value::Bool(true) => {
                if outcome.state == Some(DeliveryState::Waiting) {
                    notes.cured("G10");
                }
                notes.translated(Translation::N2);
                differ(!outcome.delivered(), "returns", true, state)
            }
            Value::Bool(false) => {
                let kind = self.last.call.as_ref().and_then(|call| call.kind.as_str()).unwrap_or_default();
                // Lost for ever in the old bridge, whoever was there.
                let lost = match kind {
                    "agent_thinking" if self.bridge => Some("G6"),
                    "agent_completed" if self.bridge => Some("G7"),
                    _ => (self.bridge && action.op == "emit_agent_event").then_some("G7"),
                };
                if let Some(hazard) = lost {
                    notes.cured(hazard);
                    return vec![Difference::new("returns", false, state)];
                }
                if !outcome.delivered() {
                    notes.translated(Translation::N2);
                    return Vec::new();
                }
                if self.bridge && !self.is_mapped(action) {
                    notes.decided(RUN_IS_KEY);
                    return Vec::new();
                }
                vec![Difference::new("returns", false, state)]
            }
            recorded if self.last.was_away && action.op.starts_with("notify") => {
                // The old call hid what became of its event; here it can be asked.
                notes.cured("G12");
                vec![Difference::new("returns", recorded.clone(), state)]
            }
            Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                notes.translated(Translation::N2);
                Vec::new()
            }
        }
    }

    fn is_mapped(&self, action: &Action) -> bool {
        action.text("run_id").is_some_and(|run| self.mapped.get(run).is_some())
    }

    /// The frames of a step, in order per connection.
    fn frames(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        if action.op == "process_business_event" {
            let frame = self.last.sent.last().map(|sent| sent.message.clone()).unwrap_or_default();
            return self.message(action, &expect.returns, &frame, notes);
        }
        let mut left: Vec<Sent> = self.last.sent.clone();
        let mut out = Vec::new();
        for recorded in &expect.sent {
            let same = |sent: &Sent| recorded["conn"].as_str().is_none_or(|conn| conn == sent.conn);
            let Some(at) = left.iter().position(same) else {
                out.push(Difference::new("sent", recorded["message"].clone(), "<nothing>"));
                continue;
            };
            let seen = left.remove(at);
            if recorded["user"].as_str().is_some_and(|user| user != seen.user) {
                out.push(Difference::new("sent.user", recorded["user"].clone(), seen.user.clone()));
            }
            out.extend(self.message(action, &recorded["message"], &seen.message, notes));
        }
        for more in left {
            if action.op == "send_to_thread" && self.threads.values().any(|user| *user == more.user) {
                notes.cured("G5");
            }
            out.push(Difference::new("sent", "<nothing>", more.message));
        }
        out
    }

    fn message(
        &mut self,
        action: &Action,
        recorded: &Value,
        seen: &Value,
        notes: &mut Notes,
    ) -> Vec<Difference> {
        let flat = rules::flatten(recorded);
        if flat.above {
            notes.translated(Translation::N4);
        }
        let kind = self.last.call.as_ref().map(|call| call.kind.clone()).unwrap_or_default();
        let usurped = flat.usurped.clone().or_else(|| {
            (kind.is_string() && kind != flat.kind.as_str()).then(|| Value::String(flat.kind.clone()))
        });
        if let Some(usurper) = usurped.filter(|usurper| seen["type"] != *usurper) {
            if seen["type"] == kind {
                notes.cured("G8");
            }
            return vec![Difference::new("type", usurper, seen["type"].clone())];
        }
        let tier = self.last.voice.user.as_deref().map(|user| self.scene.tier(user)).unwrap_or_default();
        let mut expected = rules::canonical(&flat, tier);
        self.rename(&mut expected);
        let mut out = Vec::new();
        values("", &Value::Object(expected.clone()), seen, rules::ADDED, notes, &mut out);
        let given = self.last.call.as_ref().map(|call| call.data.clone()).unwrap_or_default();
        if action.op == "notify_agent_completed" && given.get("result").is_some() {
            out.retain(|difference| difference.at != "result");
            if let Some(at) = out.iter().position(|difference| difference.at == "final_response")
                && seen["final_response"] == given["result"]
            {
                if flat.above {
                    out.remove(at);
                    notes.decided(RESULT_KEPT);
                } else {
                    notes.cured("G9");
                }
            }
        }
        if let Some(run) = self.last.voice.run
            && out.iter().any(|difference| difference.at == "run_id")
            && seen["run_id"] == self.scene.runs[run].request.run_id()
        {
            notes.cured("G13");
        }
        sanitised_away(&expected, seen, &mut out, notes);
        out
    }

    /// Ids of the recording that stand for ids which the router makes.
    fn rename(&self, event: &mut Map<String, Value>) {
        for (key, value) in event.iter_mut() {
            let Some(text) = value.as_str() else { continue };
            let known = self.scene.runs.iter().find(|run| match key.as_str() {
                "run_id" => run.old_run.as_deref() == Some(text),
                "request_id" => run.old_request.as_deref() == Some(text),
                _ => false,
            });
            if let Some(run) = known {
                let request = &run.request;
                *value = match key.as_str() {
                    "run_id" => request.run_id().into(),
                    _ => Value::String(request.request_id.to_string()),
                };
            }
        }
        if event.contains_key("timestamp") {
            event.insert("timestamp".to_owned(), json!(TIME));
        }
    }

    /// What a new connection is replayed.
    fn replayed(&mut self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let seen = &self.last.sent;
        if expect.sent.is_empty() && seen.is_empty() {
            return Vec::new();
        }
        let flat: Vec<_> = expect.sent.iter().map(|sent| rules::flatten(&sent["message"])).collect();
        let kinds: Vec<&str> = flat.iter().map(|flat| flat.kind.as_str()).collect();
        let types: Vec<&str> = seen.iter().filter_map(|sent| sent.message["type"].as_str()).collect();
        let cursors: Vec<u64> = seen.iter().filter_map(|sent| sent.message["cursor"].as_u64()).collect();
        let whole = seen.iter().all(|sent| sent.message["recovered"] == true)
            && cursors.windows(2).all(|pair| pair[0] + 1 == pair[1])
            && types.ends_with(&kinds);
        // Frames of messages that carry a number of their own: the router's stands in its place.
        let numbered = flat.iter().all(|flat| flat.members.contains_key("seq"));
        if whole && numbered && (types.len() >= kinds.len()) {
            notes.decided(RECOVERY_WINDOW);
            return Vec::new();
        }
        let recorded: Vec<Value> = expect.sent.iter().map(|sent| sent["message"].clone()).collect();
        let observed: Vec<Value> = seen.iter().map(|sent| sent.message.clone()).collect();
        vec![Difference::new("sent", recorded, observed)]
    }

    /// How many events are kept for replay.
    fn window(&mut self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let recorded = expect.returns.as_array().map_or(0, Vec::len) as u64;
        let kept = self.last.answer.as_u64().unwrap_or_default();
        if recorded == kept {
            return Vec::new();
        }
        if kept > recorded && !self.broken {
            notes.decided(RECOVERY_WINDOW);
            return Vec::new();
        }
        if kept > recorded {
            // What the failed socket missed is there for its return.
            notes.cured("G11");
        }
        vec![Difference::new("returns", recorded, kept)]
    }

    fn manager_stats(&mut self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let recorded = expect.returns["events_delivered"].clone();
        let seen = self.last.answer["events_delivered"].clone();
        if recorded == seen {
            return Vec::new();
        }
        // Nothing was rewritten on the way, and what went out is counted as what it is.
        notes.cured("G25");
        vec![Difference::new("events_delivered", recorded, seen)]
    }

    fn sanitised(&mut self, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        let recorded = if expect.returns.is_null() { json!({}) } else { expect.returns.clone() };
        let seen = if self.last.answer.is_null() { json!({}) } else { self.last.answer.clone() };
        let mut out = Vec::new();
        values("", &recorded, &seen, &[], notes, &mut out);
        if !out.is_empty() && rules::sanitised(&recorded, &seen) {
            notes.decided(SANITISED);
            out.clear();
        }
        out
    }
}

/// Takes out differences that are the sanitiser's, if the frame says that it was at work.
fn sanitised_away(expected: &Map<String, Value>, seen: &Value, out: &mut Vec<Difference>, notes: &mut Notes) {
    let says = seen["truncated"] == true || seen["redacted"] == true;
    if !says || out.is_empty() {
        return;
    }
    let before = out.len();
    out.retain(|difference| {
        let member = difference.at.split(['.', '[']).next().unwrap_or_default();
        !expected.get(member).is_some_and(|recorded| rules::sanitised(recorded, &seen[member]))
    });
    if out.len() < before {
        notes.decided(SANITISED);
    }
}

fn differ(
    differs: bool,
    at: &str,
    recorded: impl Into<Value>,
    observed: impl Into<Value>,
) -> Vec<Difference> {
    if differs { vec![Difference::new(at, recorded, observed)] } else { Vec::new() }
}
