//! The execution engine: tracking records, the deadline, and the two events of a call.

use std::collections::BTreeMap;

use router::Instant;
use serde_json::Value;

use super::{
    Answer, Ending, Raised, about_an_error,
    event::{Bridge, BridgeCall, Completed, Status, ToolEvent, Wire},
    text,
};
use crate::legacy::{Hazard, Hazards};

/// Time a tool is given, in microseconds.
pub const DEADLINE_US: u64 = 30_000_000;
/// Who speaks when the caller gave no name.
const DISPATCHER_NAME: &str = "ToolDispatcher";

/// An engine. Each dispatcher had one of its own.
#[derive(Debug)]
pub struct Engine {
    hazards: Hazards,
    wire: Wire,
    /// Tracking records by execution id.
    active: BTreeMap<String, Record>,
    /// Calls in flight per user, as the limit per user would see them.
    of_users: BTreeMap<String, u32>,
    figures: EngineFigures,
    serial: u64,
}

#[derive(Clone, Debug)]
struct Record {
    tool: String,
    user: String,
}

/// Counts of an engine. Without defects `total = successful + failed` once nothing is active.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineFigures {
    /// Calls that ended.
    pub total: u64,
    /// With a result.
    pub successful: u64,
    /// Otherwise.
    pub failed: u64,
    /// Microseconds of those that ended.
    pub total_us: u64,
}

/// A call in the form that agents used: the state stands for the context.
#[derive(Clone, Copy, Debug)]
pub struct StateCall<'a> {
    /// The tool's name.
    pub tool: &'a str,
    /// Its parameters.
    pub parameters: &'a Value,
    /// The run's owner.
    pub user: &'a str,
    /// The run.
    pub run: &'a str,
    /// The state has a socket's context in it.
    pub socket_in_state: bool,
}

/// The context in a call of the keyword form.
#[derive(Clone, Copy, Debug)]
pub enum EngineContext<'a> {
    /// None was passed.
    Absent,
    /// A plain map instead of an object.
    Map,
    /// An object with these ids.
    Ids {
        /// The owner.
        user: &'a str,
        /// The conversation.
        thread: &'a str,
        /// The run.
        run: &'a str,
        /// The agent, if it has a name.
        agent: Option<&'a str>,
    },
}

/// How a call came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    State,
    Input,
}

/// A call that began: its tool may run. To be given back to [`Engine::end`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a call that began must end"]
pub struct Started {
    form: Form,
    /// The tracking record; on one path there was none.
    execution: Option<String>,
    tool: String,
    user: String,
    run: String,
    agent: String,
    at: Instant,
    /// When the tool is given up; never, with `T6`.
    pub deadline: Option<Instant>,
}

/// What an emergency shutdown did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shutdown {
    /// Records removed.
    pub executions: u64,
    /// Their users, as far as records carry one.
    pub by_user: BTreeMap<String, u64>,
}

impl Engine {
    /// An engine with a way for its events.
    pub fn new(hazards: Hazards, wire: Wire) -> Self {
        let (active, of_users) = (BTreeMap::new(), BTreeMap::new());
        Self { hazards, wire, active, of_users, figures: EngineFigures::default(), serial: 0 }
    }

    /// Where its events go.
    pub const fn wire(&self) -> &Wire {
        &self.wire
    }

    /// Replaces the way for its events.
    pub fn set_bridge(&mut self, bridge: Bridge) {
        self.wire.bridge = bridge;
    }

    /// Its counts.
    pub const fn figures(&self) -> EngineFigures {
        self.figures
    }

    /// Tracking records, and the different tools in them.
    pub fn active(&self) -> (usize, usize) {
        let mut tools: Vec<&str> = self.active.values().map(|record| record.tool.as_str()).collect();
        tools.sort_unstable();
        tools.dedup();
        (self.active.len(), tools.len())
    }

    /// Calls in flight of a user, as the engine believes.
    pub fn in_flight(&self, user: &str) -> u32 {
        self.of_users.get(user).copied().unwrap_or_default()
    }

