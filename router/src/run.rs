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

/// The events that the automaton knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventKind {
    /// `agent_started`.
    Started,
    /// `agent_thinking`.
    Thinking,
    /// `progress_update`.
    Progress,
    /// `tool_executing`.
    ToolExecuting,
    /// `tool_completed`.
    ToolCompleted,
    /// `agent_completed`.
    Completed,
    /// `agent_error`; `agent_failed` is read as the same.
    Error,
    /// `agent_death`.
    Death,
}

impl EventKind {
    /// The kind of that type; `None` when the type is outside of the automaton.
    pub fn of(kind: &str) -> Option<Self> {
        Some(match kind {
            "agent_started" => EventKind::Started,
            "agent_thinking" => EventKind::Thinking,
            "progress_update" => EventKind::Progress,
            "tool_executing" => EventKind::ToolExecuting,
            "tool_completed" => EventKind::ToolCompleted,
            "agent_completed" => EventKind::Completed,
            "agent_error" | "agent_failed" => EventKind::Error,
            "agent_death" => EventKind::Death,
            _ => return None,
        })
    }

    /// The type on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            EventKind::Started => "agent_started",
            EventKind::Thinking => "agent_thinking",
            EventKind::Progress => "progress_update",
            EventKind::ToolExecuting => "tool_executing",
            EventKind::ToolCompleted => "tool_completed",
            EventKind::Completed => "agent_completed",
            EventKind::Error => "agent_error",
            EventKind::Death => "agent_death",
        }
    }

    /// Whether it is one of the five events, which are marked `critical`.
    pub const fn is_critical(self) -> bool {
        match self {
            EventKind::Started
            | EventKind::Thinking
            | EventKind::ToolExecuting
            | EventKind::ToolCompleted
            | EventKind::Completed => true,
            EventKind::Progress | EventKind::Error | EventKind::Death => false,
        }
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
    /// Whether the producer named the call; if not, the id was made for it.
    pub named: bool,
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
        self.open.push(OpenTool { call: call.into(), tool: tool.into(), named: true });
        Ok(())
    }

    /// `tool_executing` of a producer that names no call. `number` makes an id for it; it is not used twice.
    pub fn tool_executing_unnamed(&mut self, number: u64, tool: &str) -> Result<&OpenTool, Rule> {
        let mut call = String::from("auto-");
        crate::wire::push_integer(&mut call, number);
        self.tool_executing(&call, tool)?;
        let at = self.open.len() - 1;
        self.open[at].named = false;
        Ok(&self.open[at])
    }

    /// `tool_completed`; answers the tool's name.
    pub fn tool_completed(&mut self, call: &str) -> Result<OpenTool, Rule> {
        self.working()?;
        let at = self.open.iter().position(|open| &*open.call == call).ok_or(Rule::R3)?;
        Ok(self.open.remove(at))
    }

    /// `tool_completed` of a producer that may name the call, the tool, both or neither. A call is matched by its
    /// id; without one, or when the call was opened without one, by the tool's name, first in, first out. An event
    /// that says no name matches any open tool, and an open tool without a name any event. Calls for which `except`
    /// holds are passed over: they end otherwise.
    pub fn tool_ended(
        &mut self,
        call: Option<&str>,
        tool: Option<&str>,
        except: &dyn Fn(&str) -> bool,
    ) -> Result<OpenTool, Rule> {
        self.working()?;
        let by_call = call.and_then(|call| {
            self.open.iter().position(|open| open.named && &*open.call == call && !except(call))
        });
        let candidate = |open: &OpenTool| (call.is_none() || !open.named) && !except(&open.call);
        let by_name = |wanted: &dyn Fn(&OpenTool) -> bool| {
            self.open.iter().position(|open| candidate(open) && wanted(open))
        };
        let at = by_call
            .or_else(|| match tool {
                Some(tool) => {
                    by_name(&|open| &*open.tool == tool).or_else(|| by_name(&|open| open.tool.is_empty()))
                }
                None => by_name(&|_| true),
            })
            .ok_or(Rule::R3)?;
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

    /// Takes one event of a recorded stream.
    fn observe(&mut self, kind: EventKind, event: &Observed<'_>, n: usize) -> Result<(), Rule> {
        match kind {
            EventKind::Started => self.started(),
            EventKind::Thinking | EventKind::Progress => self.working(),
            EventKind::ToolExecuting => match event.call {
                Some(call) => self.tool_executing(call, event.tool.unwrap_or_default()),
                None => self.tool_executing_unnamed(n as u64, event.tool.unwrap_or_default()).map(|_| ()),
            },
            EventKind::ToolCompleted => self.tool_ended(event.call, event.tool, &|_| false).map(|_| ()),
            EventKind::Completed => self.completed(),
            EventKind::Error | EventKind::Death => {
                if self.failed()?.is_empty() {
                    Ok(())
                } else {
                    Err(Rule::R4)
                }
            }
        }
    }

    /// `agent_error`: ends the run and hands back the tools that must be closed ahead of it.
    pub fn failed(&mut self) -> Result<Vec<OpenTool>, Rule> {
        self.working()?;
        self.phase = Phase::Done;
        Ok(core::mem::take(&mut self.open))
    }
}

