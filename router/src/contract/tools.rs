//! Tool calls: what an agent asks, what the shell must run, what the agent gets back.

use alloc::{boxed::Box, format, string::String, sync::Arc};
use core::fmt;

use serde_json::value::RawValue;

use super::{Instant, RunRef, ToolStatus, UserId};
use crate::tools::PermissionResult;

/// One step in the life of a run's tool calls. Everything that decides about a call happens in the core; the shell
/// runs what [`Effect::RunTool`](super::Effect::RunTool) says and reports by [`Done`](Self::Done).
#[derive(Clone, Copy, Debug)]
pub enum ToolStep<'a> {
    /// The agent offers a tool of its own to this run; a name that is known already is described anew. A name that
    /// is none, or one tool too many, is counted as refused and changes nothing.
    Register {
        /// The tool's name, exact and case-sensitive.
        name: &'a str,
        /// What it does; empty means `Dynamic tool: NAME`.
        description: &'a str,
    },
    /// The agent wants a tool to be run.
    Call {
        /// Names the call within its run; must not be open.
        call: &'a str,
        /// The run the agent believes to be in, if it says so; any other than its own is answered as if the tool
        /// did not exist.
        run_id: Option<&'a str>,
        /// Which tool.
        tool: &'a str,
        /// Its parameters: a JSON object.
        parameters: &'a RawValue,
    },
    /// Progress of a call, or of work that is no call.
    Progress {
        /// The call in flight whose start the remaining time is estimated from.
        call: Option<&'a str>,
        /// The tool, when no call is named.
        tool: &'a str,
        /// How much is done, 0 to 100.
        percentage: f64,
        /// Text for the user; empty means `Processing: N% complete`.
        message: &'a str,
    },
    /// A tool that the shell was asked to run has ended.
    Done {
        /// Which call.
        call: &'a str,
        /// Its result, a JSON value, or why there is none.
        result: Result<&'a RawValue, ToolFailure<'a>>,
    },
}

/// How a tool failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolFailure<'a> {
    /// Text for the agent and the user.
    pub message: &'a str,
    /// The kind of error, e.g. `ValueError`; `MemoryError`, `SystemError` and `KeyboardInterrupt` are not recoverable.
    pub kind: &'a str,
}

/// A tool to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRequest {
    /// The run it belongs to.
    pub run: RunRef,
    /// The call's id within its run.
    pub call: Arc<str>,
    /// Which tool.
    pub tool: Box<str>,
    /// A JSON object, checked and sanitised.
    pub parameters: Box<str>,
    /// The run's owner.
    pub user: UserId,
    /// When the router gives the call up by itself and tells so by [`Effect::CancelTool`](super::Effect::CancelTool).
    pub deadline: Instant,
}

/// A tool call that has ended, and whose tool must stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelledTool {
    /// The run.
    pub run: RunRef,
    /// The call's id within it.
    pub call: Arc<str>,
}

/// What an agent gets back for a call: exactly one per [`ToolStep::Call`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolAnswer {
    /// The run.
    pub run: RunRef,
    /// The call's id within its run.
    pub call: Arc<str>,
    /// The tool's name.
    pub tool: Box<str>,
    /// How it ended.
    pub outcome: ToolOutcome,
    /// Id of the run, for [`to_json`](Self::to_json); empty when there is no such run.
    pub(crate) run_id: String,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolOutcome {
    /// The tool answered: a JSON value, whole.
    Success(Box<str>),
    /// The tool ran and failed, took too long, or was cancelled.
    Failed {
        /// [`Error`](ToolStatus::Error), [`Timeout`](ToolStatus::Timeout) or [`Cancelled`](ToolStatus::Cancelled).
        status: ToolStatus,
        /// Why.
        error: Box<str>,
    },
    /// The tool was not run, and no event was sent.
    Refused(ToolRefusal),
}

/// Why a call was refused before its tool was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolRefusal {
    /// What it broke.
    pub reason: ToolRefusalReason,
    /// Text for the agent.
    pub text: String,
}

/// What a refused call broke, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ToolRefusalReason {
    /// The dispatcher, or its run, is no more.
    Disposed,
    /// The user has as many dispatchers as one may have.
    DispatcherLimit,
    /// No such tool, or another run's name was given.
    NotFound,
    /// Name or parameters are not what they must be.
    Invalid,
    /// The permission layer said no.
    Permission(PermissionResult),
    /// The user has too many calls in flight.
    InFlightLimit,
    /// The user made too many calls within a minute.
    CallRate,
    /// The run is not at work, or the call's id is too long, open, or that of a call that was given up and has not
    /// reported yet.
    Order,
}

impl fmt::Display for ToolRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl core::error::Error for ToolRefusal {}

impl ToolAnswer {
    /// The call failed, or was refused.
    pub const fn is_error(&self) -> bool {
        !matches!(self.outcome, ToolOutcome::Success(_))
    }

    /// The error's text; empty for a success.
    pub fn error(&self) -> &str {
        match &self.outcome {
            ToolOutcome::Success(_) => "",
            ToolOutcome::Failed { error, .. } => error,
            ToolOutcome::Refused(refusal) => &refusal.text,
        }
    }

    /// The answer as JSON: `{"success":true,"result":…,"metadata":{"tool_name":…,"run_id":…}}`, or
    /// `{"success":false,"error":…,"metadata":…}`; without metadata when the tool was not run.
    pub fn to_json(&self) -> String {
        let quoted = |text: &str| serde_json::Value::from(text);
        let metadata =
            format!(r#""metadata":{{"tool_name":{},"run_id":{}}}"#, quoted(&self.tool), quoted(&self.run_id));
        match &self.outcome {
            ToolOutcome::Success(result) => format!(r#"{{"success":true,"result":{result},{metadata}}}"#),
            ToolOutcome::Failed { error, .. } => {
                format!(r#"{{"success":false,"error":{},{metadata}}}"#, quoted(error))
            }
            ToolOutcome::Refused(refusal) => {
                format!(r#"{{"success":false,"error":{}}}"#, quoted(&refusal.text))
            }
        }
    }
}