    /// Begins a call in the form of agents.
    ///
    /// # Errors
    /// A call without a name; with `T26` any call whose state has a socket in it.
    pub fn begin_with_state(
        &mut self,
        now: Instant,
        call: &StateCall<'_>,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Started, Raised> {
        if call.tool.is_empty() {
            return Err(Raised::new("ValueError", "Tool name is required for execution"));
        }
        if call.run.is_empty() {
            return Err(Raised::new("ValueError", "Run ID is required for execution"));
        }
        if self.hazards.has(Hazard::T26) && call.socket_in_state {
            return Err(Raised::new("NameError", "name 'AgentExecutionContext' is not defined"));
        }
        // This path kept no record and counted nothing.
        let execution = (!self.hazards.has(Hazard::T9)).then(|| self.track(now, call.tool, Some(call.user)));
        let started = Started {
            form: Form::State,
            execution,
            tool: call.tool.to_owned(),
            user: call.user.to_owned(),
            run: call.run.to_owned(),
            agent: format!("ToolExecutor[{}]", call.tool),
            at: now,
            deadline: self.deadline(now),
        };
        let summary = text::summary(call.parameters);
        self.say(&started, |tool| ToolEvent::Executing { tool, summary }, out);
        Ok(started)
    }

    /// Begins a call in the keyword form. `shown` is what its event says of the parameters.
    ///
    /// # Errors
    /// No context, one that is a map, or no bridge, as far as those are defects that are switched on.
    pub fn begin_with_input(
        &mut self,
        now: Instant,
        tool: &str,
        shown: String,
        context: EngineContext<'_>,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Started, Raised> {
        // The record is made ahead of everything that may fail, and what fails here leaves it behind.
        let early = self.hazards.has(Hazard::T11).then(|| {
            let user = if let EngineContext::Ids { user, .. } = context { Some(user) } else { None };
            self.track(now, tool, user)
        });
        let (user, thread, run, agent) = match context {
            EngineContext::Ids { user, thread, run, agent } => (user, thread, run, agent),
            EngineContext::Absent if self.hazards.has(Hazard::T2) => return Err(about_an_error()),
            EngineContext::Absent => {
                return Err(Raised::new("ValueError", format!("Context is required to execute {tool}")));
            }
            EngineContext::Map => {
                let missing = if self.wire.bridge == Bridge::Absent { "run_id" } else { "user_id" };
                let text = format!("'dict' object has no attribute '{missing}'");
                return Err(Raised::new("AttributeError", text));
            }
        };
        if self.wire.bridge == Bridge::Absent && self.hazards.has(Hazard::T11) {
            let text = format!(
                "WebSocket notification failed: operation=tool_executing({tool}), user_id={user}, thread_id={thread}"
            );
            return Err(Raised::new("ConnectionError", text));
        }
        let execution = early.unwrap_or_else(|| self.track(now, tool, Some(user)));
        let started = Started {
            form: Form::Input,
            execution: Some(execution),
            tool: tool.to_owned(),
            user: user.to_owned(),
            run: run.to_owned(),
            agent: agent.unwrap_or(DISPATCHER_NAME).to_owned(),
            at: now,
            deadline: self.deadline(now),
        };
        self.say(&started, |tool| ToolEvent::Executing { tool, summary: shown }, out);
        Ok(started)
    }

