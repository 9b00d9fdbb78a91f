//! The canned agent: what answers a request where no real agent is registered.

use crate::legacy::{
    Hazard,
    message_router::{
        message::Message,
        reply,
        socket::Frame,
        task::{Context, Resume, SECOND_US, Step},
    },
    message_types::{MessageType, build},
    python::{Dict, Raised, Value, json, text},
};

/// Between two events, in microseconds.
const PACE_US: u64 = SECOND_US / 10;

/// A run of the canned agent.
#[derive(Debug)]
pub(in crate::legacy::message_router) struct Canned {
    request: String,
    turn_id: Value,
    several: bool,
    real_llm: Value,
    /// Events sent so far.
    sent: usize,
}

/// Starts a run.
///
/// H2: it ends at once, for a name that is not defined, and the client reads that name.
pub(super) fn request(message: &Message, cx: &mut Context<'_>) -> Step {
    if let Some(fault) = Some(cx.user).filter(|user| user.truthy()).and_then(Value::slice_fault) {
        return failed(quotable(&fault, cx), cx);
    }
    if cx.hazards.has(Hazard::H2) {
        return failed("name 'user_request' is not defined", cx);
    }
    let texts = ["message", "content", "user_request"].map(|key| message.get(key));
    let asked = texts.into_iter().flatten().find(|value| value.truthy());
    let flag = |key: &str| message.get(key).cloned().unwrap_or(Value::Bool(false));
    let canned = Canned {
        request: asked.map_or_else(String::new, text::str),
        turn_id: message.get("turn_id").cloned().unwrap_or_else(|| "unknown".into()),
        several: flag("require_multi_agent").truthy(),
        real_llm: flag("real_llm"),
        sent: 0,
    };
    canned.next(cx)
}

/// A cause as clients may read it. H14: whatever it names.
fn quotable<'a>(cause: &'a str, cx: &Context<'_>) -> &'a str {
    if cx.hazards.has(Hazard::H14) { cause } else { "internal error" }
}

/// Tells the client that a run failed. It is not asked whether the socket is open: where it is not, that raises.
fn failed(cause: &str, cx: &mut Context<'_>) -> Step {
    let error = Value::dict([
        ("type", MessageType::ErrorMessage.wire().into()),
        ("error_code", "AGENT_REQUEST_ERROR".into()),
        ("error_message", format!("Failed to process agent request: {cause}").into()),
        ("timestamp", cx.now().into()),
    ]);
    match cx.send(Frame::Text(json::dumps(&error))) {
        Ok(()) => Step::returned(false),
        Err(fault) if cx.hazards.has(Hazard::H17) => Step::Done(Err(fault.raised)),
        Err(_) => Step::returned(false),
    }
}

impl Canned {
    /// Sends the next event; after the last the run has ended.
    pub(in crate::legacy::message_router) fn next(mut self, cx: &mut Context<'_>) -> Step {
        if let Err(Raised { text, .. }) = self.send(cx) {
            return failed(quotable(&text, cx), cx);
        }
        self.sent += 1;
        if self.sent == 5 {
            return Step::returned(true);
        }
        Step::Pause(PACE_US, Resume::Canned(Box::new(self)))
    }

    fn send(&self, cx: &mut Context<'_>) -> Result<(), Raised> {
        let (kind, event) = [
            (MessageType::SystemMessage, "agent_started"),
            (MessageType::AgentProgress, "agent_thinking"),
            (MessageType::AgentProgress, "tool_executing"),
            (MessageType::AgentProgress, "tool_completed"),
            (MessageType::AgentResponseComplete, "agent_completed"),
        ][self.sent];
        let mut data = Dict::from([("event", event.into()), ("type", event.into())]);
        let more = match self.sent {
            0 => Dict::from([("status", "Agent execution started".into())]),
            1 => Dict::from([("status", "Agent is analyzing request".into())]),
            2 => tool_executing(),
            3 => tool_completed(),
            _ => self.answer(),
        };
        more.iter().for_each(|(key, value)| data.set(key, value.clone()));
        data.set("user_id", cx.user.clone());
        data.set("turn_id", self.turn_id.clone());
        data.set("timestamp", cx.now());
        let frame = build::server(kind, data, cx.now());
        cx.send(Frame::Text(json::dumps(&frame))).map_err(|fault| fault.raised)
    }

    fn answer(&self) -> Dict {
        let (beginning, agents, seconds): (_, &[&str], _) = if self.several {
            let agents = &["supervisor", "triage", "optimization"];
            ("Multi-agent collaboration completed for: ", agents, 1.2)
        } else {
            ("Agent response for: ", &["triage"], 0.8)
        };
        let text = Value::from(format!("{beginning}{}", self.request));
        Dict::from([
            ("status", "success".into()),
            ("content", text.clone()),
            ("message", text),
            ("agents_involved", agents.iter().copied().collect()),
            ("orchestration_time", seconds.into()),
            ("response_time", seconds.into()),
            ("real_llm_used", self.real_llm.clone()),
        ])
    }
}

fn tool_executing() -> Dict {
    let parameters = Value::dict([("action", "analyze".into())]);
    let payload = Value::dict([
        ("tool_name", "analysis_tool".into()),
        ("agent_name", "supervisor-agent".into()),
        ("parameters", parameters),
        ("tool_purpose", "Data analysis".into()),
        ("estimated_duration_ms", Value::Int(2000)),
    ]);
    Dict::from([("status", "Executing analysis tools".into()), ("payload", payload)])
}

fn tool_completed() -> Dict {
    let payload = Value::dict([
        ("tool_name", "analysis_tool".into()),
        ("agent_name", "supervisor-agent".into()),
        ("result", "Analysis complete".into()),
        ("duration_ms", Value::Int(2000)),
        ("success", true.into()),
    ]);
    Dict::from([("status", "Tool execution completed".into()), ("payload", payload)])
}

/// Types for which the bridge of a connection is registered.
pub(in crate::legacy::message_router) const BRIDGED: [MessageType; 5] = [
    MessageType::UserMessage,
    MessageType::Chat,
    MessageType::AgentRequest,
    MessageType::StartAgent,
    MessageType::AgentTask,
];

/// Tells a client that there is nobody who could answer, which the old router did not (H9).
pub(in crate::legacy::message_router) fn unavailable(cx: &mut Context<'_>) {
    reply::refuse("AGENT_UNAVAILABLE", "no agent is available", "", cx);
}