/// One event of a recorded stream, as far as the automaton asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed<'a> {
    /// What it is; `None` for a type outside of the automaton.
    pub kind: Option<EventKind>,
    /// The id of its tool call, if it says one.
    pub call: Option<&'a str>,
    /// The tool's name, if it says one.
    pub tool: Option<&'a str>,
}

/// What the automaton says of a whole recorded stream of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// No rule is broken.
    pub well_formed: bool,
    /// Well formed, and ended.
    pub complete: bool,
    /// Complete, and all five events were seen.
    pub full_golden: bool,
    /// Index of the first event that breaks a rule.
    pub first_violation: Option<usize>,
    /// The rule it breaks.
    pub rule: Option<Rule>,
}

/// Judges a recorded stream of one run: the automaton that the router applies to its agents. A stream that ends
/// in an error must have closed its tools before, as the router's streams have: else `R4`.
pub fn verdict<'a>(events: impl IntoIterator<Item = Observed<'a>>) -> Verdict {
    let mut automaton = Automaton::default();
    let mut seen = Vec::new();
    for (n, event) in events.into_iter().enumerate() {
        let Some(kind) = event.kind else { continue };
        if let Err(rule) = automaton.observe(kind, &event, n) {
            let broken = Verdict {
                well_formed: false,
                complete: false,
                full_golden: false,
                first_violation: Some(n),
                rule: Some(rule),
            };
            return broken;
        }
        if kind.is_critical() && !seen.contains(&kind) {
            seen.push(kind);
        }
    }
    let complete = automaton.phase == Phase::Done;
    let full_golden = complete && seen.len() == 5;
    Verdict { well_formed: true, complete, full_golden, first_violation: None, rule: None }
}

/// The members that every run event carries and this one does not; `has` says which are there and not null.
pub fn lacks(has: impl Fn(&str) -> bool) -> impl Iterator<Item = &'static str> {
    ["run_id", "agent_name", "timestamp"].into_iter().filter(move |member| !has(member))
}

