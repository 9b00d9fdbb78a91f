//! The canned agent: five events a tenth of a second apart, for routers that have no agent of their own.
//!
//! It reports like any agent, so what reaches a socket is the canonical flat form. The nested form of old, a server
//! message around each event, exists only in [`nested`], an encoder for comparing with recordings.

use std::collections::{BTreeMap, VecDeque};

use router::{AgentEvent, Input, Instant, RunRequest, ToolStatus};
use serde_json::{Map, Value, json, value::to_raw_value};

use crate::conform::stage::Stage;

/// Time between two events.
const STEP_US: u64 = 100_000;
const EVENTS: u8 = 5;
const AGENT: &str = "supervisor-agent";
const CALL: &str = "analysis";
const TOOL: &str = "analysis_tool";
/// Milliseconds that the one tool takes, and is expected to take.
const TOOL_MS: u64 = 2000;

/// Runs that the canned agent works on, and every request it was given.
#[derive(Debug, Default)]
pub(super) struct Canned {
    /// When, which run, which event; in order.
    due: VecDeque<(Instant, usize, u8)>,
    requests: Vec<RunRequest>,
}

impl Canned {
    /// Begins to work on a run.
    pub(super) fn start(&mut self, now: Instant, request: RunRequest) {
        let run = self.requests.len();
        self.requests.push(request);
        self.due.extend((0..EVENTS).map(|step| (now.after(u64::from(step) * STEP_US), run, step)));
        self.due.make_contiguous().sort_by_key(|(at, ..)| *at);
    }

    /// When it wants to report next.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.front().map(|(at, ..)| *at)
    }

    /// Reports what is due.
    pub(super) fn report(&mut self, stage: &mut Stage) {
        let Some((_, run, step)) = self.due.pop_front() else { return };
        let Some(request) = self.requests.get(run) else { return };
        let wish = Wish::of(&request.payload);
        let (answer, parameters) = (wish.answer(), json!({"action": "analyze"}));
        let raw = |value: &Value| to_raw_value(value).unwrap_or_default();
        let (parameters, results) = (raw(&parameters), raw(&json!("Analysis complete")));
        let event = match step {
            0 => AgentEvent::Started { agent: AGENT, task: "Agent execution started" },
            1 => AgentEvent::Thinking { reasoning: "Agent is analyzing request", step: None },
            2 => AgentEvent::ToolExecuting { call: CALL, tool: TOOL, parameters: &parameters },
            3 => AgentEvent::ToolCompleted {
                call: CALL,
                status: ToolStatus::Completed,
                results: &results,
                duration_ms: TOOL_MS,
            },
            _ => AgentEvent::Completed { response: &answer, execution_time_ms: Some(wish.takes_ms()) },
        };
        stage.input(Input::Agent { run: request.run, event });
    }

    /// The request behind a run event, by the ids it carries.
    pub(super) fn request_of(&self, event: &Value) -> Option<&RunRequest> {
        let run = event.get("run_id")?.as_str()?;
        self.requests.iter().find(|request| request.run_id() == run)
    }
}

/// What a request asks for.
struct Wish(Map<String, Value>);

impl Wish {
    fn of(payload: &str) -> Self {
        Self(serde_json::from_str(payload).unwrap_or_default())
    }

    fn is(&self, flag: &str) -> bool {
        self.0.get(flag).is_some_and(truthy)
    }

    fn answer(&self) -> String {
        let text = ["message", "content", "user_request"].iter().find_map(|key| {
            let value = self.0.get(*key).filter(|value| truthy(value))?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        });
        let text = text.unwrap_or_default();
        if self.is("require_multi_agent") {
            format!("Multi-agent collaboration completed for: {text}")
        } else {
            format!("Agent response for: {text}")
        }
    }

    fn agents(&self) -> &'static [&'static str] {
        if self.is("require_multi_agent") { &["supervisor", "triage", "optimization"] } else { &["triage"] }
    }

    fn takes_ms(&self) -> u64 {
        if self.is("require_multi_agent") { 1200 } else { 800 }
    }
}

fn truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(members) => !members.is_empty(),
    }
}

/// The compatibility encoder: an event of a run as a server message around it, the form that clients of the canned
/// agent once saw. `None` for a frame that is no such event.
pub(super) fn nested(flat: &Value, request: &RunRequest) -> Option<Value> {
    let wish = Wish::of(&request.payload);
    let kind = flat.get("type")?.as_str()?;
    let of = |name: &str| flat.get(name).cloned().unwrap_or_default();
    let mut own = BTreeMap::new();
    let (outer, status) = match kind {
        "agent_started" => ("system_message", of("task_description")),
        "agent_thinking" => ("agent_progress", of("reasoning")),
        "tool_executing" => {
            let payload = json!({
                "tool_name": of("tool_name"), "agent_name": of("agent_name"), "parameters": of("parameters"),
                "tool_purpose": "Data analysis", "estimated_duration_ms": TOOL_MS,
            });
            own.insert("payload", payload);
            ("agent_progress", json!("Executing analysis tools"))
        }
        "tool_completed" => {
            let payload = json!({
                "tool_name": of("tool_name"), "agent_name": of("agent_name"), "result": of("results"),
                "duration_ms": of("duration"), "success": of("success"),
            });
            own.insert("payload", payload);
            ("agent_progress", json!("Tool execution completed"))
        }
        "agent_completed" => {
            let seconds = of("execution_time_ms").as_f64().map(|ms| ms / 1000.0);
            own.insert("content", of("final_response"));
            own.insert("message", of("final_response"));
            own.insert("agents_involved", json!(wish.agents()));
            own.insert("orchestration_time", json!(seconds));
            own.insert("response_time", json!(seconds));
            own.insert("real_llm_used", wish.0.get("real_llm").cloned().unwrap_or(Value::Bool(false)));
            ("agent_response_complete", json!("success"))
        }
        _ => return None,
    };
    let turn = wish.0.get("turn_id").cloned().unwrap_or_else(|| json!("unknown"));
    let mut data = json!({
        "event": kind, "type": kind, "status": status, "user_id": of("user_id"), "turn_id": turn,
        "timestamp": of("timestamp"),
    });
    for (name, value) in own {
        data[name] = value;
    }
    Some(json!({
        "type": outer, "data": data, "timestamp": of("timestamp"), "server_id": null, "correlation_id": null,
    }))
}
