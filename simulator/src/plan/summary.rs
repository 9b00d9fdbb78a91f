//! Counts over a whole plan: what a run prints first, and what its end is compared with.

use std::fmt;

use super::{Action, ActionKind, ExpectedRun, UserPlan};
use crate::script::Terminal;

/// What a plan contains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Users.
    pub users: u64,
    /// Tabs of all users.
    pub tabs: u64,
    /// Frames that clients send: messages of all kinds and stops.
    pub frames_in: u64,
    /// Messages that start a run.
    pub runs: u64,
    /// Runs that end with an answer.
    pub completed: u64,
    /// Runs that end with an agent error.
    pub agent_errors: u64,
    /// Runs that the user stops.
    pub cancelled: u64,
    /// Runs that the deadline ends.
    pub timed_out: u64,
    /// Runs that show all five event types.
    pub full_golden: u64,
    /// Runs with a failing tool.
    pub with_tool_error: u64,
    /// Run events that agents cause, each counted once per user.
    pub run_events: u64,
    /// Run events times the tabs of their user: frames that clients receive, whether live or recovered.
    pub run_frames_out: u64,
    /// Types that the router does not know.
    pub unknown: u64,
    /// Bad frames.
    pub malformed: u64,
    /// Lost connections; each comes back.
    pub disconnects: u64,
    /// Times during which a tab does not read.
    pub stalls: u64,
    /// When the last tab leaves, microseconds from the start.
    pub ends_at_us: u64,
}

impl Summary {
    /// Counts users.
    pub fn of(users: impl Iterator<Item = UserPlan>) -> Self {
        let mut summary = Self::default();
        for user in users {
            summary.users += 1;
            summary.tabs += u64::from(user.tabs);
            summary.ends_at_us = summary.ends_at_us.max(user.leave_at_us);
            for Action { kind, .. } in &user.actions {
                summary.count(kind, u64::from(user.tabs));
            }
        }
        summary
    }

    fn count(&mut self, kind: &ActionKind, tabs: u64) {
        match kind {
            ActionKind::Connect | ActionKind::Reconnect | ActionKind::Leave => return,
            ActionKind::Disconnect => return self.disconnects += 1,
            ActionKind::StallReading { .. } => return self.stalls += 1,
            ActionKind::Say(say) => self.count_run(&say.expected, tabs),
            ActionKind::Unknown { .. } => self.unknown += 1,
            ActionKind::Malformed(_) => self.malformed += 1,
            ActionKind::Ping
            | ActionKind::Heartbeat
            | ActionKind::Typing { .. }
            | ActionKind::Quality(_)
            | ActionKind::Stop { .. } => {}
        }
        self.frames_in += 1;
    }

    fn count_run(&mut self, run: &ExpectedRun, tabs: u64) {
        self.runs += 1;
        match run.terminal {
            Terminal::Completed => self.completed += 1,
            Terminal::AgentError => self.agent_errors += 1,
            Terminal::Cancelled => self.cancelled += 1,
            Terminal::TimedOut => self.timed_out += 1,
        }
        self.full_golden += u64::from(run.full_golden);
        self.with_tool_error += u64::from(run.tool_errors > 0);
        // Started, terminal, and every tool closed, if not by itself then by the router.
        let events = 2 + u64::from(run.thinking) + 2 * u64::from(run.tools);
        self.run_events += events;
        self.run_frames_out += events * tabs;
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { users, tabs, frames_in, runs, run_events, run_frames_out, .. } = self;
        let Self { completed, agent_errors, cancelled, timed_out, disconnects, .. } = self;
        write!(f, "{users} users, {tabs} tabs, {frames_in} frames in, {runs} runs ({completed} completed, ")?;
        write!(f, "{agent_errors} agent errors, {cancelled} stopped, {timed_out} timed out), ")?;
        write!(f, "{run_events} run events, ")?;
        let seconds = self.ends_at_us / 1_000_000;
        write!(f, "{run_frames_out} run frames out, {disconnects} disconnects, {seconds} s")
    }
}
