//! The automaton of a run: which event may follow which.
//!
//! `run = started , { thinking | progress | tool } , terminal`, where each `tool_executing` is closed by one
//! `tool_completed` with the same call id and calls may overlap. The router never lets an agent's report
//! through that is not a prefix of such a word.

use alloc::{boxed::Box, string::String, vec::Vec};
use core::fmt;

/// A rule of the run's order; the names are those of every report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// An event before `agent_started`.
    R1,
    /// A second `agent_started`.
    R2,
    /// `tool_completed` for a call that is not open.
    R3,
    /// `agent_completed` while tools are open.
    R4,
    /// The run never ended.
    R5,
    /// An event after the terminal one.
    R6,
    /// `tool_executing` for a call that is open already, or that cannot be opened: an id of more than 128 bytes,
    /// or a 65th open call.
    R7,
}

impl Rule {
    /// All rules.
    pub const ALL: [Rule; 7] = [Rule::R1, Rule::R2, Rule::R3, Rule::R4, Rule::R5, Rule::R6, Rule::R7];

    /// The rule's name in reports, e.g. `run.R3`.
    pub const fn name(self) -> &'static str {
        match self {
            Rule::R1 => "run.R1",
            Rule::R2 => "run.R2",
            Rule::R3 => "run.R3",
            Rule::R4 => "run.R4",
            Rule::R5 => "run.R5",
            Rule::R6 => "run.R6",
            Rule::R7 => "run.R7",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Longest id of a tool call, in bytes.
const CALL_BYTES_MAX: usize = 128;
/// Tool calls open at once in one run.
const OPEN_TOOLS_MAX: usize = 64;

/// Where a run stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Not started.
    #[default]
    Idle,
    /// Started, not ended.
    Running,
    /// Ended.
    Done,
}

/// An open tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenTool {
    /// The call's id within its run.
    pub call: Box<str>,
    /// The tool's name.
    pub tool: Box<str>,
}

/// State of one run: phase and the open tool calls, in the order in which they were opened.
#[derive(Clone, Debug, Default)]
pub struct Automaton {
    phase: Phase,
    open: Vec<OpenTool>,
}

impl Automaton {
    /// Where the run stands.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// The open tool calls, oldest first.
    pub fn open_tools(&self) -> &[OpenTool] {
        &self.open
    }

    /// `agent_started`.
    pub fn started(&mut self) -> Result<(), Rule> {
        match self.phase {
            Phase::Idle => {
                self.phase = Phase::Running;
                Ok(())
            }
            Phase::Running => Err(Rule::R2),
            Phase::Done => Err(Rule::R6),
        }
    }

    /// `agent_thinking` or progress.
    pub fn working(&self) -> Result<(), Rule> {
        match self.phase {
            Phase::Idle => Err(Rule::R1),
            Phase::Running => Ok(()),
            Phase::Done => Err(Rule::R6),
        }
    }

    /// Whether `tool_executing` may come now for that call.
    pub fn may_execute(&self, call: &str) -> Result<(), Rule> {
        self.working()?;
        let bounded = call.len() <= CALL_BYTES_MAX && self.open.len() < OPEN_TOOLS_MAX;
        if !bounded || self.open.iter().any(|open| &*open.call == call) {
            return Err(Rule::R7);
        }
        Ok(())
    }

    /// `tool_executing`.
    pub fn tool_executing(&mut self, call: &str, tool: &str) -> Result<(), Rule> {
        self.may_execute(call)?;
        self.open.push(OpenTool { call: call.into(), tool: tool.into() });
        Ok(())
    }

    /// `tool_completed`; answers the tool's name.
    pub fn tool_completed(&mut self, call: &str) -> Result<OpenTool, Rule> {
        self.working()?;
        let at = self.open.iter().position(|open| &*open.call == call).ok_or(Rule::R3)?;
        Ok(self.open.remove(at))
    }

    /// `agent_completed`.
    pub fn completed(&mut self) -> Result<(), Rule> {
        self.working()?;
        if !self.open.is_empty() {
            return Err(Rule::R4);
        }
        self.phase = Phase::Done;
        Ok(())
    }

    /// `agent_error`: ends the run and hands back the tools that must be closed ahead of it.
    pub fn failed(&mut self) -> Result<Vec<OpenTool>, Rule> {
        self.working()?;
        self.phase = Phase::Done;
        Ok(core::mem::take(&mut self.open))
    }
}

/// Why a run ended with `agent_error` by the router's own decision; the code on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The user stopped it.
    Cancelled,
    /// Its deadline passed.
    TimedOut,
    /// The drain deadline passed.
    Shutdown,
}

impl Ending {
    /// The `error_code` on the wire.
    pub const fn code(self) -> &'static str {
        match self {
            Ending::Cancelled => "CANCELLED",
            Ending::TimedOut => "TIMEOUT",
            Ending::Shutdown => "SHUTDOWN",
        }
    }

    /// The `error_message` on the wire.
    pub const fn text(self) -> &'static str {
        match self {
            Ending::Cancelled => "The run was stopped",
            Ending::TimedOut => "The agent took too long",
            Ending::Shutdown => "The server is shutting down",
        }
    }
}

/// Text of an id made from a prefix, the node's name and a number.
pub(crate) fn id(prefix: &str, node: &str, number: u64) -> String {
    let mut id = String::with_capacity(prefix.len() + node.len() + 22);
    id.push_str(prefix);
    id.push('-');
    id.push_str(node);
    id.push('-');
    crate::wire::push_integer(&mut id, number);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Automaton {
        let mut run = Automaton::default();
        run.started().expect("first");
        run
    }

    #[test]
    fn each_rule_is_kept() {
        assert_eq!(Automaton::default().working(), Err(Rule::R1));
        assert_eq!(running().started(), Err(Rule::R2));
        assert_eq!(running().tool_completed("a").expect_err("refused"), Rule::R3);
        let mut run = running();
        run.tool_executing("a", "search").expect("open");
        assert_eq!(run.tool_executing("a", "search"), Err(Rule::R7));
        assert_eq!(run.completed(), Err(Rule::R4));
        run.tool_completed("a").expect("closed");
        run.completed().expect("ended");
        assert_eq!(run.working(), Err(Rule::R6));
        assert_eq!(run.started(), Err(Rule::R6));
    }

    #[test]
    fn parallel_tools_close_in_any_order_and_failure_hands_back_the_rest() {
        let mut run = running();
        for call in ["a", "b", "c"] {
            run.tool_executing(call, "search").expect("open");
        }
        run.tool_completed("b").expect("open");
        let left = run.failed().expect("ends");
        assert_eq!(left.iter().map(|tool| &*tool.call).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(run.failed().expect_err("refused"), Rule::R6);
    }
}
