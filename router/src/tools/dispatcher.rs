//! A dispatcher: the tools, calls and figures of one execution context.

use alloc::{
    borrow::ToOwned as _,
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    format,
    string::{String, ToString as _},
    sync::Arc,
    vec::Vec,
};

use serde_json::value::RawValue;

use super::{context::Context, text, validate};
use crate::contract::{Instant, ToolFailure, ToolOutcome, ToolRefusal, ToolRefusalReason, ToolStatus};

/// Kinds of error after which there is no point in trying again.
const FATAL: &[&str] = &["MemoryError", "SystemError", "KeyboardInterrupt"];

/// The dispatcher of one execution context. Only a [`Toolbox`](super::Toolbox) makes one, and nothing of it can be
/// changed from outside; it works for its own context and no other, so whoever holds it can act for nobody else.
///
/// ```compile_fail
/// // There is no other way to get one.
/// let context = router::tools::Context::new("ada", "t", "run-1", "m-1").unwrap();
/// let dispatcher = router::tools::Dispatcher { context, number: 1 };
/// ```
///
/// ```compile_fail
/// // And a context, once bound, stays: the field is private and there is no setter.
/// fn steal(dispatcher: &mut router::tools::Dispatcher, other: router::tools::Context) {
///     dispatcher.context = other;
/// }
/// ```
#[derive(Debug)]
#[must_use = "a dispatcher counts against its user's limit until it is closed"]
pub struct Dispatcher {
    pub(super) context: Context,
    pub(super) number: u64,
    pub(super) admin: bool,
    pub(super) active: bool,
    pub(super) born: Instant,
    /// Tools of this dispatcher alone: name and description.
    pub(super) own: BTreeMap<Box<str>, Box<str>>,
    pub(super) calls: Vec<InFlight>,
    /// Ids of calls that were given up and whose tool may still report: not to be used before it did, or its report
    /// would end the newer call. As many as the rate of calls allows while the run lasts.
    pub(super) overdue: BTreeSet<Arc<str>>,
    pub(super) figures: Figures,
}

/// Counts of one dispatcher. `executed = successful + failed + in flight`; a refused call is none of these.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that reached their tool.
    pub executed: u64,
    /// Ended with a result.
    pub successful: u64,
    /// Ended with an error, a timeout or a cancel.
    pub failed: u64,
    /// Refused before the tool was run.
    pub refused: u64,
    /// Notes of the validator.
    pub warnings: u64,
    /// Microseconds of all calls that ended.
    pub total_us: u64,
}

impl Figures {
    /// Share of successes among the calls that ended; 0 when none did.
    pub fn success_rate(&self) -> f64 {
        let ended = self.successful + self.failed;
        if ended == 0 { 0.0 } else { self.successful as f64 / ended as f64 }
    }

    /// Mean duration of the calls that ended, in milliseconds; 0 when none did.
    pub fn average_ms(&self) -> f64 {
        let ended = self.successful + self.failed;
        if ended == 0 { 0.0 } else { self.total_us as f64 / 1_000.0 / ended as f64 }
    }
}

/// A call whose tool is at work.
#[derive(Clone, Debug)]
pub(super) struct InFlight {
    pub(super) call: Arc<str>,
    pub(super) tool: Box<str>,
    pub(super) serial: u64,
    pub(super) started: Instant,
    pub(super) deadline: Instant,
    pub(super) holds_slot: bool,
}

/// A call on its way to its tool.
#[derive(Debug)]
pub struct Begun {
    /// The call's id.
    pub call: Arc<str>,
    /// Number of the call, unique in its toolbox.
    pub serial: u64,
    /// The parameters for the tool, sanitised.
    pub parameters: Box<str>,
    /// The parameters for the event: a summary of the real ones.
    pub shown: Box<RawValue>,
    /// When the call is given up.
    pub deadline: Instant,
}

/// A call that ended.
#[derive(Debug)]
pub struct Ended {
    /// The call's id.
    pub call: Arc<str>,
    /// The tool's name.
    pub tool: Box<str>,
    /// Number of the call.
    pub serial: u64,
    /// How it ended.
    pub status: ToolStatus,
    /// Milliseconds since it began.
    pub duration_ms: u64,
    /// The `results` of the event.
    pub shown: Box<RawValue>,
    /// For the agent.
    pub outcome: ToolOutcome,
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// Its tool answered, or failed.
    Answered(Result<&'a str, ToolFailure<'a>>),
    /// Its deadline passed.
    TimedOut,
    /// Its dispatcher is closed.
    Cancelled,
}

