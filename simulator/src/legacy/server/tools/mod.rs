//! Tool engine: between an agent's tool calls and the events that its user sees of them.
//!
//! An agent's `tool_executing` is its call: the run's dispatcher looks it up, asks whether it is permitted, and begins it.
//! Its `tool_completed` is the end of the tool's body. Dispatchers, engine, factory and permission layer are the models of
//! [`tool_dispatcher`](crate::legacy::tool_dispatcher); what they hand to their bridges is what goes on to the emitter.
//! So a call that a defect swallows has no events, and one whose bridge leads elsewhere is seen elsewhere.
//!
//! Callers of old reached a dispatcher by many ways. Here run after run takes another one ([`desk`]), and call after call
//! one of the two forms.

mod desk;

use std::collections::{BTreeMap, BTreeSet};

use router::{
    Instant, OwnedEvent, RunRef, ToolStatus, UserId,
    tools::{Grants, Level, Person, Plan, Policy},
};
use serde_json::Value;
use serde_json::value::RawValue;

use self::desk::{Call, Desk};
use super::agents::Context;
use super::common::{Alarm, Common};
use crate::checkers::bounds::Breach;
use crate::legacy::tool_dispatcher::{
    Answer, Begun, BridgeCall, DEADLINE_US, Ending, Factory, Permissions, ToolEvent,
};
use crate::legacy::{Hazard, Hazards};

/// Tools that this host opens to everybody, whatever the default policies say: its agents' own.
const OPENED: [&str; 4] = ["search_corpus", "validate_synthetic_data", "analyze_corpus", "export_corpus"];

/// The tool engine, with the dispatchers of the runs at work.
#[derive(Debug)]
pub(super) struct Tools {
    factory: Factory,
    permissions: Permissions,
    desks: BTreeMap<RunRef, Desk>,
    /// Dispatchers made so far.
    made: u64,
    /// Calls whose tools are at work, oldest first.
    at_work: BTreeSet<(Instant, RunRef, String)>,
    /// Calls that began.
    begun: u64,
    /// Timers whose emitters are gone.
    timers: u64,
}

/// An event on its way to the emitter.
#[derive(Clone, Debug)]
pub(super) struct Emitted {
    pub(super) event: OwnedEvent,
    /// The tool of a call that ended.
    pub(super) tool_name: Option<String>,
    /// Whose connections get it, if not its own user's.
    pub(super) to: Option<UserId>,
    /// The run that it names, if not its own.
    pub(super) run_id: Option<String>,
}

impl Tools {
    /// An engine with these of the old defects.
    pub(super) fn new(hazards: Hazards) -> Self {
        let mut permissions = Permissions::new(hazards);
        permissions.set_any_tool(Policy::open(Level::Public));
        for tool in OPENED {
            permissions.set_policy(tool, Policy::open(Level::Public));
        }
        Self {
            factory: Factory::new(hazards),
            permissions,
            desks: BTreeMap::new(),
            made: 0,
            at_work: BTreeSet::new(),
            begun: 0,
            timers: 0,
        }
    }

    /// Takes in an event of a run: what is to be emitted for it. `connected`: its user has a connection.
    pub(super) fn pass(
        &mut self,
        common: &mut Common,
        context: &Context,
        connected: bool,
        event: OwnedEvent,
    ) -> Vec<Emitted> {
        match &event {
            OwnedEvent::ToolExecuting { call, tool, parameters } => {
                let call = (call.as_str(), tool.as_str());
                let events = self.begin(common, context, connected, call, &parsed(parameters));
                emitted(context, &event, events)
            }
            OwnedEvent::ToolCompleted { call, status, results, .. } => {
                let ending = ending(*status, parsed(results));
                let events = self.end(common, context, call, ending);
                emitted(context, &event, events)
            }
            OwnedEvent::Started { .. }
            | OwnedEvent::Thinking { .. }
            | OwnedEvent::Progress { .. }
            | OwnedEvent::Completed { .. }
            | OwnedEvent::Failed { .. }
            | OwnedEvent::Data { .. } => {
                vec![Emitted { event, tool_name: None, to: None, run_id: None }]
            }
        }
    }

