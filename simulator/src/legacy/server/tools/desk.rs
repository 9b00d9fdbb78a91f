//! A run's dispatcher, by one of the ways that led to one.

use std::collections::BTreeMap;

use router::{Instant, tools::Person};
use serde_json::Value;

use super::needs_a_gap;
use crate::legacy::server::agents::Context;
use crate::legacy::server::common::Common;
use crate::legacy::tool_dispatcher::{
    self as model, Answer, Begun, Bridge, BridgeCall, Dispatcher, Ending, Face, Factory, Given, Handed,
    KeywordContext, Made, Permissions, Raised, Running, ToolCall, Way, Wire,
};

/// The dispatcher of a run, and its calls.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) context: Context,
    /// It could not be made.
    made: Result<Made, Raised>,
    pub(super) calls: BTreeMap<String, Call>,
    /// Tools that it was given.
    known: Vec<String>,
    /// Which dispatcher it is of those made so far.
    turn: u64,
    asked: u64,
    succeeded: u64,
    failed: u64,
}

/// A call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) tool: String,
    /// Its tool is at work.
    pub(super) running: Option<Running>,
}

/// What a dispatcher leaves behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) records: usize,
    pub(super) timer: bool,
}

impl Desk {
    /// Makes a dispatcher with its first tool, by the way whose turn it is.
    pub(super) fn open(
        common: &Common,
        factory: &mut Factory,
        context: &Context,
        turn: u64,
        tool: &str,
        connected: bool,
    ) -> Self {
        let ids = model::Context {
            user: context.user.to_string(),
            thread: context.thread_id.clone(),
            run: context.run_id.clone(),
            request: context.request_id.clone(),
        };
        let user = Some(&*context.user);
        let gap = needs_a_gap(common) && !connected;
        let manager = if gap { Handed::Nothing } else { Handed::Manager(user) };
        let mut create =
            |way, handed| factory.create(common.now, way, &Given::Context(ids.clone()), handed, &[tool]);
        let made = match turn % 6 {
            0 => create(Way::CreateForRequest, manager),
            1 => create(Way::UnifiedForUser, manager),
            2 => create(Way::UnifiedFactory, manager),
            3 => create(Way::EnhancedForUser, manager),
            4 => create(Way::UnifiedForUser, if gap { manager } else { Handed::Bridge(user) }),
            _ => {
                let emitter = (!gap).then(|| Wire::to_user(Bridge::Works, &context.user));
                Dispatcher::new(common.hazards(), ids, &[tool], emitter).map(|dispatcher| {
                    let claims_events = Some(dispatcher.claims_events());
                    Made { dispatcher, face: Face::Dispatcher, claims_events }
                })
            }
        };
        Self {
            context: context.clone(),
            made,
            calls: BTreeMap::new(),
            known: vec![tool.to_owned()],
            turn,
            asked: 0,
            succeeded: 0,
            failed: 0,
        }
    }

    /// Begins a call, in one form after the other.
    pub(super) fn begin(
        &mut self,
        now: Instant,
        tool: &str,
        parameters: &Value,
        person: &Person,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Result<Begun, Raised> {
        let made = self.made.as_mut().map_err(|raised| raised.clone())?;
        if !self.known.iter().any(|known| known == tool) {
            made.dispatcher.register_tools(&[tool])?;
            self.known.push(tool.to_owned());
        }
        self.asked += 1;
        let call = ToolCall { tool: &tool.into(), parameters, person };
        let keyword = match (self.turn + self.asked) % 4 {
            // A wrapper has no keyword form.
            _ if made.face != Face::Dispatcher => None,
            2 => Some(KeywordContext::Absent),
            0 => Some(KeywordContext::Map),
            _ => None,
        };
        match keyword {
            Some(keyword) => made.dispatcher.dispatch(now, &call, keyword, permissions, out),
            // The state of a run that began on a socket carries that socket's context.
            None => made.dispatch_tool(now, &call, &self.context.run_id, true, permissions, out),
        }
    }

    /// Ends a call that began.
    pub(super) fn end(
        &mut self,
        now: Instant,
        running: Running,
        ending: Ending,
        permissions: &mut Permissions,
        out: &mut Vec<BridgeCall>,
    ) -> Answer {
        match &mut self.made {
            Ok(made) => made.dispatcher.end(now, running, ending, permissions, out),
            Err(raised) => Answer::Failure(raised.text.clone()),
        }
    }

    /// A tool's body ended so.
    pub(super) fn ended(&mut self, failed: bool) {
        self.failed += u64::from(failed);
        self.succeeded += u64::from(!failed);
    }

    /// What is wrong with the engine's table, just after a call began: it holds the calls at work.
    pub(super) fn untracked(&self) -> Option<String> {
        let active = self.made.as_ref().ok()?.dispatcher.engine().active().0;
        let running = self.running();
        (active != running).then(|| format!("{running} calls at work, {active} in the engine's table"))
    }

    /// What is wrong with the dispatcher's figures: they are those of the bodies that ended.
    pub(super) fn figures_off(&self) -> Option<String> {
        let figures = self.made.as_ref().ok()?.dispatcher.figures();
        let running = self.running() as u64;
        let adds_up = figures.successful == self.succeeded
            && figures.failed == self.failed
            && figures.executed == self.succeeded + self.failed + running;
        (!adds_up).then(|| {
            format!(
                "{} tools succeeded, {} failed, {running} at work; counted were {} calls, {} successes, {} failures",
                self.succeeded, self.failed, figures.executed, figures.successful, figures.failed
            )
        })
    }

    /// Cleans up a user's calls; how many are still in the table.
    pub(super) fn force_clean_up(&mut self, user: &str) -> usize {
        let Ok(made) = &mut self.made else { return 0 };
        let engine = made.dispatcher.engine_mut();
        engine.force_clean_up(user);
        engine.active().0
    }

    /// The run is over.
    pub(super) fn clean_up(self, factory: &mut Factory) -> Left {
        let Ok(mut made) = self.made else { return Left::default() };
        // What that raises is swallowed.
        _ = factory.clean_up(&mut made);
        Left { records: made.dispatcher.engine().active().0, timer: made.dispatcher.has_timer() }
    }

    fn running(&self) -> usize {
        self.calls.values().filter(|call| call.running.is_some()).count()
    }
}
