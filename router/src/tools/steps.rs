//! Tool calls of runs: the router's side.

use alloc::{boxed::Box, format, string::String, sync::Arc, vec::Vec};

use serde_json::value::RawValue;

use super::{
    context::Context,
    dispatcher::{Begun, Dispatcher, Ended, Ending, raw},
    figures::Health,
    policy::{Grants, Person, Policy},
    text,
    toolbox::{Call, Toolbox},
};
use crate::{
    contract::{
        AgentEvent, CancelledTool, Effect, Effects, RunRef, ToolAnswer, ToolOutcome, ToolRefusal,
        ToolRefusalReason, ToolRequest, ToolStep,
    },
    handlers::UNKNOWN_AGENT,
    router::Router,
    run,
    timers::Timer,
};

/// Who speaks in progress events of an agent that gave no name.
const DISPATCHER_NAME: &str = "ToolDispatcher";

impl Router {
    /// What all dispatchers share: catalogue, permissions, figures.
    pub const fn toolbox(&self) -> &Toolbox {
        &self.tools
    }

    /// Adds a tool that every run may call, subject to its policy; the last description of a name holds, and an empty
    /// one becomes `Dynamic tool: NAME`.
    pub fn add_tool(&mut self, name: &str, description: &str) {
        self.tools.add_tool(name, description);
    }

    /// Sets who may call a tool, and how often.
    pub fn set_tool_policy(&mut self, tool: &str, policy: Policy) {
        self.tools.permissions_mut().set_policy(tool, policy);
    }

    /// Sets roles, features and the admin flag of a user, whose plan is that of the connection. No client's frame gets
    /// here.
    pub fn set_grants(&mut self, user: &str, grants: Option<Grants>) {
        self.tools.set_grants(user, grants);
    }

    /// Whether tool calls could be dispatched right now; `took_us` is how long the host saw its last call's beginning
    /// take.
    pub fn tool_health(&mut self, took_us: u64) -> Health {
        self.tools.health(self.now, took_us)
    }

    /// The dispatcher of an open run; `None` while it has called no tool, and after its end.
    pub fn dispatcher_of(&self, run: RunRef) -> Option<&Dispatcher> {
        self.run(run)?.tools.as_deref()
    }

    /// The names of the tools that an open run may call, in alphabetical order.
    pub fn tools_of(&self, run: RunRef) -> Option<Vec<&str>> {
        match self.run(run)?.tools.as_deref() {
            Some(dispatcher) => self.tools.tools(dispatcher).ok(),
            None => Some(self.tools.catalogue().collect()),
        }
    }

    /// What the dispatcher of an open run is, or would be, bound to.
    pub fn context_of(&self, run: RunRef) -> Option<Context> {
        let state = self.run(run)?;
        let user = self.audience.user(state.owner?).id.clone();
        let id = run::id("run", &state.node, state.number);
        Some(Context::of_run(user, state.thread.clone(), id.into(), state.request.clone()))
    }

    pub(crate) fn tool_step(&mut self, run: RunRef, step: &ToolStep<'_>, out: &mut Effects) {
        match *step {
            ToolStep::Register { name, description } => {
                let registered = self.with_dispatcher(run, |toolbox, dispatcher, _| {
                    toolbox.register(dispatcher, name, description)
                });
                if registered.is_err() {
                    self.tools.count_refused();
                }
            }
            ToolStep::Call { call, run_id, tool, parameters } => {
                self.call_tool(run, &Call { call, run_id, tool, parameters: parameters.get() }, out);
            }
            ToolStep::Progress { call, tool, percentage, message } => {
                self.tool_progress(run, call, tool, percentage, message, out);
            }
            ToolStep::Done { call, result } => {
                let answered = Ending::Answered(result.map(RawValue::get));
                let mixed_up = mutant!(self.config, ToolsMixedUp);
                let oldest = mixed_up.then(|| self.dispatcher_of(run)).flatten().and_then(Dispatcher::oldest);
                let owner = mutant!(self.config, ToolOfFirstRun).then(|| self.run(run)?.owner).flatten();
                let first = owner.and_then(|owner| self.audience.user(owner).runs.first().copied());
                self.end_call(first.unwrap_or(run), oldest.as_deref().unwrap_or(call), answered, out);
            }
        }
        self.stats.tools = *self.tools.stats();
    }