    /// Ends a call: its event, its figures, its answer.
    ///
    /// # Errors
    /// With `T7`, any error of a tool while there is no bridge.
    pub fn end(
        &mut self,
        now: Instant,
        started: Started,
        ending: Ending,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Answer, Raised> {
        let took_us = now.since(started.at);
        let failed = !matches!(ending, Ending::Answered(_));
        if let Some(execution) = &started.execution {
            self.settle(execution, &started.user, failed, took_us);
        }
        let (mut result, answer) = self.outcome(&started, took_us, ending);
        if failed && started.form == Form::State && self.wire.bridge == Bridge::Absent {
            // The error was to be wrapped for want of a bridge, and the wrapper was called wrongly.
            if self.hazards.has(Hazard::T7) {
                return Err(about_an_error());
            }
        }
        result.tool.clone_from(&started.tool);
        self.say(&started, |tool| ToolEvent::Completed { tool, result }, out);
        Ok(answer)
    }

    /// Says how far a tool is.
    pub fn progress(
        &mut self,
        run: &str,
        tool: &str,
        percentage: f64,
        message: &str,
        out: &mut Vec<BridgeCall>,
    ) {
        let message = if message.is_empty() { text::progress(percentage) } else { message.to_owned() };
        let remaining_ms = text::remaining_ms(tool, percentage);
        let event = ToolEvent::Progress { percentage, message, remaining_ms };
        self.hand_over(run.to_owned(), DISPATCHER_NAME.to_owned(), event, out);
    }

    /// The forced clean-up of a user's calls; how many records it removed.
    pub fn force_clean_up(&mut self, user: &str) -> usize {
        self.of_users.remove(user);
        let before = self.active.len();
        // Records carry no user where that went wrong, so none is found; the user's count is reset all the same.
        self.active.retain(|_, record| record.user.is_empty() || record.user != user);
        before - self.active.len()
    }

    /// Removes every record.
    pub fn shut_down(&mut self) -> Shutdown {
        let mut by_user: BTreeMap<String, u64> = BTreeMap::new();
        for record in self.active.values().filter(|record| !record.user.is_empty()) {
            *by_user.entry(record.user.clone()).or_default() += 1;
        }
        let executions = self.active.len() as u64;
        self.active.clear();
        self.of_users.clear();
        Shutdown { executions, by_user }
    }

    fn deadline(&self, now: Instant) -> Option<Instant> {
        (!self.hazards.has(Hazard::T6)).then(|| now.after(DEADLINE_US))
    }

    /// Makes a tracking record; two calls of one tool within a millisecond share one, with `T10`.
    fn track(&mut self, now: Instant, tool: &str, user: Option<&str>) -> String {
        self.serial += 1;
        let mut id = format!("{tool}_{}", now.as_micros() / 1_000);
        if !self.hazards.has(Hazard::T10) {
            id.push_str(&format!("_{}", self.serial));
        }
        let of_record = if self.hazards.has(Hazard::T12) { "" } else { user.unwrap_or_default() };
        self.active.insert(id.clone(), Record { tool: tool.to_owned(), user: of_record.to_owned() });
        if let Some(user) = user {
            *self.of_users.entry(user.to_owned()).or_default() += 1;
        }
        id
    }

    /// Takes a record away and counts its call; a call whose record another one took away counts nowhere.
    fn settle(&mut self, execution: &str, user: &str, failed: bool, took_us: u64) {
        if let Some(count) = self.of_users.get_mut(user) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.of_users.remove(user);
            }
        }
        if self.active.remove(execution).is_none() {
            return;
        }
        self.figures.total += 1;
        self.figures.successful += u64::from(!failed);
        self.figures.failed += u64::from(failed);
        self.figures.total_us += took_us;
    }

    fn outcome(&self, started: &Started, took_us: u64, ending: Ending) -> (Completed, Answer) {
        let of = |status, error: Option<String>, error_type: Option<&str>| Completed {
            status,
            took_us,
            tool: String::new(),
            output: None,
            error,
            error_type: error_type.map(str::to_owned),
        };
        let timeout = format!("Timeout after {}ms", took_us / 1_000);
        let (result, error) = match ending {
            Ending::Answered(result) => {
                let output = text::output(self.hazards, &result);
                return (Completed { output, ..of(Status::Success, None, None) }, Answer::Success(result));
            }
            // A tool that gives up by itself was told apart on one path only, and there its class was forgotten.
            Ending::Failed { kind, .. } if kind == "TimeoutError" && started.form == Form::Input => {
                (of(Status::Timeout, Some(timeout.clone()), None), timeout)
            }
            Ending::Failed { kind, message } => {
                (of(Status::Error, Some(message.clone()), Some(&kind)), message)
            }
            Ending::TimedOut => (of(Status::Timeout, Some(timeout.clone()), Some("TimeoutError")), timeout),
            Ending::Cancelled => {
                let text = "Tool call cancelled".to_owned();
                (of(Status::Cancelled, Some(text.clone()), Some("CancelledError")), text)
            }
        };
        (result, Answer::Failure(error))
    }

    /// An event of a call. Whether it was taken makes no difference to the call.
    fn say(
        &self,
        started: &Started,
        event: impl FnOnce(Option<String>) -> ToolEvent,
        out: &mut Vec<BridgeCall>,
    ) {
        let agent = started.agent.clone();
        if self.wire.bridge == Bridge::Shifted {
            self.hand_over(started.tool.clone(), agent, event(None), out);
        } else {
            self.hand_over(started.run.clone(), agent, event(Some(started.tool.clone())), out);
        }
    }

    fn hand_over(&self, run_id: String, agent_name: String, event: ToolEvent, out: &mut Vec<BridgeCall>) {
        match self.wire.bridge {
            Bridge::Works | Bridge::Shifted => {
                out.push(BridgeCall { sink: self.wire.sink.clone(), run_id, agent_name, event });
            }
            Bridge::Absent | Bridge::Refuses | Bridge::Raises => {}
        }
    }
}
