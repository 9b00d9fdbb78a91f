//! `[[expect.journey]]`: how long the whole way from a message to its answer may take, and its steps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::share::Share;
use super::time::Micros;
use super::users::Tier;

/// One journey of `[[expect.journey]]`, as the tab sees it that asked. It is measured for every run whose plan comes by
/// all its milestones: one that is to fail, or has no tool, is no journey to an answer by way of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Journey {
    /// What reports call it: lower-case letters, digits, `-` and `_`. Default: both ends, such as `sent-agent_completed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it begins. Default "sent".
    pub from: Milestone,
    /// Where it ends. Default "agent_completed".
    pub to: Milestone,
    /// Only users of this tier. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
    /// Longest time of half of the journeys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50: Option<Micros>,
    /// Longest time of 99 % of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p99: Option<Micros>,
    /// Longest time of any: a deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<Micros>,
    /// Least share of the journeys that come to their end with their milestones in order. Default 1.
    pub complete: Share,
    /// What it comes by on its way, in this order.
    #[serde(rename = "step", skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<JourneyStep>,
}

/// One step of a journey: from the milestone before it to its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JourneyStep {
    /// Where it leads.
    pub to: Milestone,
    /// Longest time of half of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50: Option<Micros>,
    /// Longest time of 99 % of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99: Option<Micros>,
    /// Longest time of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Micros>,
}

/// A point of a journey: the message, or the first event of its type in the message's run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Milestone {
    /// The user sent the message; in real time, meant to.
    #[default]
    Sent,
    /// `agent_started`
    AgentStarted,
    /// `agent_thinking`
    AgentThinking,
    /// `tool_executing`
    ToolExecuting,
    /// `tool_completed`
    ToolCompleted,
    /// `agent_completed`
    AgentCompleted,
    /// `agent_error`
    AgentError,
}

impl Milestone {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// The name in scenario files; of an event, its type on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::AgentStarted => "agent_started",
            Self::AgentThinking => "agent_thinking",
            Self::ToolExecuting => "tool_executing",
            Self::ToolCompleted => "tool_completed",
            Self::AgentCompleted => "agent_completed",
            Self::AgentError => "agent_error",
        }
    }

    /// Whether nothing of the run comes after it.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::AgentCompleted | Self::AgentError)
    }
}

impl Default for Journey {
    /// From the message to the answer, without a bound.
    fn default() -> Self {
        Self {
            name: None,
            from: Milestone::Sent,
            to: Milestone::AgentCompleted,
            tier: None,
            p50: None,
            p99: None,
            max: None,
            complete: Share::new(1.0),
            steps: Vec::new(),
        }
    }
}

impl Journey {
    /// What reports call it.
    pub fn name(&self) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}-{}", self.from.name(), self.to.name()))
    }

    /// All milestones behind the first: those of the steps, and the end.
    pub fn milestones(&self) -> impl Iterator<Item = Milestone> + '_ {
        self.steps.iter().map(|step| step.to).chain([self.to])
    }

    /// What is wrong with it, and what is allowed; `None` if nothing is.
    pub(super) fn mistake(&self) -> Option<(String, &'static str)> {
        let name = self.name();
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        if name.is_empty() || name.len() > 40 || !name.chars().all(is_word) {
            return Some((
                format!("a journey called `{name}`"),
                "1 to 40 lower-case letters, digits, - and _",
            ));
        }
        if self.from.is_terminal() {
            return Some((format!("from {}", self.from.name()), "nothing comes after the end of a run"));
        }
        let mut before = self.from;
        for milestone in self.milestones() {
            if milestone == Milestone::Sent || before.is_terminal() || milestone == before {
                let message = format!("from {} to {}", before.name(), milestone.name());
                return Some((
                    message,
                    "each milestone is another than the one before it, and the end of a run the last",
                ));
            }
            before = milestone;
        }
        None
    }
}