    /// The run is over: its dispatcher is cleaned up.
    pub(super) fn clean_up(&mut self, common: &mut Common, context: &Context) {
        let Some(desk) = self.desks.remove(&context.run) else { return };
        let left = desk.clean_up(&mut self.factory);
        self.timers += u64::from(left.timer);
        if left.records > 0 {
            let detail = format!("a dispatcher is gone, and {} of its calls are active", left.records);
            common.accounts.breach(|| of(context, "account.tools", detail));
        }
    }

    /// The event of a call whose deadline has passed, if its tool is still at work.
    pub(super) fn overdue(&self, run: RunRef, call: &str) -> Option<OwnedEvent> {
        self.desks.get(&run)?.calls.get(call)?.running.as_ref()?;
        let duration_ms = DEADLINE_US / 1_000;
        let text = format!("\"Timeout after {duration_ms}ms\"");
        let results = RawValue::from_string(text).ok()?;
        let status = ToolStatus::Timeout;
        Some(OwnedEvent::ToolCompleted { call: call.to_owned(), status, results, duration_ms })
    }

    /// Whether no tool is at work for longer than it may.
    pub(super) fn check(&self, now: Instant) -> Result<(), Breach> {
        match self.at_work.first() {
            Some((since, run, call)) if now.since(*since) > DEADLINE_US => {
                let context = self.desks.get(run).map(|desk| &desk.context);
                let detail = format!("{call} is at work for more than {} s", DEADLINE_US / 1_000_000);
                Err(Breach {
                    rule: "bounds.deadline",
                    user: context.map(|context| context.user.to_string()),
                    run: context.map(|context| context.run_id.clone()),
                    event: Some("tool_executing".to_owned()),
                    detail,
                })
            }
            _ => Ok(()),
        }
    }

    /// Calls at work, dispatchers in use as the factory counts them, slots and timers.
    pub(super) fn active(&self) -> u64 {
        let slots = self.permissions.slots() as u64;
        self.at_work.len() as u64 + self.factory.counters().active + slots + self.timers
    }

    /// A call begins: what its dispatcher's bridge was handed.
    fn begin(
        &mut self,
        common: &mut Common,
        context: &Context,
        connected: bool,
        (call, tool): (&str, &str),
        parameters: &Value,
    ) -> Vec<BridgeCall> {
        let Self { factory, permissions, desks, made, .. } = self;
        let desk = desks.entry(context.run).or_insert_with(|| {
            *made += 1;
            Desk::open(common, factory, context, *made, tool, connected)
        });
        let person = Person { plan: Plan::from(context.tier), grants: Grants::default() };
        let mut events = Vec::new();
        let begun = desk.begin(common.now, tool, parameters, &person, permissions, &mut events);
        let (mut record, mut refused) = (Call { tool: tool.to_owned(), running: None }, None);
        match begun {
            Ok(Begun::Running(running)) => {
                self.begun += 1;
                if let Some(deadline) = running.deadline() {
                    common.alarm(deadline.since(common.now), Alarm::Tool(context.run, call.to_owned()));
                }
                record.running = Some(running);
                self.at_work.insert((common.now, context.run, call.to_owned()));
            }
            Ok(Begun::Answered(answer)) => refused = Some(answer),
            Err(raised) => refused = Some(Answer::Failure(raised.text)),
        }
        desk.calls.insert(call.to_owned(), record);
        let granted = permissions.counts().granted;
        if self.begun > granted {
            let detail = format!("{} calls began, {granted} were permitted", self.begun);
            common.accounts.breach(|| of(context, "account.permission", detail));
        }
        if let Some(detail) = desk.untracked() {
            common.accounts.breach(|| of(context, "account.tools", detail));
        }
        // Agents call tools that they may call.
        if let Some(answer) = refused {
            wrong_answer(common, context, tool, &answer);
        }
        events
    }

