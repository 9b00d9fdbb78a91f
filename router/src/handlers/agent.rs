//! Runs: agents' reports through the automaton, deadlines, endings.

use alloc::vec::Vec;

use crate::{
    audience::Entry,
    cluster::ends_run,
    contract::{AgentEvent, CancelReason, Effect, Effects, Refusal, RefusedEvent, RunRef, ToolStatus},
    quality::RunEnd,
    queue::Reason,
    router::{Router, Run},
    run::{Ending, OpenTool, Phase, Rule},
    waiting::Seat,
    wire::{self, EventHead, Own},
};

/// Name of an agent that did not say its own.
pub(crate) const UNKNOWN_AGENT: &str = "unknown_agent";
/// Longest name of an agent or a tool, in bytes; the rest is cut.
pub(super) const NAME_BYTES_MAX: usize = 256;

impl Router {
    /// An agent's report: refused when the automaton forbids it, else published to the run's owner.
    pub(crate) fn report(&mut self, run: RunRef, event: &AgentEvent<'_>, out: &mut Effects) {
        if self.is_overrun(run) {
            return self.refuse_report(run, Refusal::Overrun, out);
        }
        if let AgentEvent::Data { kind, data } = *event {
            self.report_given(run, kind, data, out);
            return;
        }
        if matches!(event, AgentEvent::Failed { .. }) {
            self.cancel_tools(run, out);
        }
        match self.admit(run, event) {
            Ok(Admitted::Event)
                if mutant!(self.config, HideSecondTool)
                    && matches!(event, AgentEvent::ToolExecuting { .. })
                    && self.run(run).is_some_and(|run| run.automaton.open_tools().len() > 1) => {}
            Ok(Admitted::Event) => self.publish_report(run, event, &[], out),
            Ok(Admitted::Tool(tool)) => self.publish_report(run, event, &[tool], out),
            Ok(Admitted::Failure(open)) => self.publish_report(run, event, &open, out),
            Err(rule) => {
                self.refuse_report(run, rule.into(), out);
                return;
            }
        }
        if mutant!(self.config, TerminalTwice) && matches!(event, AgentEvent::Completed { .. }) {
            self.publish_report(run, event, &[], out);
        }
        match event {
            AgentEvent::Completed { response, .. } => self.run_over(run, Some(response), out),
            AgentEvent::Failed { .. } => self.run_over(run, None, out),
            AgentEvent::Data { .. }
            | AgentEvent::Started { .. }
            | AgentEvent::Thinking { .. }
            | AgentEvent::Progress { .. }
            | AgentEvent::ToolExecuting { .. }
            | AgentEvent::ToolCompleted { .. } => {}
        }
    }

    /// The agent said its last word: its response, or that it failed.
    pub(super) fn run_over(&mut self, run: RunRef, response: Option<&str>, out: &mut Effects) {
        let end = if response.is_some() {
            self.stats.runs.completed += 1;
            RunEnd::Completed
        } else {
            self.stats.runs.failed += 1;
            RunEnd::Failed
        };
        self.observe_end(run, end, response.unwrap_or_default(), out);
        self.remove_run(run, None, out);
    }

    pub(super) fn refuse_report(&mut self, run: RunRef, why: Refusal, out: &mut Effects) {
        let events = &mut self.stats.events;
        events.offered += 1;
        events.refused += 1;
        match why {
            Refusal::Rule(rule) => self.stats.count_rule(rule),
            Refusal::ForeignId => events.refused_foreign += 1,
            Refusal::NotAnObject | Refusal::BadMetadata | Refusal::TooDeep | Refusal::BadType => {
                events.refused_malformed += 1
            }
            Refusal::Overrun => events.refused_overrun += 1,
        }
        out.push(Effect::AgentRefused(RefusedEvent { run, why }));
    }

    /// Ends a run by the router's own decision and tells its agent.
    pub(crate) fn end_run(&mut self, run: RunRef, ending: Ending, reason: CancelReason, out: &mut Effects) {
        if mutant!(self.config, CancelOnlySaid) && ending == Ending::Cancelled {
            return self.publish(
                run,
                &Own::Error { code: ending.code(), message: ending.text(), is_retryable: false },
                out,
            );
        }
        let Some(state) = self.run_mut(run) else { return };
        if state.automaton.phase() == Phase::Idle {
            // The word of a run begins with `agent_started`, also when its agent never said so.
            let event = AgentEvent::Started { agent: UNKNOWN_AGENT, task: "" };
            self.report(run, &event, out);
        }
        self.cancel_tools(run, out);
        let event = AgentEvent::Failed { code: ending.code(), message: ending.text() };
        if let Ok(Admitted::Failure(open)) = self.admit(run, &event) {
            self.publish_report(run, &event, &open, out);
        }
        let has_agent = self.run(run).is_some_and(|run| !matches!(run.seat, Seat::Waits(_)));
        let (end, letter) = match ending {
            Ending::Cancelled => {
                self.stats.runs.cancelled += 1;
                self.stats.runs.completed += u64::from(mutant!(self.config, CancelCountedTwice));
                (RunEnd::Cancelled, None)
            }
            Ending::TimedOut => {
                self.stats.runs.timed_out += 1;
                (RunEnd::TimedOut, Some(Reason::Expired))
            }
            Ending::Shutdown => {
                self.stats.runs.shut_down += 1;
                (RunEnd::ShutDown, Some(Reason::Shutdown))
            }
        };
        self.observe_end(run, end, "", out);
        if has_agent {
            out.push(Effect::CancelRun { run, reason });
        }
        self.remove_run(run, letter, out);
    }