    /// A call's deadline has come.
    pub(crate) fn tool_due(&mut self, run: RunRef, serial: u64, out: &mut Effects) {
        let Some(call) = self.dispatcher_of(run).and_then(|dispatcher| dispatcher.call_of(serial)) else {
            return;
        };
        if self.end_call(run, &call, Ending::TimedOut, out) {
            out.push(Effect::CancelTool(Box::new(CancelledTool { run, call })));
        }
        self.stats.tools = *self.tools.stats();
    }

    /// Cancels what a run has in flight; each call still gets its event and its answer. Comes ahead of the run's
    /// terminal event.
    pub(crate) fn cancel_tools(&mut self, run: RunRef, out: &mut Effects) {
        while let Some(call) = self.dispatcher_of(run).and_then(Dispatcher::oldest) {
            self.end_call(run, &call, Ending::Cancelled, out);
            out.push(Effect::CancelTool(Box::new(CancelledTool { run, call })));
            self.stats.tools = *self.tools.stats();
        }
    }

    /// Closes the dispatcher of a run that ended.
    pub(crate) fn close_dispatcher(&mut self, mut dispatcher: Box<Dispatcher>) {
        let left = self.tools.close(self.now, &mut dispatcher);
        debug_assert!(left.is_empty(), "calls are cancelled ahead of the terminal event");
        self.stats.tools = *self.tools.stats();
    }

    fn call_tool(&mut self, run: RunRef, asked: &Call<'_>, out: &mut Effects) {
        let begun = match self.begin_call(run, asked) {
            Ok(begun) => begun,
            Err(refusal) => {
                self.answer(run, asked.call.into(), asked.tool.into(), ToolOutcome::Refused(refusal), out);
                return;
            }
        };
        let event =
            AgentEvent::ToolExecuting { call: asked.call, tool: asked.tool, parameters: &begun.shown };
        self.report_of_tool(run, asked.tool, &event, out);
        if !mutant!(self.config, ToolDeadlineLost) {
            self.timers.set(begun.deadline, Timer::Tool(run, begun.serial));
        }
        let Some(user) = self.run(run).and_then(|state| state.owner) else { return };
        out.push(Effect::RunTool(Box::new(ToolRequest {
            run,
            call: begun.call,
            tool: asked.tool.into(),
            parameters: begun.parameters,
            user: self.audience.user(user).id.clone(),
            deadline: begun.deadline,
        })));
    }

    fn begin_call(&mut self, run: RunRef, asked: &Call<'_>) -> Result<Begun, ToolRefusal> {
        if let Some(state) = self.run(run)
            && let Err(rule) = state.automaton.may_execute(asked.call)
        {
            // Without its event a tool is not run.
            self.tools.count_refused();
            let text = format!("The call cannot be announced ({rule})");
            return Err(ToolRefusal { reason: ToolRefusalReason::Order, text });
        }
        let mut counted = false;
        let begun = self.with_dispatcher(run, |toolbox, dispatcher, (now, person)| {
            counted = true;
            toolbox.begin(now, dispatcher, person, asked)
        });
        if !counted {
            self.tools.count_refused();
        }
        begun
    }