    /// A tool's body ended: what its dispatcher's bridge was handed.
    fn end(&mut self, common: &mut Common, context: &Context, call: &str, ending: Ending) -> Vec<BridgeCall> {
        let Some(desk) = self.desks.get_mut(&context.run) else { return Vec::new() };
        let Some(running) = desk.calls.get_mut(call).and_then(|call| call.running.take()) else {
            return Vec::new();
        };
        self.at_work.retain(|(_, run, open)| *run != context.run || open != call);
        if ending == Ending::Cancelled {
            // The run was cut short, and its user's calls are cleaned up by force.
            let left = desk.force_clean_up(&context.user);
            if left > 0 {
                let detail = format!("after the forced clean-up {left} calls are active");
                common.accounts.breach(|| of(context, "account.tools", detail));
            }
        }
        let mut events = Vec::new();
        let expected = expected(&ending);
        let failed = expected.is_err();
        let answer = desk.end(common.now, running, ending, &mut self.permissions, &mut events);
        let as_expected = match (&answer, &expected) {
            (Answer::Success(result), Ok(value)) => result == value,
            (Answer::Failure(text), Err(error)) => error.as_ref().is_none_or(|error| error == text),
            (Answer::Success(_) | Answer::Failure(_) | Answer::Refused(_), _) => false,
        };
        if !as_expected {
            let tool = desk.calls.get(call).map_or("", |call| call.tool.as_str());
            wrong_answer(common, context, tool, &answer);
        }
        desk.ended(failed);
        if let Some(detail) = desk.figures_off() {
            common.accounts.breach(|| of(context, "account.tools", detail));
        }
        events
    }
}

/// What the agent must be answered: the result, or the error where its text is the tool's own.
fn expected(ending: &Ending) -> Result<Value, Option<String>> {
    match ending {
        Ending::Answered(result) => Ok(result.clone()),
        Ending::Failed { message, .. } => Err(Some(message.clone())),
        Ending::TimedOut | Ending::Cancelled => Err(None),
    }
}

fn ending(status: ToolStatus, results: Value) -> Ending {
    match status {
        ToolStatus::Completed => Ending::Answered(results),
        ToolStatus::Error => {
            let message = results.as_str().unwrap_or_default().to_owned();
            Ending::Failed { kind: "ValueError".to_owned(), message }
        }
        ToolStatus::Timeout => Ending::TimedOut,
        ToolStatus::Cancelled => Ending::Cancelled,
    }
}

/// An agent's event, for each time that a bridge was handed one, to whom the bridge leads.
fn emitted(context: &Context, event: &OwnedEvent, events: Vec<BridgeCall>) -> Vec<Emitted> {
    let emit = |call: BridgeCall| {
        let to = call.sink.filter(|sink| **sink != *context.user).map(|sink| UserId::from(&*sink));
        let run_id = (call.run_id != context.run_id).then_some(call.run_id);
        let tool_name = match call.event {
            ToolEvent::Executing { tool, .. } | ToolEvent::Completed { tool, .. } => tool,
            ToolEvent::Progress { .. } => None,
        };
        Emitted { event: event.clone(), tool_name, to, run_id }
    };
    events.into_iter().map(emit).collect()
}

fn wrong_answer(common: &mut Common, context: &Context, tool: &str, answer: &Answer) {
    let detail = format!("what {tool} said never came: its agent was told {answer:?}");
    common.accounts.breach(|| of(context, "account.answer", detail));
}

/// A breach in a run.
fn of(context: &Context, rule: &'static str, detail: String) -> Breach {
    Breach {
        rule,
        user: Some(context.user.to_string()),
        run: Some(context.run_id.clone()),
        event: Some("tool".to_owned()),
        detail,
    }
}

fn parsed(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// Whether callers hand over a manager only where there is a connection: as those did whose defect needs one without.
fn needs_a_gap(common: &Common) -> bool {
    [Hazard::T7, Hazard::T11, Hazard::T13].into_iter().any(|hazard| common.has(hazard))
}
