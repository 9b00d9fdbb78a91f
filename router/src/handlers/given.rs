//! Events that agents give as JSON: through the same automaton, out by the same way.

use alloc::{borrow::Cow, boxed::Box, vec::Vec};

use serde_json::value::RawValue;

use super::agent::{NAME_BYTES_MAX, UNKNOWN_AGENT};
use crate::{
    contract::{AgentEvent, Effects, Refusal, RunRef},
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
        match self.take_given(run, kind, data, out) {
            Ok((read, passed)) => {
                self.close_tools(run, &passed.open, out);
                let own_agent = self.run(run).map(|slot| &*slot.agent).unwrap_or_default();
                let agent = read.agent.as_deref().unwrap_or(own_agent);
                let given = read.encode(&passed.call, &passed.tool, agent, &self.config.sanitise);
                self.publish(run, &Own::Given(&given), out);
                match read.step {
                    Some(EventKind::Completed) => self.run_over(run, Some(&read.response()), out),
                    Some(EventKind::Error | EventKind::Death) => self.run_over(run, None, out),
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
            Err(Refusal::ForeignId) if mutant!(self.config, WrapForeignEvent) => {
                self.report(run, &AgentEvent::Progress { data }, out);
            }
            Err(why) => self.refuse_report(run, why, out),
        }
    }

    /// Reads the event and moves the automaton. Nothing has moved when the answer is `Err`.
    fn take_given<'d>(
        &mut self,
        run: RunRef,
        kind: &'d str,
        data: &'d RawValue,
        out: &mut Effects,
    ) -> Result<(Read<'d>, Passed), Refusal> {
        let mut read = self.read_given(run, kind, data)?;
        if matches!(read.step, Some(EventKind::Error | EventKind::Death)) {
            self.cancel_tools(run, out);
        }
        let passed = self.admit_given(run, &mut read)?;
        Ok((read, passed))
    }

    /// What the event says, if it may be said in this run at all.
    fn read_given<'d>(&self, run: RunRef, kind: &'d str, data: &'d RawValue) -> Result<Read<'d>, Refusal> {
        let slot = self.run(run).ok_or(Rule::R6)?;
        let owner = slot.owner.ok_or(Rule::R6)?;
        let run_id = run::id("run", &slot.node, slot.number);
        let context = Context {
            user: &self.audience.user(owner).id,
            thread: &slot.thread,
            run: &run_id,
            request: &slot.request,
        };
        let mut read = wire::read(kind, data, &context)?;
        read.agent = read.agent.map(|name| short(name));
        Ok(read)
    }

    /// The automaton's verdict; its state has moved when the answer is `Ok`.
    fn admit_given(&mut self, run: RunRef, read: &mut Read<'_>) -> Result<Passed, Rule> {
        let slot = self.run_mut(run).ok_or(Rule::R6)?;
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
                // A dispatched call ends by its dispatcher, not by the agent's word.
                let dispatched =
                    |call: &str| slot.tools.as_ref().is_some_and(|tools| tools.has_in_flight(call));
                let ended = automaton.tool_ended(read.call.as_deref(), read.tool.as_deref(), &dispatched)?;
                slot.tools_ended += 1;
                slot.tool_errors += u32::from(read.tool_failed());
                (passed.call, passed.tool) = (ended.call, ended.tool);
            }
            Some(EventKind::Completed) => automaton.completed()?,
            Some(EventKind::Error | EventKind::Death) => passed.open = automaton.failed()?,
        }
        if slot.agent.is_empty() && read.agent.is_none() {
            read.agent = Some(Cow::Borrowed(UNKNOWN_AGENT));
        }
        Ok(passed)
    }
}

/// A name within its bound.
fn short(name: Cow<'_, str>) -> Cow<'_, str> {
    if name.len() <= NAME_BYTES_MAX {
        return name;
    }
    Cow::Owned(wire::cut(&name, NAME_BYTES_MAX).into())
}
