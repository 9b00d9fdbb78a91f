//! The two events of a call, and the way to whoever is to see them.

use std::rc::Rc;

use serde_json::{Map, Value, json};

/// Kinds of error after which trying again makes no sense.
const FATAL: &[&str] = &["MemoryError", "SystemError", "KeyboardInterrupt"];

/// What an engine was given to send events with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bridge {
    /// Nothing.
    Absent,
    /// It takes events.
    Works,
    /// It answers that it could not.
    Refuses,
    /// It raises; the engine swallows that.
    Raises,
    /// It takes events with its arguments off by one: the tool's name stands where the run id belongs.
    Shifted,
}

/// A bridge, and whose events it carries away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// How well it works.
    pub bridge: Bridge,
    /// The user whose sink is at its end; `None` for a recorder without owner.
    pub sink: Option<Rc<str>>,
}

impl Wire {
    /// No bridge.
    pub const ABSENT: Wire = Wire { bridge: Bridge::Absent, sink: None };

    /// A bridge to nobody in particular.
    pub const fn to_recorder(bridge: Bridge) -> Self {
        Self { bridge, sink: None }
    }

    /// A bridge that leads to a user.
    pub fn to_user(bridge: Bridge, user: &str) -> Self {
        Self { bridge, sink: Some(user.into()) }
    }
}

/// A call that reached the bridge.
#[derive(Clone, Debug, PartialEq)]
pub struct BridgeCall {
    /// The user whose sink takes it.
    pub sink: Option<Rc<str>>,
    /// Run id as it goes out.
    pub run_id: String,
    /// Who speaks.
    pub agent_name: String,
    /// What is said.
    pub event: ToolEvent,
}

/// An event of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum ToolEvent {
    /// A tool is about to start.
    Executing {
        /// Its name as it goes out.
        tool: Option<String>,
        /// What is shown of the parameters.
        summary: String,
    },
    /// It ended.
    Completed {
        /// Its name as it goes out.
        tool: Option<String>,
        /// How.
        result: Completed,
    },
    /// It is at work.
    Progress {
        /// Percent done.
        percentage: f64,
        /// Text for the user, twice in the event.
        message: String,
        /// What may be left, in milliseconds.
        remaining_ms: u64,
    },
}

/// How a call ended, in its event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// With a result.
    Success,
    /// With an error.
    Error,
    /// By its deadline.
    Timeout,
    /// By the clean-up.
    Cancelled,
}

impl Status {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::Error => "error",
            Status::Timeout => "timeout",
            Status::Cancelled => "cancelled",
        }
    }
}

/// The result object of the second event.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// How it ended.
    pub status: Status,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// The tool's name, whatever the event says.
    pub tool: String,
    /// What is shown of a result.
    pub output: Option<String>,
    /// Text of an error.
    pub error: Option<String>,
    /// Class of an error, where it is known.
    pub error_type: Option<String>,
}

impl Completed {
    /// The object.
    pub fn to_value(&self) -> Value {
        let mut out = Map::new();
        out.insert("status".to_owned(), self.status.name().into());
        out.insert("duration_ms".to_owned(), (self.took_us as f64 / 1e3).into());
        out.insert("tool_name".to_owned(), self.tool.as_str().into());
        if self.status == Status::Success {
            out.insert("output".to_owned(), self.output.clone().into());
            return Value::Object(out);
        }
        out.insert("error".to_owned(), self.error.clone().unwrap_or_default().into());
        if let Some(kind) = &self.error_type {
            out.insert("error_type".to_owned(), kind.as_str().into());
            out.insert("recoverable".to_owned(), (!FATAL.contains(&kind.as_str())).into());
        }
        Value::Object(out)
    }
}

impl BridgeCall {
    /// The call as a recorder notes it.
    pub fn to_value(&self) -> Value {
        let (run, agent) = (&self.run_id, &self.agent_name);
        match &self.event {
            ToolEvent::Executing { tool, summary } => json!({
                "event": "tool_executing", "run_id": run, "agent_name": agent, "tool_name": tool,
                "parameters": {"summary": summary},
            }),
            ToolEvent::Completed { tool, result } => json!({
                "event": "tool_completed", "run_id": run, "agent_name": agent, "tool_name": tool,
                "result": result.to_value(), "execution_time_ms": result.took_us as f64 / 1e3,
            }),
            ToolEvent::Progress { percentage, message, remaining_ms } => json!({
                "event": "progress_update", "run_id": run, "agent_name": agent,
                "progress": {
                    "percentage": percentage, "message": message, "estimated_remaining_ms": remaining_ms,
                    "current_step": message,
                },
            }),
        }
    }
}
