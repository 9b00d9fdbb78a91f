//! Follows runs, users and connections from inputs and effects, as far as conditions and triples need it.

use router::{AgentEvent, CancelReason, Close, Effect, Effects, Input, RunRef, Stats, ToolStatus};

use super::Condition;
use super::conditions::{Met, account};
use super::triples::{Grid, Moment, Stage};

/// Open tools of one run that are told apart.
const TOOLS: usize = 16;
/// No user of the plan.
const NOBODY: u32 = u32::MAX;

/// What is known of runs, users and connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Watch {
    /// By the index of the run.
    runs: Vec<Run>,
    /// By the number of the user.
    users: Vec<User>,
    /// By the index of the connection.
    owners: Vec<u32>,
    /// Frames that the router had left out or lost when it was last looked at.
    dropped: u64,
    /// News of quality that it had made by then.
    news: u64,
    draining: bool,
    /// Whether a node before this one was lost.
    lost: bool,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    generation: u32,
    user: u32,
    stage: Stage,
    /// Open calls, in the order in which they began.
    open: [u32; TOOLS],
    tools: usize,
}

#[derive(Clone, Copy, Debug, Default)]
struct User {
    /// Whether this node has met it.
    known: bool,
    connections: u32,
    asked: u32,
    working: u32,
    in_tool: u32,
    in_tools: u32,
}

impl Watch {
    pub(super) fn begin(&mut self, users: u32) {
        self.runs.clear();
        self.owners.clear();
        self.users.clear();
        self.users.resize(users as usize, User::default());
        (self.dropped, self.news) = (0, 0);
        self.draining = false;
        self.lost = false;
    }

    pub(super) fn node_lost(&mut self, stats: Option<&Stats>, met: &mut Met) {
        met.set_if(self.users.iter().any(|user| user.open() > 0), Condition::CrashWithRuns);
        if let Some(stats) = stats {
            account(met, stats);
        }
        self.begin(self.users.len() as u32);
        self.lost = true;
    }

    #[inline]
    pub(super) fn input(
        &mut self,
        at_us: u64,
        input: &Input<'_>,
        effects: &Effects,
        stats: Option<&Stats>,
        met: &mut Met,
        grid: &mut Grid,
    ) {
        match input {
            // Most inputs by far; nothing here depends on them.
            Input::Written { .. } | Input::Pong { .. } => return,
            Input::Agent { run, event } => {
                self.agent(at_us, *run, event, effects, met, grid);
                // An agent that is done may be the next one's.
                for effect in effects.iter() {
                    if let Effect::StartRun(request) = effect {
                        self.started(request.run, &request.user);
                    }
                }
            }
            Input::Text { conn, text } => {
                let user = self.owners.get(conn.index()).copied().unwrap_or(NOBODY);
                self.meet(at_us, user, Moment::of_text(text), grid);
                self.effects(effects, met);
                met.set_if(stats.is_some_and(|stats| stats.inbound.held > 0), Condition::SetUpHeld);
            }
            Input::Connect(connect) => {
                let user = self.number(connect.user);
                let moment = if connect.resume.is_some() { Moment::Resume } else { Moment::Connect };
                self.meet(at_us, user, moment, grid);
                self.connected(user, connect.resume, effects, met);
            }
            Input::Closed { conn } => {
                let user = self.owners.get(conn.index()).copied().unwrap_or(NOBODY);
                self.meet(at_us, user, Moment::Closed, grid);
                if let Some(slot) = self.users.get_mut(user as usize) {
                    met.set_if(slot.open() > 0, Condition::LostMidRun);
                    slot.connections = slot.connections.saturating_sub(1);
                    self.owners[conn.index()] = NOBODY;
                }
                self.effects(effects, met);
            }
            Input::Drain => {
                self.draining = true;
                met.set(Condition::Drain);
                self.effects(effects, met);
            }
            Input::AuthFailed { .. }
            | Input::Binary { .. }
            | Input::Violation { .. }
            | Input::Tool { .. }
            | Input::Quality { .. }
            | Input::QualityNews { .. }
            | Input::Flush
            | Input::Deliver(_)
            | Input::Unregister { .. }
            | Input::Stored(_)
            | Input::Woken(_)
            | Input::Store(_)
            | Input::Redrive { .. }
            | Input::SweepIdle
            | Input::Tick => self.effects(effects, met),
        }
        if let Some(stats) = stats {
            let dropped = stats.frames.dropped;
            // A connection that goes takes its frames along: only what is left out while it stays counts.
            let left_out =
                dropped > self.dropped && matches!(input, Input::Agent { .. } | Input::Text { .. });
            met.set_if(left_out, Condition::FullOutbound);
            self.dropped = dropped;
            // News is made whether anybody subscribed or not.
            let news = std::mem::replace(&mut self.news, stats.quality.news) < stats.quality.news;
            met.set_if(news && sends_news(effects), Condition::QualityNews);
        }
    }

