//! Emitter and bridge: an event of a run becomes a frame with the ids of its context.
//!
//! There is one emitter per run. It sets the type, the ids, the time and `seq`; no caller can. Where the frame goes is
//! the user of the run.

use std::collections::BTreeMap;
use std::rc::Rc;

use router::{ConnId, OwnedEvent, Refusal, RunRef, Tier, ToolStatus, UserId};
use serde_json::{Map, Value, json};

use super::agents::Context;
use super::common::Common;
use super::tools::Emitted;
use super::wire;
use crate::legacy::Hazard;

/// The emitters of the runs at work.
#[derive(Debug, Default)]
pub(super) struct Emit {
    emitters: BTreeMap<RunRef, Emitter>,
    /// Timers that emitters started for their batches.
    timers: u64,
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
    /// Whose run it is of.
    pub(super) owner: UserId,
    /// Whose connections get it.
    pub(super) to: UserId,
    /// The connection that asked for the run.
    pub(super) conn: ConnId,
    pub(super) members: Map<String, Value>,
}

impl Emit {
    /// A run was started: it gets its emitter.
    pub(super) fn acquire(&mut self, common: &Common, context: &Rc<Context>) {
        // G13: there is one emitter per user in the pool, and whoever acquires it sets its context.
        if common.has(Hazard::G13) {
            for pooled in self.emitters.values_mut().filter(|pooled| pooled.context.user == context.user) {
                pooled.context = context.clone();
            }
        }
        self.timers += 1;
        let emitter = Emitter { context: context.clone(), seq: 0, agent_name: String::new() };
        self.emitters.insert(context.run, emitter);
    }

    /// The agent begins, in this context.
    pub(super) fn begin(&mut self, context: &Rc<Context>) {
        if let Some(emitter) = self.emitters.get_mut(&context.run)
            && emitter.context.user != context.user
        {
            emitter.context = context.clone();
        }
    }

    /// The run is over.
    pub(super) fn release(&mut self, common: &Common, run: RunRef) {
        // G15: the timer of its batches outlives the emitter.
        if self.emitters.remove(&run).is_some() && !common.has(Hazard::G15) {
            self.timers -= 1;
        }
    }

    /// Emitters and their timers.
    pub(super) fn alive(&self) -> u64 {
        self.emitters.len() as u64 + self.timers
    }

    /// Whether what an agent reports may be emitted at all: it must not name anybody else.
    pub(super) fn admit(
        &self,
        common: &Common,
        context: &Context,
        event: &OwnedEvent,
    ) -> Result<(), Refusal> {
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
        // G25: only keys that end in `_user_id` are looked at; other ids are overwritten further on. E6: the router
        // behind this takes the thread from the event, whosever it is.
        if common.has(Hazard::G25) || common.has(Hazard::E6) {
            return Ok(());
        }
        if members.iter().any(foreign) { Err(Refusal::ForeignId) } else { Ok(()) }
    }

    /// The frames of an event.
    pub(super) fn emit(&mut self, common: &Common, context: &Context, emitted: Emitted) -> Vec<Event> {
        if is_lost(common, &emitted.event) {
            return Vec::new();
        }
        let Some(emitter) = self.emitters.get_mut(&context.run) else { return Vec::new() };
        let Emitted { event, tool_name, to, run_id } = emitted;
        if let OwnedEvent::Started { agent, .. } = &event {
            emitter.agent_name = or(agent, "unknown_agent").to_owned();
        }
        emitter.seq += 1;
        let replaced = matches!(event, OwnedEvent::Thinking { .. }) && common.has(Hazard::G8);
        let raises = matches!(
            event,
            OwnedEvent::Started { .. } | OwnedEvent::ToolExecuting { .. } | OwnedEvent::ToolCompleted { .. }
        );
        let misaddressed = (raises && common.has(Hazard::G5)) || common.has(Hazard::G26);
        let (mut kind, mut own) = body(event, tool_name);
        // G8: the caller's data has a `type` of its own, which wins.
        if replaced {
            "reasoning".clone_into(&mut kind);
        }
        if common.has(Hazard::G9) {
            forget_results(&kind, &mut own);
        }
        let Emitter { context, seq, agent_name } = emitter;
        let mut members = own;
        let named = members.get("thread_id").filter(|_| common.has(Hazard::E6)).cloned();
        for (key, value) in [
            ("type", json!(kind)),
            ("user_id", json!(&*context.user)),
            ("thread_id", named.unwrap_or_else(|| json!(context.thread_id))),
            ("run_id", json!(run_id.as_ref().unwrap_or(&context.run_id))),
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
        // G5: the thread is addressed as if it were a user. G26: a stand-in for the missing context says so, too.
        let to = match to {
            Some(to) => to,
            None if misaddressed => context.thread_id.as_str().into(),
            None => context.user.clone(),
        };
        vec![Event { owner: context.user.clone(), to, conn: context.conn, members }]
    }
}

/// Whether the bridge never sends an event.
fn is_lost(common: &Common, event: &OwnedEvent) -> bool {
    match event {
        // G6: the bridge lacks the methods. G7: its context lacks a request id, and is refused.
        OwnedEvent::Thinking { .. } => common.has(Hazard::G6) || common.has(Hazard::G14),
        OwnedEvent::Completed { .. } => common.has(Hazard::G7) || common.has(Hazard::G14),
        // G14: an emitter without a context refuses the five, and passes all else.
        OwnedEvent::Started { .. } | OwnedEvent::ToolExecuting { .. } | OwnedEvent::ToolCompleted { .. } => {
            common.has(Hazard::G14)
        }
        OwnedEvent::Progress { .. } | OwnedEvent::Failed { .. } | OwnedEvent::Data { .. } => false,
    }
}

/// G9: what a tool and an agent produced is passed where nobody looks, and the wire has defaults.
fn forget_results(kind: &str, own: &mut Map<String, Value>) {
    if kind == "tool_completed" {
        own.insert("results".to_owned(), json!({}));
        own.insert("duration".to_owned(), json!(0));
    } else if kind == "agent_completed" {
        own.insert("final_response".to_owned(), json!("Task completed"));
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
