//! Validator: the stream of a run is a word of its automaton.

use router::{OwnedEvent, Rule};

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    phase: Phase,
    /// Open tool calls with the tools' names, in the order of their start.
    open: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    Running,
    Done,
}

/// What an event means to the automaton.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Letter {
    Start,
    Within,
    Open {
        call: String,
        tool: String,
    },
    Close {
        call: String,
    },
    End,
    /// No event of a run's order.
    Other,
}

impl Order {
    /// Takes in an event, or names the rule that it breaks.
    pub(super) fn step(&mut self, event: &OwnedEvent) -> Result<(), Rule> {
        let letter = Letter::of(event);
        match (self.phase, &letter) {
            (_, Letter::Other) => return Ok(()),
            (Phase::Done, _) => return Err(Rule::R6),
            (Phase::Running, Letter::Start) => return Err(Rule::R2),
            (Phase::Idle, Letter::Start) => self.phase = Phase::Running,
            (Phase::Idle, _) => return Err(Rule::R1),
            (Phase::Running, Letter::Within) => {}
            (Phase::Running, Letter::Open { call, tool }) => {
                if self.open.iter().any(|(open, _)| open == call) {
                    return Err(Rule::R7);
                }
                self.open.push((call.clone(), tool.clone()));
            }
            (Phase::Running, Letter::Close { call }) => {
                let at = self.open.iter().position(|(open, _)| open == call).ok_or(Rule::R3)?;
                self.open.remove(at);
            }
            (Phase::Running, Letter::End) if !self.open.is_empty() => return Err(Rule::R4),
            (Phase::Running, Letter::End) => self.phase = Phase::Done,
        }
        Ok(())
    }

    /// Calls that are open, in the order of their start.
    pub(super) fn open(&self) -> &[(String, String)] {
        &self.open
    }
}

impl Letter {
    pub(super) fn of(event: &OwnedEvent) -> Self {
        match event {
            OwnedEvent::Started { .. } => Letter::Start,
            OwnedEvent::Thinking { .. } | OwnedEvent::Progress { .. } => Letter::Within,
            OwnedEvent::ToolExecuting { call, tool, .. } => {
                Letter::Open { call: call.clone(), tool: tool.clone() }
            }
            OwnedEvent::ToolCompleted { call, .. } => Letter::Close { call: call.clone() },
            OwnedEvent::Completed { .. } | OwnedEvent::Failed { .. } => Letter::End,
            OwnedEvent::Data { kind, .. } => match kind.as_str() {
                "agent_started" => Letter::Start,
                "agent_thinking" | "progress_update" => Letter::Within,
                "agent_completed" | "agent_error" | "agent_failed" | "agent_death" => Letter::End,
                _ => Letter::Other,
            },
        }
    }
}