    /// The number in an id of the plan's form, `user-000123-9f3c`.
    fn number(&self, id: &str) -> u32 {
        let digits = id.get(5..).and_then(|rest| rest.split('-').next());
        let number = digits.and_then(|digits| digits.parse::<u32>().ok());
        number.filter(|number| (*number as usize) < self.users.len()).unwrap_or(NOBODY)
    }

    fn meet(&self, at_us: u64, user: u32, moment: Moment, grid: &mut Grid) {
        let stage = self.users.get(user as usize).map_or(Stage::NoRun, |user| user.stage());
        grid.meet(at_us, user, stage, moment);
    }

    fn connected(&mut self, user: u32, resume: Option<u64>, effects: &Effects, met: &mut Met) {
        let mut accepted = false;
        for effect in effects.iter() {
            if let Effect::Accepted { conn, .. } = effect {
                accepted = true;
                if self.owners.len() <= conn.index() {
                    self.owners.resize(conn.index() + 1, NOBODY);
                }
                self.owners[conn.index()] = user;
            }
        }
        if let Some(slot) = self.users.get_mut(user as usize).filter(|_| accepted) {
            let again = resume.is_some();
            slot.connections += 1;
            let unknown = self.lost && !std::mem::replace(&mut slot.known, true);
            met.set_if(unknown && resume > Some(0), Condition::UnknownCursor);
            met.set_if(again, Condition::Reconnect);
            met.set_if(again && slot.open() > 0, Condition::ReconnectMidRun);
        }
        self.effects(effects, met);
    }

    fn agent(
        &mut self,
        at_us: u64,
        run: RunRef,
        event: &AgentEvent<'_>,
        effects: &Effects,
        met: &mut Met,
        grid: &mut Grid,
    ) {
        let moment = moment_of(event);
        let Some(slot) = self.runs.get_mut(run.index()).filter(|slot| slot.generation == run.generation())
        else {
            return;
        };
        grid.meet(at_us, slot.user, slot.stage, moment);
        if slot.stage == Stage::Ended {
            return met.set(Condition::LateEvent);
        }
        let Some(user) = self.users.get_mut(slot.user as usize) else { return };
        met.set_if(user.connections == 0, Condition::NobodyThere);
        met.set_if(reaches_two(effects, slot.user, &self.owners), Condition::SeveralTabs);
        let stage = slot.step(event, met);
        user.moved(slot.stage, stage);
        slot.stage = stage;
        met.set_if(user.working + user.in_tool + user.in_tools > 1, Condition::ParallelRuns);
    }

    /// What an input led to, besides frames.
    fn effects(&mut self, effects: &Effects, met: &mut Met) {
        for effect in effects.iter() {
            match effect {
                Effect::StartRun(request) => self.started(request.run, &request.user),
                Effect::CancelRun { run, reason } => self.cancelled(*run, *reason, met),
                Effect::Close { close, .. } => closed(*close, met),
                Effect::Drained => met.set_if(self.draining, Condition::Drained),
                Effect::Accepted { .. }
                | Effect::Refused { .. }
                | Effect::Send { .. }
                | Effect::Ping { .. }
                | Effect::RunTool(_)
                | Effect::CancelTool(_)
                | Effect::ToolAnswered(_)
                | Effect::AgentRefused(_)
                | Effect::AskQuality(_)
                | Effect::Audit(_)
                | Effect::Receipt(_)
                | Effect::Store(_)
                | Effect::PauseRun { .. }
                | Effect::ResumeRun { .. }
                | Effect::Redriven(_)
                | Effect::Swept { .. } => {}
            }
        }
    }

    fn started(&mut self, run: RunRef, user: &str) {
        let user = self.number(user);
        let begun =
            Run { generation: run.generation(), user, stage: Stage::Asked, open: [0; TOOLS], tools: 0 };
        if self.runs.len() <= run.index() {
            let nothing = Run { generation: u32::MAX, user: NOBODY, stage: Stage::Ended, ..begun };
            self.runs.resize(run.index() + 1, nothing);
        }
        self.runs[run.index()] = begun;
        if let Some(slot) = self.users.get_mut(user as usize) {
            slot.moved(Stage::Ended, Stage::Asked);
        }
    }

    fn cancelled(&mut self, run: RunRef, reason: CancelReason, met: &mut Met) {
        let Some(slot) = self.runs.get_mut(run.index()).filter(|slot| slot.generation == run.generation())
        else {
            return;
        };
        let in_tool = slot.tools > 0;
        match reason {
            CancelReason::Stopped => {
                met.set(if in_tool { Condition::StopMidTool } else { Condition::StopMidRun });
            }
            CancelReason::TimedOut => {
                met.set(Condition::AgentDeadline);
                met.set_if(in_tool, Condition::DeadlineMidTool);
            }
            CancelReason::Shutdown => met.set(Condition::ShutDownRun),
            CancelReason::Fenced => {}
        }
        if let Some(user) = self.users.get_mut(slot.user as usize) {
            user.moved(slot.stage, Stage::Ended);
        }
        (slot.stage, slot.tools) = (Stage::Ended, 0);
    }
}

