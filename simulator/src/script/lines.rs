//! What the agent says in a step: texts with the request's canary, as the router takes them.

use router::{AgentEvent, ToolStatus};
use serde_json::value::RawValue;

use super::Step;
use super::filler::Phrases;

/// The texts of one step; reuse it.
#[derive(Debug, Default)]
pub struct Lines {
    body: String,
    call: String,
    phrases: Phrases,
}

impl Lines {
    /// Writes the texts of a step, each beginning with the canary of the request it answers.
    pub fn write(&mut self, step: &Step, canary: &str) {
        self.body.clear();
        self.call.clear();
        match step {
            Step::ToolStart { call, .. } => {
                self.name(*call);
                self.body.push_str(r#"{"query":""#);
                self.phrases.render(step, canary, &mut self.body);
                self.body.push_str(r#""}"#);
            }
            Step::ToolEnd { call, .. } => {
                self.name(*call);
                self.body.push('"');
                self.phrases.render(step, canary, &mut self.body);
                self.body.push('"');
            }
            Step::Started { .. } | Step::Thinking { .. } | Step::Answer { .. } => {
                self.phrases.render(step, canary, &mut self.body);
            }
            Step::Fail { .. } | Step::Silence => {}
        }
    }

    /// `call-7`
    fn name(&mut self, call: u8) {
        self.call.push_str("call-");
        for place in [100, 10] {
            if call >= place {
                self.call.push(char::from(b'0' + call / place % 10));
            }
        }
        self.call.push(char::from(b'0' + call % 10));
    }

    /// What the agent reports to the router in the step just written; nothing if it falls silent. `elapsed_us`:
    /// microseconds since the run began.
    pub fn event<'a>(&'a self, step: &'a Step, agent: &'a str, elapsed_us: u64) -> Option<AgentEvent<'a>> {
        let body = self.body.as_str();
        Some(match step {
            Step::Started { .. } => AgentEvent::Started { agent, task: body },
            Step::Thinking { step, .. } => AgentEvent::Thinking { reasoning: body, step: Some(*step) },
            Step::ToolStart { tool, .. } => {
                AgentEvent::ToolExecuting { call: &self.call, tool, parameters: json(body) }
            }
            Step::ToolEnd { ok, duration_us, .. } => AgentEvent::ToolCompleted {
                call: &self.call,
                status: if *ok { ToolStatus::Completed } else { ToolStatus::Error },
                results: json(body),
                duration_ms: duration_us / 1_000,
            },
            Step::Answer { .. } => {
                AgentEvent::Completed { response: body, execution_time_ms: Some(elapsed_us / 1_000) }
            }
            Step::Fail { code, message } => AgentEvent::Failed { code, message },
            Step::Silence => return None,
        })
    }
}

/// The rendered texts need no escapes, so this never falls back.
fn json(text: &str) -> &RawValue {
    serde_json::from_str(text).unwrap_or(RawValue::NULL)
}
