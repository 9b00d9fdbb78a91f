//! What an agent reports, in a form that outlives the report.

use alloc::{borrow::ToOwned as _, boxed::Box, string::String};

use serde_json::value::RawValue;

use super::{AgentEvent, ToolStatus};

/// An [`AgentEvent`] that owns its texts; the variants mean the same.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of AgentEvent, documented there")]
pub enum OwnedEvent {
    /// An event as JSON.
    Data { kind: String, data: Box<RawValue> },
    /// `agent_started`.
    Started { agent: String, task: String },
    /// `agent_thinking`.
    Thinking { reasoning: String, step: Option<u32> },
    /// `progress_update`.
    Progress { data: Box<RawValue> },
    /// `tool_executing`.
    ToolExecuting { call: String, tool: String, parameters: Box<RawValue> },
    /// `tool_completed`.
    ToolCompleted { call: String, status: ToolStatus, results: Box<RawValue>, duration_ms: u64 },
    /// `agent_completed`.
    Completed { response: String, execution_time_ms: Option<u64> },
    /// `agent_error`.
    Failed { code: String, message: String },
}

impl OwnedEvent {
    /// The same event, borrowed.
    pub fn borrow(&self) -> AgentEvent<'_> {
        match self {
            OwnedEvent::Data { kind, data } => AgentEvent::Data { kind, data },
            OwnedEvent::Started { agent, task } => AgentEvent::Started { agent, task },
            OwnedEvent::Thinking { reasoning, step } => AgentEvent::Thinking { reasoning, step: *step },
            OwnedEvent::Progress { data } => AgentEvent::Progress { data },
            OwnedEvent::ToolExecuting { call, tool, parameters } => {
                AgentEvent::ToolExecuting { call, tool, parameters }
            }
            OwnedEvent::ToolCompleted { call, status, results, duration_ms } => {
                AgentEvent::ToolCompleted { call, status: *status, results, duration_ms: *duration_ms }
            }
            OwnedEvent::Completed { response, execution_time_ms } => {
                AgentEvent::Completed { response, execution_time_ms: *execution_time_ms }
            }
            OwnedEvent::Failed { code, message } => AgentEvent::Failed { code, message },
        }
    }
}

impl From<AgentEvent<'_>> for OwnedEvent {
    fn from(event: AgentEvent<'_>) -> Self {
        match event {
            AgentEvent::Data { kind, data } => {
                OwnedEvent::Data { kind: kind.to_owned(), data: data.to_owned() }
            }
            AgentEvent::Started { agent, task } => {
                OwnedEvent::Started { agent: agent.to_owned(), task: task.to_owned() }
            }
            AgentEvent::Thinking { reasoning, step } => {
                OwnedEvent::Thinking { reasoning: reasoning.to_owned(), step }
            }
            AgentEvent::Progress { data } => OwnedEvent::Progress { data: data.to_owned() },
            AgentEvent::ToolExecuting { call, tool, parameters } => OwnedEvent::ToolExecuting {
                call: call.to_owned(),
                tool: tool.to_owned(),
                parameters: parameters.to_owned(),
            },
            AgentEvent::ToolCompleted { call, status, results, duration_ms } => OwnedEvent::ToolCompleted {
                call: call.to_owned(),
                status,
                results: results.to_owned(),
                duration_ms,
            },
            AgentEvent::Completed { response, execution_time_ms } => {
                OwnedEvent::Completed { response: response.to_owned(), execution_time_ms }
            }
            AgentEvent::Failed { code, message } => {
                OwnedEvent::Failed { code: code.to_owned(), message: message.to_owned() }
            }
        }
    }
}
