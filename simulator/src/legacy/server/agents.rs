//! Agent start: makes the execution context of a run, starts its agent, and hears what the agent reports.
//!
//! A run belongs to the user, thread and request that it was started for; that is fixed here and nowhere else.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use router::{
    CancelReason, ConnId, Effect, Effects, Kind, OwnedEvent, Refusal, Rule, RunRef, RunRequest, Tier,
    ToolStatus, UserId,
};
use serde_json::value::RawValue;

use super::common::{Alarm, Common};
use super::validate::{Letter, Order};
use crate::legacy::Hazard;

/// A message that asks for an agent.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    /// Where it came from.
    pub(super) conn: ConnId,
    /// Whose handler took it.
    pub(super) user: UserId,
    pub(super) tier: Tier,
    pub(super) kind: Kind,
    pub(super) thread_id: String,
    pub(super) request_id: String,
    pub(super) text: String,
    pub(super) payload: String,
}

/// The execution context of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Context {
    pub(super) run: RunRef,
    pub(super) conn: ConnId,
    pub(super) user: UserId,
    pub(super) tier: Tier,
    pub(super) thread_id: String,
    pub(super) run_id: String,
    pub(super) request_id: String,
}

/// A run whose agent is at work.
#[derive(Debug)]
struct Run {
    context: Rc<Context>,
    order: Order,
}

/// Why a run that did not end by itself is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Stopped,
    TimedOut,
    /// Nobody could be told of its events.
    Unheard,
}

/// The runs at work.
#[derive(Debug, Default)]
pub(super) struct Agents {
    runs: BTreeMap<RunRef, Run>,
    generations: Vec<u32>,
    free: Vec<u32>,
    started: u64,
    /// The run that the one supervisor works on, as its attributes say.
    supervisor: Option<Rc<Context>>,
}

impl Agents {
    /// Runs are numbered from here on, for a server that takes the place of another.
    pub(super) fn number_from(&mut self, number: u64) {
        self.started = number;
    }

    /// Starts an agent.
    pub(super) fn start(&mut self, common: &mut Common, ask: Ask, out: &mut Effects) -> Rc<Context> {
        self.started += 1;
        let run = self.name();
        let mut request = RunRequest::stand_in(run, self.started, ask.user.clone(), &ask.text);
        request.tier = ask.tier;
        request.kind = ask.kind;
        request.thread_id = named(&ask.thread_id, "thread", self.started).into();
        request.request_id = named(&ask.request_id, "req", self.started).into();
        request.payload = ask.payload.into();
        request.deadline = common.now.after(common.limits.agent_deadline_us);
        let context = Rc::new(Context {
            run,
            conn: ask.conn,
            user: ask.user,
            tier: ask.tier,
            thread_id: request.thread_id.to_string(),
            run_id: request.run_id(),
            request_id: request.request_id.to_string(),
        });
        common.alarm(common.limits.agent_deadline_us, Alarm::Deadline(run));
        self.runs.insert(run, Run { context: context.clone(), order: Order::default() });
        self.supervisor = Some(context.clone());
        out.push(Effect::StartRun(Arc::new(request)));
        context
    }

    /// An agent begins: the context that it works in.
    pub(super) fn begin(&mut self, common: &Common, context: Rc<Context>) -> Rc<Context> {
        // G20: user and thread are read from the shared supervisor after a wait in which another run may have set them.
        let Some(latest) = self.supervisor.clone().filter(|_| common.has(Hazard::G20)) else {
            return context;
        };
        let context = Rc::new(Context {
            user: latest.user.clone(),
            thread_id: latest.thread_id.clone(),
            ..Context::clone(&context)
        });
        if let Some(run) = self.runs.get_mut(&context.run) {
            run.context = context.clone();
        }
        context
    }

    /// The context of a run at work.
    pub(super) fn context(&self, run: RunRef) -> Option<Rc<Context>> {
        self.runs.get(&run).map(|run| run.context.clone())
    }

