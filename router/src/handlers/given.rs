//! Events that agents give as JSON: through the same automaton, out by the same way.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use serde_json::value::RawValue;

use super::agent::{NAME_BYTES_MAX, UNKNOWN_AGENT};
use crate::{
    contract::{Effects, Refusal, RunRef},
    router::Router,
    run::{self, EventKind, OpenTool, Rule},
    wire::{self, Context, Own, Read},
};

/// What the automaton said of a given event.
#[derive(Default)]
struct Passed {
    /// Of a tool event: the call's id and the tool's name.
    call: Box<str>,
    tool: Box<str>,
    /// Tools that a failure left open.
    open: Vec<OpenTool>,
}

impl Router {
    pub(super) fn report_given(&mut self, run: RunRef, kind: &str, data: &RawValue, out: &mut Effects) {
        match self.read_given(run, kind, data) {
            Ok((read, passed)) => {
                self.close_tools(run, &passed.open, out);
                let own_agent = self.run(run).map(|slot| &*slot.agent).unwrap_or_default();
                let agent = read.agent.as_deref().unwrap_or(own_agent);
                let given = read.encode(&passed.call, &passed.tool, agent, &self.config.sanitise);
                let step = read.step;
                self.publish(run, &Own::Given(&given), out);
                match step {
                    Some(EventKind::Completed) => self.run_over(run, true),
                    Some(EventKind::Error | EventKind::Death) => self.run_over(run, false),
                    None
                    | Some(
                        EventKind::Started
                        | EventKind::Thinking
                        | EventKind::Progress
                        | EventKind::ToolExecuting
                        | EventKind::ToolCompleted,
                    ) => {}
                }
            }
            Err(why) => self.refuse_report(run, why, out),
        }
    }

    /// Reads the event and moves the automaton. Nothing has moved when the answer is `Err`.
    fn read_given<'d>(
        &mut self,
        run: RunRef,
        kind: &'d str,
        data: &'d RawValue,
    ) -> Result<(Read<'d>, Passed), Refusal> {
        let Self { runs, audience, config, .. } = self;
        let slot = runs
            .get_mut(run.index as usize)
            .filter(|slot| slot.generation == run.generation)
            .ok_or(Rule::R6)?;
        let owner = slot.owner.ok_or(Rule::R6)?;
        let run_id = run::id("run", &config.node, slot.number);
        let context = Context {
            user: &audience.user(owner).id,
            thread: &slot.thread,
            run: &run_id,
            request: &slot.request,
        };
        let mut read = wire::read(kind, data, &context)?;
        read.agent = read.agent.map(|name| short(name));
        let mut passed = Passed::default();
        let automaton = &mut slot.automaton;
        match read.step {
            // Outside of the automaton, before the start as well.
            None => {}
            Some(EventKind::Started) => {
                automaton.started()?;
                slot.agent = read.agent.as_deref().unwrap_or(UNKNOWN_AGENT).into();
            }
            Some(EventKind::Thinking | EventKind::Progress) => automaton.working()?,
            Some(EventKind::ToolExecuting) => {
                let tool = wire::cut(read.tool.as_deref().unwrap_or_default(), NAME_BYTES_MAX);
                passed.call = match read.call.as_deref() {
                    Some(call) => {
                        automaton.tool_executing(call, tool)?;
                        call.into()
                    }
                    None => automaton.tool_executing_unnamed(slot.seq + 1, tool)?.call.clone(),
                };
            }
            Some(EventKind::ToolCompleted) => {
                let ended = automaton.tool_ended(read.call.as_deref(), read.tool.as_deref())?;
                (passed.call, passed.tool) = (ended.call, ended.tool);
            }
            Some(EventKind::Completed) => automaton.completed()?,
            Some(EventKind::Error | EventKind::Death) => passed.open = automaton.failed()?,
        }
        if slot.agent.is_empty() && read.agent.is_none() {
            read.agent = Some(Cow::Borrowed(UNKNOWN_AGENT));
        }
        Ok((read, passed))
    }
}

/// A name within its bound.
fn short(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    Cow::Owned(wire::cut(&name, NAME_BYTES_MAX).into())
}
