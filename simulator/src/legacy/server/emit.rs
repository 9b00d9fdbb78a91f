//! Emitter and bridge: an event of a run becomes a frame with the ids of its context.
//!
//! There is one emitter per run. It sets the type, the ids, the time and `seq`; no caller can. Where the frame goes is
//! the user of the run.

use std::collections::BTreeMap;
use std::rc::Rc;

use router::{OwnedEvent, Refusal, RunRef, Tier, ToolStatus, UserId};
use serde_json::{Map, Value, json};

use super::agents::Context;
use super::common::Common;
use super::tools::Emitted;
use super::wire;

/// The emitters of the runs at work.
#[derive(Debug, Default)]
pub(super) struct Emit {
    emitters: BTreeMap<RunRef, Emitter>,
}

/// What one run's events have in common.
#[derive(Debug)]
struct Emitter {
    context: Rc<Context>,
    seq: u64,
    agent_name: String,
}

/// A frame on its way to a user's connections; the delivery adds `cursor`.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Whose connections get it.
    pub(super) to: UserId,
    pub(super) members: Map<String, Value>,
}

impl Emit {
    /// A run was started: it gets its emitter.
    pub(super) fn acquire(&mut self, _common: &mut Common, context: &Rc<Context>) {
        let emitter = Emitter { context: context.clone(), seq: 0, agent_name: String::new() };
        self.emitters.insert(context.run, emitter);
    }

    /// The run is over.
    pub(super) fn release(&mut self, run: RunRef) {
        self.emitters.remove(&run);
    }

    /// Emitters alive.
    pub(super) fn alive(&self) -> u64 {
        self.emitters.len() as u64
    }

    /// Whether what an agent reports may be emitted at all: it must not name anybody else.
    pub(super) fn admit(&self, _common: &mut Common, context: &Context, event: &OwnedEvent) -> Result<(), Refusal> {
        let OwnedEvent::Data { data, .. } = event else { return Ok(()) };
        let Ok(Value::Object(members)) = serde_json::from_str(data.get()) else {
            return Err(Refusal::NotAnObject);
        };
        let foreign = |(key, value): (&String, &Value)| {
            let own = match key.as_str() {
                "thread_id" => &context.thread_id,
                "run_id" => &context.run_id,
                "request_id" => &context.request_id,
                _ if key == "user_id" || key.ends_with("_user_id") => &*context.user,
                _ => return false,
            };
            value.as_str().is_some_and(|text| text != own)
        };
        if members.iter().any(foreign) { Err(Refusal::ForeignId) } else { Ok(()) }
    }

    /// The frames of an event.
    pub(super) fn emit(&mut self, common: &mut Common, context: &Context, emitted: Emitted) -> Vec<Event> {
        let Some(emitter) = self.emitters.get_mut(&context.run) else { return Vec::new() };
        let Emitted { event, tool_name } = emitted;
        if let OwnedEvent::Started { agent, .. } = &event {
            emitter.agent_name = or(agent, "unknown_agent").to_owned();
        }
        emitter.seq += 1;
        let (kind, own) = body(event, tool_name);
        let Emitter { context, seq, agent_name } = emitter;
        let mut members = own;
        for (key, value) in [
            ("type", json!(kind)),
            ("user_id", json!(&*context.user)),
            ("thread_id", json!(context.thread_id)),
            ("run_id", json!(context.run_id)),
            ("request_id", json!(context.request_id)),
            ("timestamp", json!(wire::iso(common.now))),
            ("agent_name", json!(agent_name)),
            ("seq", json!(seq)),
            ("metadata", metadata(context.tier)),
        ] {
            members.insert(key.to_owned(), value);
        }
        if is_critical(&kind) {
            members.insert("critical".to_owned(), Value::Bool(true));
        }
        vec![Event { to: context.user.clone(), members }]
    }
}

/// Whether a type is one of the five.
fn is_critical(kind: &str) -> bool {
    ["agent_started", "agent_thinking", "tool_executing", "tool_completed", "agent_completed"].contains(&kind)
}

fn metadata(tier: Tier) -> Value {
    json!({ "user_tier": tier.name(), "is_priority_queue": tier == Tier::Enterprise })
}

/// Type and own members of an event.
fn body(event: OwnedEvent, tool_name: Option<String>) -> (String, Map<String, Value>) {
    let (kind, members) = match event {
        OwnedEvent::Started { task, .. } => (
            "agent_started",
            json!({ "status": "started", "task_description": or(&task, "Processing request") }),
        ),
        OwnedEvent::Thinking { reasoning, step } => {
            let mut members = json!({ "reasoning": or(&reasoning, "Agent is processing...") });
            if let Some(step) = step {
                members["step_number"] = json!(step);
            }
            ("agent_thinking", members)
        }
        OwnedEvent::Progress { data } => {
            ("progress_update", json!({ "status": "progress", "progress_data": parsed(&data) }))
        }
        OwnedEvent::ToolExecuting { call, tool, parameters } => (
            "tool_executing",
            json!({
                "tool_call_id": call,
                "tool_name": or(&tool, "unknown_tool"),
                "parameters": parsed(&parameters),
                "status": "executing",
            }),
        ),
        OwnedEvent::ToolCompleted { call, status, results, duration_ms } => (
            "tool_completed",
            json!({
                "tool_call_id": call,
                "tool_name": tool_name.as_deref().unwrap_or("unknown_tool"),
                "results": parsed(&results),
                "duration": duration_ms,
                "success": status == ToolStatus::Completed,
                "status": status.name(),
            }),
        ),
        OwnedEvent::Completed { response, execution_time_ms } => {
            let mut members =
                json!({ "status": "completed", "final_response": or(&response, "Task completed") });
            if let Some(ms) = execution_time_ms {
                members["execution_time_ms"] = json!(ms);
            }
            ("agent_completed", members)
        }
        OwnedEvent::Failed { code, message } => {
            ("agent_error", json!({ "status": "error", "error_code": code, "error_message": message }))
        }
        OwnedEvent::Data { kind, data } => return (kind, object(parsed(&data))),
    };
    (kind.to_owned(), object(members))
}

fn object(value: Value) -> Map<String, Value> {
    if let Value::Object(members) = value { members } else { Map::new() }
}

fn parsed(raw: &serde_json::value::RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

fn or<'a>(text: &'a str, default: &'a str) -> &'a str {
    if text.is_empty() { default } else { text }
}
