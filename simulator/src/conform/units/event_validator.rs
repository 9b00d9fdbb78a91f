//! The recorded unit `event_validator` in terms of the canonical router: whether one event is one that a client may
//! get, and the verdict of the run's automaton on a sequence.

use std::collections::{BTreeMap, BTreeSet};

use router::run::{EventKind, Observed, Verdict, lacks, verdict};
use serde_json::{Map, Value, json};

use super::Unit;
use crate::conform::{Action, Difference, Expect, Inexpressible, Notes, Translation};

/// Opens the unit with the set-up of a case.
pub(super) fn open(_setup: &Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible> {
    Ok(Box::new(Validator { streams: BTreeMap::new(), all: Vec::new(), seen: Value::Null }))
}

/// Judges events one by one and streams as wholes. Types outside of the automaton that a client may get beside runs.
const BESIDE_RUNS: [&str; 4] = ["status_update", "message_created", "heartbeat", "pong"];

struct Validator {
    /// Events so far, by the run that they name; without one, by their thread.
    streams: BTreeMap<String, Vec<Value>>,
    /// All events, in order.
    all: Vec<Value>,
    /// What the last step saw.
    seen: Value,
}

impl Unit for Validator {
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible> {
        self.seen = match action.op.as_str() {
            "validate_event" | "f_event" => json!(fault(action.arg("event"))),
            "f_seq" => {
                let event = action.arg("event");
                let key = named(event, "run_id").or(action.text("thread_id")).unwrap_or_default().to_owned();
                let stream = self.streams.entry(key).or_default();
                stream.push(event.clone());
                self.all.push(event.clone());
                shown(&verdict(stream.iter().map(observed)))
            }
            "validate_agent_events" => {
                let events = action.arg("events").as_array().cloned().unwrap_or_default();
                let seen = shown(&verdict(events.iter().map(observed)));
                self.all = events;
                seen
            }
            "new" | "f_new" | "f_status" | "f_counts" | "stats" | "reset" => Value::Null,
            _ => return Err(Inexpressible("a question about scores, which only the old validator kept")),
        };
        Ok(())
    }

    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference> {
        notes.translated(Translation::N9);
        let (recorded, accepted) = match action.op.as_str() {
            "validate_event" => (expect.returns["is_valid"].clone(), self.seen == json!([])),
            "f_event" => (
                json!(expect.raises.is_none() && expect.returns["result"] == "valid"),
                self.seen == json!([]),
            ),
            "f_seq" => (
                json!(expect.raises.is_none() && expect.returns["result"] == "valid"),
                self.seen["well_formed"] == true,
            ),
            _ => return Vec::new(),
        };
        notes.translated(Translation::N2);
        if let Some(missing) = expect.returns["error_message"].as_str().and_then(missing) {
            // What is asked of an event: the old list against ours.
            let ours: BTreeSet<&str> =
                self.seen.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            if missing != ours {
                return vec![Difference::new("missing", json!(missing), json!(ours))];
            }
        }
        if recorded == accepted { Vec::new() } else { vec![Difference::new("accepted", recorded, accepted)] }
    }

    fn show(&self) -> Value {
        self.seen.clone()
    }

    fn verdict(&mut self, intended: &Value, notes: &mut Notes) -> Vec<Difference> {
        let seen = shown(&verdict(self.all.iter().map(observed)));
        let mut out = Vec::new();
        for key in ["well_formed", "complete", "full_golden", "first_violation"] {
            if intended[key] != seen[key] {
                out.push(Difference::new(key, intended[key].clone(), seen[key].clone()));
            }
        }
        // Rules have long names in recordings: the short one, an underscore, a description.
        let rule = intended["rule"].as_str().map(|rule| rule.split('_').next().unwrap_or_default());
        if intended["rule"].is_string() {
            notes.translated(Translation::N5);
        }
        if rule.map(|rule| format!("run.{rule}")).as_deref() != seen["rule"].as_str() {
            out.push(Difference::new("rule", intended["rule"].clone(), seen["rule"].clone()));
        }
        out
    }
}

fn shown(verdict: &Verdict) -> Value {
    json!({
        "well_formed": verdict.well_formed,
        "complete": verdict.complete,
        "full_golden": verdict.full_golden,
        "first_violation": verdict.first_violation,
        "rule": verdict.rule.map(|rule| rule.name()),
    })
}

/// A member of the event, or of its payload.
fn named<'v>(event: &'v Value, member: &str) -> Option<&'v str> {
    event[member].as_str().or(event["payload"][member].as_str())
}

fn observed(event: &Value) -> Observed<'_> {
    Observed {
        kind: event["type"].as_str().and_then(EventKind::of),
        call: named(event, "tool_call_id"),
        tool: named(event, "tool_name"),
    }
}

/// The names in `Event missing required fields: {'a', 'b'}`.
fn missing(text: &str) -> Option<BTreeSet<&str>> {
    let names = text.strip_prefix("Event missing required fields: {")?.strip_suffix('}')?;
    Some(names.split(", ").map(|name| name.trim_matches('\'')).collect())
}

/// Why an event is none that a client may get: what it lacks.
fn fault(event: &Value) -> Vec<&'static str> {
    match event["type"].as_str() {
        Some(kind) if BESIDE_RUNS.contains(&kind) => Vec::new(),
        Some(kind) if EventKind::of(kind).is_some() => {
            lacks(|member| event.get(member).is_some_and(|value| !value.is_null())).collect()
        }
        _ => vec!["type"],
    }
}
