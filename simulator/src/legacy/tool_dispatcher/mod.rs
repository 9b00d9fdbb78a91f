//! The tool dispatchers of old: one request-scoped dispatcher, the engine that ran its tools, a process-wide factory
//! with its layers of redirects, a permission layer and a validator that nobody called, and a test double.
//!
//! | piece | what it knows |
//! |---|---|
//! | [`Dispatcher`] | one context, its registry, its figures; two ways to call a tool |
//! | [`Engine`] | tracking records, deadlines, the two events of a call |
//! | [`Factory`] | the ways to a dispatcher, the sink they share, counters |
//! | [`Permissions`] | plans, roles, features, windows, slots |
//! | [`validate`], [`text`] | what a call must look like, what a user is shown |
//! | [`Double`] | what tests used instead |
//!
//! The models have no clock: times come in. A tool's body is the caller's: a call that begins hands out a value, and the
//! caller gives it back with the tool's [`Ending`]. Events come out as [`BridgeCall`]s.
//!
//! All facts come from recordings of the old parts and from their catalogue of defects. What acts nowhere but in the model:
//! `T18`, `T19` and `T20` are defects of the way objects were put together, so they show as calls that cannot be made;
//! `T22` is a matter of log lines, seen in the factory's counters; `T26` needs a state with a socket in it, which no caller
//! of the recordings had. What a callable that was registered at run time did before its error was masked (`T7`) is
//! recorded nowhere; without the mask it answers with its parameters.

mod context;
mod dispatcher;
mod double;
mod engine;
mod event;
mod factory;
mod made;
mod permission;
mod python;
pub mod text;
pub mod validate;

#[cfg(test)]
mod tests;

pub use self::{
    context::Context,
    dispatcher::{Begun, Dispatcher, Figures, KeywordContext, Running, ToolCall},
    double::Double,
    engine::{DEADLINE_US, Engine, EngineContext, EngineFigures, Shutdown, Started, StateCall},
    event::{Bridge, BridgeCall, Completed, Status, ToolEvent, Wire},
    factory::{Counters, Factory, Given, Handed, Way},
    made::{Face, Made, constructed_directly},
    permission::{Asked, Counts, Permissions},
};

pub use super::python::Raised;

use serde_json::{Value, json};

/// An exception whose constructor was called wrongly: the class that was meant is gone, and so is the text.
fn about_an_error() -> Raised {
    Raised::new("TypeError", "ValueError() takes no keyword arguments")
}

/// How a tool's body ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It answered.
    Answered(Value),
    /// It raised.
    Failed {
        /// The class, for example `ValueError`.
        kind: String,
        /// The text.
        message: String,
    },
    /// Its deadline passed.
    TimedOut,
    /// Its dispatcher was cleaned up.
    Cancelled,
}

/// What a caller gets for a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// The tool's result.
    Success(Value),
    /// An error, of the tool or of what stood around it.
    Failure(String),
    /// There is no such tool here, or the call was refused ahead of it: no metadata.
    Refused(String),
}

impl Answer {
    /// Whether it is an error.
    pub const fn is_error(&self) -> bool {
        match self {
            Answer::Success(_) => false,
            Answer::Failure(_) | Answer::Refused(_) => true,
        }
    }

    /// The form that agents got.
    pub fn mapping(&self, tool: &str, run: &str) -> Value {
        match self {
            Answer::Success(result) => {
                json!({"success": true, "result": result, "metadata": {"tool_name": tool, "run_id": run}})
            }
            Answer::Failure(error) => {
                json!({"success": false, "error": error, "metadata": {"tool_name": tool, "run_id": run}})
            }
            Answer::Refused(error) => json!({"success": false, "error": error}),
        }
    }

    /// The form of the keyword interface.
    pub fn typed(&self) -> Value {
        let (status, message, payload) = match self {
            Answer::Success(result) => ("success", "", json!({"result": result})),
            Answer::Failure(error) | Answer::Refused(error) => ("error", error.as_str(), Value::Null),
        };
        json!({
            "status": status, "message": message, "payload": payload, "error_details": null, "end_time": null,
            "execution_metadata": {},
        })
    }
}