    pub(crate) fn run_due(&mut self, run: RunRef, out: &mut Effects) {
        self.end_run(run, Ending::TimedOut, CancelReason::TimedOut, out);
    }

    pub(crate) fn run(&self, run: RunRef) -> Option<&Run> {
        self.runs
            .get(run.index as usize)
            .filter(|slot| slot.generation == run.generation && slot.owner.is_some())
    }

    pub(crate) fn open_runs(&self) -> impl Iterator<Item = RunRef> + '_ {
        self.runs
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.owner.is_some())
            .map(|(index, slot)| RunRef { index: index as u32, generation: slot.generation })
    }

    pub(crate) fn add_run(&mut self, mut run: Run) -> RunRef {
        match self.free_runs.pop() {
            Some(index) => {
                let slot = &mut self.runs[index as usize];
                run.generation = slot.generation;
                *slot = run;
                RunRef { index, generation: slot.generation }
            }
            None => {
                self.runs.push(run);
                RunRef { index: self.runs.len() as u32 - 1, generation: 0 }
            }
        }
    }

    pub(crate) fn run_mut(&mut self, run: RunRef) -> Option<&mut Run> {
        self.runs
            .get_mut(run.index as usize)
            .filter(|slot| slot.generation == run.generation && slot.owner.is_some())
    }

    /// With a reason, its message is a dead letter.
    fn remove_run(&mut self, run: RunRef, letter: Option<Reason>, out: &mut Effects) {
        let Some(slot) = self.run_mut(run) else { return };
        let Some(owner) = slot.owner.take() else { return };
        slot.generation += 1;
        slot.agent = alloc::boxed::Box::default();
        let (dispatcher, outbox) = (slot.tools.take(), slot.outbox);
        let (asked, seat) = (slot.asked.take(), core::mem::take(&mut slot.seat));
        self.detach_outbox(outbox);
        self.free_runs.push(run.index);
        self.stats.runs.open -= 1;
        self.audience.user_mut(owner).runs.retain(|open| *open != run);
        self.idle(owner);
        if let Some(dispatcher) = dispatcher {
            self.close_dispatcher(dispatcher);
        }
        if letter.is_some() || !matches!(seat, Seat::None) {
            let user = self.audience.user(owner).copied_id();
            self.leave_seat(&user, seat, asked, letter, out);
        }
    }

    /// The run is nobody's business here any more: no word of it goes out. Answers whether an agent has it.
    pub(crate) fn drop_run(&mut self, run: RunRef, letter: Option<Reason>, out: &mut Effects) -> bool {
        let has_agent = self.run(run).is_some_and(|run| !matches!(run.seat, Seat::Waits(_)));
        self.cancel_tools(run, out);
        self.remove_run(run, letter, out);
        has_agent
    }

    /// The automaton's verdict; its state has moved when the answer is `Ok`.
    fn admit(&mut self, run: RunRef, event: &AgentEvent<'_>) -> Result<Admitted, Rule> {
        let again = mutant!(self.config, StartTwice);
        // A run that is no more has had its terminal event.
        let run = if mutant!(self.config, StaleRunHandle) {
            RunRef { generation: self.runs.get(run.index()).map_or(0, |slot| slot.generation), ..run }
        } else {
            run
        };
        let slot = self.run_mut(run).ok_or(Rule::R6)?;
        match *event {
            // Read elsewhere: what it does to the automaton stands in its members.
            AgentEvent::Data { .. } => {}
            AgentEvent::Started { .. } if again && slot.automaton.phase() == Phase::Running => {}
            AgentEvent::Started { agent, .. } => {
                slot.automaton.started()?;
                slot.agent =
                    wire::cut(if agent.is_empty() { UNKNOWN_AGENT } else { agent }, NAME_BYTES_MAX).into();
            }
            AgentEvent::Thinking { .. } | AgentEvent::Progress { .. } => slot.automaton.working()?,
            AgentEvent::ToolExecuting { call, tool, .. } => {
                slot.automaton.tool_executing(call, wire::cut(tool, NAME_BYTES_MAX))?;
            }
            AgentEvent::ToolCompleted { call, status, .. } => {
                // A dispatched call ends by its dispatcher, not by the agent's word.
                if slot.tools.as_ref().is_some_and(|tools| tools.has_in_flight(call)) {
                    return Err(Rule::R3);
                }
                let tool = slot.automaton.tool_completed(call)?;
                slot.tools_ended += 1;
                slot.tool_errors += u32::from(status != ToolStatus::Completed);
                return Ok(Admitted::Tool(tool));
            }
            AgentEvent::Completed { .. } => slot.automaton.completed()?,
            AgentEvent::Failed { .. } => return slot.automaton.failed().map(Admitted::Failure),
        }
        Ok(Admitted::Event)
    }

    /// `tools`: the one that ended, or those to be closed ahead of a failure.
    fn publish_report(&mut self, run: RunRef, event: &AgentEvent<'_>, tools: &[OpenTool], out: &mut Effects) {
        let ended = |tool: &OpenTool| tool.tool.clone();
        let own = match *event {
            AgentEvent::Data { .. } => return,
            AgentEvent::Started { task, .. } => Own::Started { task },
            AgentEvent::Thinking { reasoning, step } => Own::Thinking { reasoning, step },
            AgentEvent::Progress { data } => Own::Progress { data },
            AgentEvent::ToolExecuting { call, tool, parameters } => {
                Own::ToolExecuting { call, tool: wire::cut(tool, NAME_BYTES_MAX), parameters }
            }
            AgentEvent::ToolCompleted { call, status, results, duration_ms } => {
                let tool = tools.first().map(ended).unwrap_or_default();
                let results = results.get();
                let own = Own::ToolCompleted { call, tool: &tool, status, results, duration_ms };
                self.publish(run, &own, out);
                return;
            }
            AgentEvent::Completed { response, execution_time_ms } => {
                Own::Completed { response, execution_time_ms }
            }
            AgentEvent::Failed { code, message } => {
                if mutant!(self.config, ErrorBeforeTools) {
                    self.publish(run, &Own::Error { code, message, is_retryable: false }, out);
                    return self.close_tools(run, tools, out);
                }
                self.close_tools(run, tools, out);
                if mutant!(self.config, FailureAsSuccess) {
                    return self.publish(
                        run,
                        &Own::Completed { response: message, execution_time_ms: None },
                        out,
                    );
                }
                Own::Error { code, message, is_retryable: false }
            }
        };
        self.publish(run, &own, out);
    }

    /// Tools that a failure left open are said to be cancelled ahead of it.
    pub(super) fn close_tools(&mut self, run: RunRef, tools: &[OpenTool], out: &mut Effects) {
        for tool in tools {
            let own = Own::ToolCompleted {
                call: &tool.call,
                tool: &tool.tool,
                status: ToolStatus::Cancelled,
                results: "{}",
                duration_ms: 0,
            };
            self.publish(run, &own, out);
        }
    }

    /// Encodes one event of a run once and hands it to its owner's connections.
    pub(super) fn publish(&mut self, run: RunRef, own: &Own<'_>, out: &mut Effects) {
        let Some(slot) = self.runs.get_mut(run.index as usize) else { return };
        let Some(user) = slot.owner else { return };
        let user = if mutant!(self.config, RunForConn) {
            self.audience.conn_at(run.index % self.audience.slots().0 as u32).user
        } else {
            user
        };
        if mutant!(self.config, DropTerminalWhenAway)
            && self.audience.user(user).conns.is_empty()
            && matches!(own, Own::Completed { .. } | Own::Error { .. })
        {
            return;
        }
        slot.seq += 1 + u64::from(mutant!(self.config, SkipSeq) && slot.seq == 4);
        let entry = Entry { thread: Some(slot.thread.clone()), run: slot.number, seq: slot.seq };
        let (audience, mut flow) = (
            &mut self.audience,
            crate::audience::Flow {
                now: self.now,
                config: &self.config,
                stats: &mut self.stats,
                timers: &mut self.timers,
                writer: &mut self.writer,
                receipts: &mut self.receipts,
                out,
            },
        );
        let is_shared = self.cluster.is_some();
        let shared = audience.with_owner(user, |audience, owner| {
            let owned = audience.user(user);
            let head = EventHead {
                user: &owned.id,
                thread: &slot.thread,
                node: &slot.node,
                run: slot.number,
                request: &slot.request,
                agent: own.agent().unwrap_or(&slot.agent),
                now: flow.now,
                seq: slot.seq,
                cursor: (!is_shared).then(|| {
                    audience.next_cursor(&owner)
                        - u64::from(mutant!(flow.config, ReuseCursor) && slot.seq == 3)
                }),
                tier: owned.tier,
            };
            let frame_max = flow.config.outbound_frame_bytes_max as usize;
            let frame = wire::event(flow.writer, &head, own, frame_max, &flow.config.sanitise);
            flow.stats.frames.encoded += 1;
            if is_shared {
                return Some(frame);
            }
            audience.publish(&owner, owner.seal(frame), entry, &mut flow);
            None
        });
        if let Some(frame) = shared {
            self.emit_of_run(run, frame.as_str(), ends_run(own), out);
        }
    }
}

/// What the automaton let through.
enum Admitted {
    Event,
    /// The tool that ended.
    Tool(OpenTool),
    /// The tools left open by a failure.
    Failure(Vec<OpenTool>),
}