/// Whether a text can name a run: not blank, and not the reserved name of the old registry. Every id that the router
/// makes can; a host that keeps ids of its own as texts asks before it looks one up.
pub fn can_name_a_run(id: &str) -> bool {
    !id.trim().is_empty() && id != "registry"
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

/// The node and the number that a run's id is made of.
pub(crate) fn parts(run_id: &str) -> Option<(&str, u64)> {
    let (node, number) = run_id.strip_prefix("run-")?.rsplit_once('-')?;
    Some((node, number.parse().ok()?))
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
    fn tools_without_ids_close_by_name_first_in_first_out() {
        let mut run = running();
        assert_eq!(&*run.tool_executing_unnamed(7, "search").expect("open").call, "auto-7");
        run.tool_executing("b", "search").expect("open");
        run.tool_executing_unnamed(8, "").expect("open");
        assert_eq!(
            run.tool_ended(Some("x"), Some("look"), &|_| false).expect("the nameless").call,
            "auto-8".into()
        );
        assert_eq!(run.tool_ended(None, Some("look"), &|_| false), Err(Rule::R3));
        assert_eq!(
            run.tool_ended(None, Some("search"), &|_| false).expect("the first").call,
            "auto-7".into()
        );
        assert_eq!(run.tool_ended(Some("x"), Some("search"), &|_| false), Err(Rule::R3));
        assert_eq!(run.tool_ended(None, None, &|_| false).expect("any").call, "b".into());
        assert_eq!(run.tool_ended(None, None, &|_| false), Err(Rule::R3));
    }

    #[test]
    fn a_verdict_names_the_first_violation() {
        let of = |kinds: &[&str]| {
            verdict(kinds.iter().map(|kind| Observed { kind: EventKind::of(kind), call: None, tool: None }))
        };
        let golden = [
            "agent_started",
            "agent_thinking",
            "tool_executing",
            "status_update",
            "tool_completed",
            "agent_completed",
        ];
        assert!(of(&golden).full_golden);
        assert!(of(&golden[..5]).well_formed && !of(&golden[..5]).complete);
        assert!(
            of(&["agent_started", "agent_death"]).complete
                && !of(&["agent_started", "agent_death"]).full_golden
        );
        let broken = of(&["agent_started", "tool_executing", "agent_failed", "agent_thinking"]);
        assert_eq!((broken.first_violation, broken.rule), (Some(2), Some(Rule::R4)));
        assert_eq!(of(&["heartbeat", "agent_thinking"]).first_violation, Some(1));
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
    #[test]
    fn a_tool_event_closes_the_call_it_names_else_the_first_of_its_tool_that_may_end_so() {
        let closed = |call, tool, except: &dyn Fn(&str) -> bool| {
            let mut run = running();
            for (call, tool) in [("a", "search"), ("b", "search"), ("c", "look")] {
                run.tool_executing(call, tool).expect("open");
            }
            run.tool_ended(call, tool, except).map(|tool| tool.call.into_string())
        };
        let none: &dyn Fn(&str) -> bool = &|_| false;
        assert_eq!(closed(Some("b"), Some("search"), none).as_deref(), Ok("b"));
        assert_eq!(closed(None, Some("search"), none).as_deref(), Ok("a"));
        assert_eq!(closed(None, Some("look"), none).as_deref(), Ok("c"));
        assert_eq!(closed(None, Some("search"), &|call| call == "a").as_deref(), Ok("b"));
        assert_eq!(closed(None, None, &|call| call != "c").as_deref(), Ok("c"));
        assert_eq!(closed(Some("a"), Some("search"), &|call| call == "a"), Err(Rule::R3));
        assert_eq!(
            closed(Some("x"), Some("search"), none),
            Err(Rule::R3),
            "named calls close by their id only"
        );
        let mut run = running();
        for (number, tool) in [(1, "search"), (2, "look")] {
            run.tool_executing_unnamed(number, tool).expect("open");
        }
        let closed = run.tool_ended(Some("auto-2"), Some("search"), none).expect("the first of that name");
        assert_eq!((&*closed.call, closed.named), ("auto-1", false), "an id that was made up names nothing");
    }

    #[test]
    fn all_five_must_be_seen_and_nothing_stands_for_another() {
        let of = |kinds: &[&str]| {
            verdict(kinds.iter().map(|kind| Observed { kind: EventKind::of(kind), call: None, tool: None }))
        };
        let (start, think, progress, end) =
            ("agent_started", "agent_thinking", "progress_update", "agent_completed");
        let without_tools = of(&[start, think, think, progress, progress, end]);
        assert!(without_tools.complete && !without_tools.full_golden);
        let without_thinking = of(&[start, "tool_executing", "tool_completed", progress, end]);
        assert!(without_thinking.complete && !without_thinking.full_golden);
    }

    #[test]
    fn a_call_has_a_bounded_id_and_a_run_so_many_open_calls() {
        let mut run = running();
        assert_eq!(run.may_execute(&"c".repeat(129)), Err(Rule::R7));
        run.tool_executing(&"c".repeat(128), "search").expect("just short enough");
        for number in 1..64 {
            run.tool_executing_unnamed(number, "search").expect("room for 64");
        }
        assert_eq!((run.open_tools().len(), run.may_execute("d")), (64, Err(Rule::R7)));
        assert!(run.open_tools()[0].named && !run.open_tools()[63].named);
    }

    #[test]
    fn what_an_event_lacks_is_named_in_order() {
        assert_eq!(lacks(|_| true).count(), 0);
        assert_eq!(lacks(|member| member == "agent_name").collect::<Vec<_>>(), ["run_id", "timestamp"]);
    }

    #[test]
    fn blank_and_reserved_texts_name_no_run() {
        assert!(can_name_a_run("run-n0-1") && can_name_a_run("registry-1"));
        assert!(!["", "  ", "registry"].into_iter().any(can_name_a_run));
    }

    #[test]
    fn types_and_kinds_go_both_ways() {
        for (name, critical) in [
            ("agent_started", true),
            ("agent_thinking", true),
            ("progress_update", false),
            ("tool_executing", true),
            ("tool_completed", true),
            ("agent_completed", true),
            ("agent_error", false),
            ("agent_death", false),
        ] {
            let kind = EventKind::of(name).expect("known");
            assert_eq!((kind.name(), kind.is_critical()), (name, critical));
        }
        assert_eq!((EventKind::of("agent_failed"), EventKind::of("")), (Some(EventKind::Error), None));
        assert_eq!(Rule::ALL.map(Rule::name)[..2], ["run.R1", "run.R2"]);
    }
}