impl Run {
    /// What the run is at after its agent said that; reports that must not be are refused and change nothing.
    fn step(&mut self, event: &AgentEvent<'_>, met: &mut Met) -> Stage {
        match event {
            AgentEvent::Started { .. } if self.stage == Stage::Asked => Stage::Working,
            AgentEvent::ToolExecuting { call, .. } if self.stage != Stage::Asked => {
                if let Some(place) = self.open.get_mut(self.tools) {
                    *place = key(call);
                    self.tools += 1;
                }
                met.set_if(self.tools > 1, Condition::ParallelTools);
                self.working()
            }
            AgentEvent::ToolCompleted { call, status, .. } => {
                met.set_if(*status == ToolStatus::Error, Condition::ToolFailed);
                if let Some(at) = self.open[..self.tools].iter().position(|open| *open == key(call)) {
                    met.set_if(at > 0, Condition::ToolsOutOfOrder);
                    self.open.copy_within(at + 1..self.tools, at);
                    self.tools -= 1;
                }
                self.working()
            }
            AgentEvent::Completed { .. } => Stage::Ended,
            AgentEvent::Failed { .. } => {
                met.set_if(self.tools > 0, Condition::FailedInTool);
                Stage::Ended
            }
            AgentEvent::Started { .. }
            | AgentEvent::ToolExecuting { .. }
            | AgentEvent::Data { .. }
            | AgentEvent::Thinking { .. }
            | AgentEvent::Progress { .. } => self.stage,
        }
    }

    fn working(&self) -> Stage {
        match self.tools {
            0 => Stage::Working,
            1 => Stage::InTool,
            _ => Stage::InTools,
        }
    }
}

impl User {
    fn open(&self) -> u32 {
        self.asked + self.working + self.in_tool + self.in_tools
    }

    /// The furthest of its runs.
    fn stage(&self) -> Stage {
        match self {
            User { in_tools: 1.., .. } => Stage::InTools,
            User { in_tool: 1.., .. } => Stage::InTool,
            User { working: 1.., .. } => Stage::Working,
            User { asked: 1.., .. } => Stage::Asked,
            User { .. } => Stage::NoRun,
        }
    }

    /// A run of the user went from one stage to another.
    fn moved(&mut self, from: Stage, to: Stage) {
        if let Some(count) = self.at(from) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.at(to) {
            *count += 1;
        }
    }

    fn at(&mut self, stage: Stage) -> Option<&mut u32> {
        match stage {
            Stage::Asked => Some(&mut self.asked),
            Stage::Working => Some(&mut self.working),
            Stage::InTool => Some(&mut self.in_tool),
            Stage::InTools => Some(&mut self.in_tools),
            Stage::NoRun | Stage::Ended => None,
        }
    }
}

fn moment_of(event: &AgentEvent<'_>) -> Moment {
    match event {
        AgentEvent::Data { .. } | AgentEvent::Progress { .. } => Moment::Given,
        AgentEvent::Started { .. } => Moment::Started,
        AgentEvent::Thinking { .. } => Moment::Thinking,
        AgentEvent::ToolExecuting { .. } => Moment::ToolExecuting,
        AgentEvent::ToolCompleted { .. } => Moment::ToolCompleted,
        AgentEvent::Completed { .. } => Moment::Completed,
        AgentEvent::Failed { .. } => Moment::Failed,
    }
}

fn closed(close: Close, met: &mut Met) {
    match close {
        Close::Unresponsive => met.set(Condition::UnresponsiveClosed),
        Close::Abuse => met.set(Condition::AbuseClosed),
        Close::ShuttingDown
        | Close::SlowReader
        | Close::Protocol
        | Close::InvalidUtf8
        | Close::AuthFailed
        | Close::TokenExpired
        | Close::ConnectionLimit
        | Close::NameRefused
        | Close::Replaced
        | Close::Unregistered
        | Close::Idle
        | Close::TooBig => {}
    }
}

/// Whether frames went to two connections of the user at least: one may get an event and news.
fn reaches_two(effects: &Effects, user: u32, owners: &[u32]) -> bool {
    let mut first = None;
    effects.iter().any(|effect| {
        let Effect::Send { conn, .. } = effect else { return false };
        owners.get(conn.index()) == Some(&user) && *first.get_or_insert(conn.index()) != conn.index()
    })
}

/// Whether somebody was sent news of quality.
fn sends_news(effects: &Effects) -> bool {
    effects.iter().any(|effect| {
        let Effect::Send { frame, .. } = effect else { return false };
        let text = effects.frame(*frame).as_str();
        text.starts_with(r#"{"type":"quality_alert""#) || text.starts_with(r#"{"type":"quality_update""#)
    })
}

/// A short stand-in for the id of a call within its run.
fn key(call: &str) -> u32 {
    call.bytes().fold(0, |key: u32, byte| key.wrapping_mul(31).wrapping_add(u32::from(byte)))
}