    /// Takes in what an agent reports: the events to emit for it, in order.
    pub(super) fn report(
        &mut self,
        common: &mut Common,
        run: RunRef,
        event: OwnedEvent,
    ) -> Result<Vec<OwnedEvent>, Refusal> {
        let Some(state) = self.runs.get_mut(&run) else { return Err(Rule::R6.into()) };
        let mut events = Vec::new();
        if matches!(event, OwnedEvent::Failed { .. }) {
            events = close_tools(&mut state.order);
        }
        if let Err(rule) = state.order.step(&event) {
            // G28: only first occurrences are looked at, and this is no first one.
            if !common.has(Hazard::G28) {
                return Err(rule.into());
            }
        }
        events.push(event);
        Ok(events)
    }

    /// Whether the run has said its last word.
    pub(super) fn is_over(event: &OwnedEvent) -> bool {
        Letter::of(event) == Letter::End
    }

    /// Runs of a user at work: the one of that id, or all.
    pub(super) fn of_user(&self, user: &UserId, run_id: Option<&str>) -> Vec<Rc<Context>> {
        let wanted = |context: &&Rc<Context>| {
            context.user == *user && run_id.is_none_or(|run_id| context.run_id == run_id)
        };
        self.runs.values().map(|run| &run.context).filter(wanted).cloned().collect()
    }

    /// Ends a run that did not end by itself: the events to emit for it.
    pub(super) fn end(&mut self, run: RunRef, ending: Ending, out: &mut Effects) -> Vec<OwnedEvent> {
        let Some(state) = self.runs.get_mut(&run) else { return Vec::new() };
        let mut events = close_tools(&mut state.order);
        let (code, message) = match ending {
            Ending::Stopped => ("CANCELLED", "The run was stopped"),
            Ending::TimedOut => ("TIMEOUT", "The agent took too long"),
            Ending::Unheard => ("AGENT_FAILED", "The agent could not finish this request"),
        };
        let failed = OwnedEvent::Failed { code: code.to_owned(), message: message.to_owned() };
        if state.order.step(&failed).is_err() {
            // A run that never began begins now: its word starts with `agent_started`.
            let started = OwnedEvent::Started { agent: String::new(), task: String::new() };
            _ = state.order.step(&started).and_then(|()| state.order.step(&failed));
            events.push(started);
        }
        events.push(failed);
        let reason = if ending == Ending::TimedOut { CancelReason::TimedOut } else { CancelReason::Stopped };
        out.push(Effect::CancelRun { run, reason });
        events
    }

    /// Forgets a run that is over.
    pub(super) fn remove(&mut self, run: RunRef) {
        if self.runs.remove(&run).is_some() {
            self.free.push(run.index() as u32);
        }
    }

    /// Runs at work.
    pub(super) fn len(&self) -> u64 {
        self.runs.len() as u64
    }

    fn name(&mut self) -> RunRef {
        let index = self.free.pop().unwrap_or_else(|| {
            self.generations.push(0);
            self.generations.len() as u32 - 1
        });
        let generation = &mut self.generations[index as usize];
        *generation += 1;
        RunRef::from_parts(index, *generation)
    }
}

/// Closes the open tool calls of a run that ends.
fn close_tools(order: &mut Order) -> Vec<OwnedEvent> {
    let open: Vec<String> = order.open().iter().map(|(call, _)| call.clone()).collect();
    let close = |call| OwnedEvent::ToolCompleted {
        call,
        status: ToolStatus::Cancelled,
        results: RawValue::NULL.to_owned(),
        duration_ms: 0,
    };
    let events: Vec<OwnedEvent> = open.into_iter().map(close).collect();
    for event in &events {
        // Each of them is open.
        _ = order.step(event);
    }
    events
}

/// The given id, or one of our own.
fn named(given: &str, prefix: &str, number: u64) -> String {
    if given.is_empty() { format!("{prefix}-model-{number}") } else { given.to_owned() }
}