impl Dispatcher {
    /// What it is bound to.
    pub const fn context(&self) -> &Context {
        &self.context
    }

    /// Id for logs: user, run, and a number that no other dispatcher of the toolbox has.
    pub fn id(&self) -> String {
        format!("{}_{}_{}", self.context.user(), self.context.run(), self.number)
    }

    /// Whether it has the admin capability.
    pub const fn is_admin(&self) -> bool {
        self.admin
    }

    /// Whether it has not been closed.
    pub const fn is_active(&self) -> bool {
        self.active
    }

    /// Its counts.
    pub const fn figures(&self) -> Figures {
        self.figures
    }

    /// Calls whose tools are at work.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whole seconds since it was made.
    pub const fn uptime_s(&self, now: Instant) -> u64 {
        now.since(self.born) / 1_000_000
    }

    pub(super) fn refuse(&mut self, reason: ToolRefusalReason, text: impl Into<String>) -> ToolRefusal {
        self.figures.refused += 1;
        ToolRefusal { reason, text: text.into() }
    }

    pub(super) fn disposed(&self) -> ToolRefusal {
        let text = format!("Dispatcher [{}] has been disposed", self.context.correlation());
        ToolRefusal { reason: ToolRefusalReason::Disposed, text }
    }

    /// The call in flight of that id.
    pub(super) fn find(&self, call: &str) -> Option<&InFlight> {
        self.calls.iter().find(|open| *open.call == *call)
    }

    /// The id of the call with that number, while it is in flight.
    pub(crate) fn call_of(&self, serial: u64) -> Option<Arc<str>> {
        self.calls.iter().find(|open| open.serial == serial).map(|open| open.call.clone())
    }

    /// Whether a call of that id is in flight.
    pub(crate) fn has_in_flight(&self, call: &str) -> bool {
        self.find(call).is_some()
    }

    /// The oldest call in flight.
    pub(crate) fn oldest(&self) -> Option<Arc<str>> {
        self.calls.first().map(|open| open.call.clone())
    }

    /// Takes a call off the list and says how it ended.
    pub(super) fn end(&mut self, now: Instant, call: &str, ending: Ending<'_>) -> Option<(Ended, bool)> {
        let at = self.calls.iter().position(|open| *open.call == *call)?;
        let open = self.calls.remove(at);
        let elapsed = now.since(open.started);
        let (status, error, kind) = match ending {
            Ending::Answered(Ok(_)) => (ToolStatus::Completed, String::new(), ""),
            Ending::Answered(Err(failure)) => (ToolStatus::Error, failure.message.into(), failure.kind),
            Ending::TimedOut => {
                let given = open.deadline.since(open.started) / 1_000;
                (ToolStatus::Timeout, format!("Timeout after {given}ms"), "TimeoutError")
            }
            Ending::Cancelled => (ToolStatus::Cancelled, "Tool call cancelled".into(), "CancelledError"),
        };
        self.figures.total_us += elapsed;
        let duration_ms = elapsed / 1_000;
        let head = |status: &str| {
            let tool = serde_json::Value::from(&*open.tool);
            format!(r#"{{"status":"{status}","duration_ms":{duration_ms},"tool_name":{tool}"#)
        };
        let (shown, outcome) = if let Ending::Answered(Ok(result)) = ending {
            self.figures.successful += 1;
            self.figures.warnings += validate::result(result).warnings.len() as u64;
            let output = serde_json::Value::from(text::output(result));
            (format!(r#"{},"output":{output}}}"#, head("success")), ToolOutcome::Success(result.into()))
        } else {
            self.figures.failed += 1;
            let text = serde_json::Value::from(error.as_str());
            let kind_text = serde_json::Value::from(kind).to_string();
            let recoverable = !FATAL.contains(&kind);
            let head = head(status.name());
            let shown =
                format!(r#"{head},"error":{text},"error_type":{kind_text},"recoverable":{recoverable}}}"#);
            (shown, ToolOutcome::Failed { status, error: error.into() })
        };
        let (call, tool, serial) = (open.call, open.tool, open.serial);
        let ended = Ended { call, tool, serial, status, duration_ms, shown: raw(shown), outcome };
        Some((ended, open.holds_slot))
    }
}

/// JSON that was just written.
pub(super) fn raw(json: String) -> Box<RawValue> {
    RawValue::from_string(json).unwrap_or_else(|_| RawValue::NULL.to_owned())
}