    /// Works with the run's dispatcher, made now if this is its first tool step.
    fn with_dispatcher<R>(
        &mut self,
        run: RunRef,
        work: impl FnOnce(&mut Toolbox, &mut Dispatcher, (crate::Instant, &Person)) -> Result<R, ToolRefusal>,
    ) -> Result<R, ToolRefusal> {
        let now = self.now;
        let Some((context, owner)) = self.context_of(run).zip(self.run(run).and_then(|state| state.owner))
        else {
            let text = String::from("The run has ended, and its dispatcher with it");
            return Err(ToolRefusal { reason: ToolRefusalReason::Disposed, text });
        };
        let grants = self.tools.grants(context.user()).cloned().unwrap_or_else(Grants::default);
        let admin = grants.admin;
        let person = Person { plan: self.audience.user(owner).tier.into(), grants };
        let taken = self.runs.get_mut(run.index()).and_then(|slot| slot.tools.take());
        let mut dispatcher = match taken {
            Some(dispatcher) => dispatcher,
            None => {
                let made =
                    if admin { self.tools.open_admin(now, context) } else { self.tools.open(now, context) };
                let refused = |error| ToolRefusal {
                    reason: ToolRefusalReason::DispatcherLimit,
                    text: format!("{error}"),
                };
                Box::new(made.map_err(refused)?)
            }
        };
        let answer = work(&mut self.tools, &mut dispatcher, (now, &person));
        if let Some(slot) = self.runs.get_mut(run.index()) {
            slot.tools = Some(dispatcher);
        }
        answer
    }

    /// Ends a call: its event, its answer. `false` when it is not in flight.
    fn end_call(&mut self, run: RunRef, call: &str, ending: Ending<'_>, out: &mut Effects) -> bool {
        let now = self.now;
        let known = self.run(run).is_some();
        let slot = self.runs.get_mut(run.index()).filter(|_| known);
        let Some(dispatcher) = slot.and_then(|slot| slot.tools.as_deref_mut()) else {
            self.tools.count_late();
            return false;
        };
        let Some(ended) = self.tools.finish(now, dispatcher, call, ending) else { return false };
        let Ended { call, tool, status, duration_ms, shown, outcome, .. } = ended;
        let event = AgentEvent::ToolCompleted { call: &call, status, results: &shown, duration_ms };
        self.report_of_tool(run, &tool, &event, out);
        self.answer(run, call, tool, outcome, out);
        true
    }

    fn tool_progress(
        &mut self,
        run: RunRef,
        call: Option<&str>,
        tool: &str,
        percentage: f64,
        message: &str,
        out: &mut Effects,
    ) {
        let elapsed = match (self.dispatcher_of(run), call) {
            (Some(dispatcher), _) => self.tools.remaining_ms(self.now, dispatcher, call, tool, percentage),
            (None, Some(_)) => None,
            (None, None) => Some(text::remaining_ms(text::estimate_ms(tool), 0, percentage)),
        };
        let Some(remaining_ms) = elapsed else {
            self.tools.count_late();
            return;
        };
        let data = raw(text::progress(percentage, message, remaining_ms));
        self.report_as(run, DISPATCHER_NAME, &AgentEvent::Progress { data: &data }, out);
    }

    /// Reports a tool's event; of an agent that gave no name, as `ToolExecutor[TOOL]`.
    fn report_of_tool(&mut self, run: RunRef, tool: &str, event: &AgentEvent<'_>, out: &mut Effects) {
        let nameless = self.run(run).is_some_and(|state| *state.agent == *UNKNOWN_AGENT);
        if nameless {
            self.report_as(run, &format!("ToolExecutor[{tool}]"), event, out);
        } else {
            self.report(run, event, out);
        }
    }

    /// Reports an event under that name, if the run's agent gave none.
    fn report_as(&mut self, run: RunRef, name: &str, event: &AgentEvent<'_>, out: &mut Effects) {
        let nameless = self.run(run).is_some_and(|state| *state.agent == *UNKNOWN_AGENT);
        if nameless && let Some(slot) = self.runs.get_mut(run.index()) {
            slot.agent = name.into();
        }
        self.report(run, event, out);
        if nameless && let Some(slot) = self.runs.get_mut(run.index()) {
            slot.agent = UNKNOWN_AGENT.into();
        }
    }

    fn answer(&self, run: RunRef, call: Arc<str>, tool: Box<str>, outcome: ToolOutcome, out: &mut Effects) {
        let run_id = self.run(run).map(|state| run::id("run", &state.node, state.number)).unwrap_or_default();
        let answer = Box::new(ToolAnswer { run, call, tool, outcome, run_id });
        if mutant!(self.config, ToolAnsweredTwice) {
            out.push(Effect::ToolAnswered(answer.clone()));
        }
        out.push(Effect::ToolAnswered(answer));
    }
}
