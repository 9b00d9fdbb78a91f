//! One node: a life of a router, its agents, and its way to the store.

use std::collections::{BTreeMap, BTreeSet};

use router::{AgentEvent, ClusterConfig, Config, Effects, RunRef, store::OpId};
use serde_json::value::RawValue;

use super::draw::Draw;

/// One node.
#[derive(Debug)]
pub(super) struct Node {
    /// `None` while it is dead.
    pub(super) router: Option<router::Router>,
    /// Counts its lives: what was on its way to an earlier one is dropped.
    pub(super) life: u32,
    /// It does nothing until then.
    pub(super) paused_until_us: u64,
    /// When it is woken.
    pub(super) tick_at_us: u64,
    /// Whether it reaches the store, and over which connection.
    pub(super) is_cut: bool,
    pub(super) line: u32,
    /// When the last operation arrives there, and the last answer here.
    pub(super) op_at_us: u64,
    pub(super) answer_at_us: u64,
    /// Operations without an answer.
    pub(super) owed: BTreeSet<OpId>,
    pub(super) agents: BTreeMap<RunRef, Agent>,
    pub(super) out: Effects,
    /// Inputs so far.
    pub(super) inputs: u64,
}

/// An agent at work.
#[derive(Debug)]
pub(super) struct Agent {
    pub(super) script: Vec<(u64, Line)>,
    pub(super) next: usize,
    pub(super) is_paused: bool,
    /// A beat came while it was told to pause.
    pub(super) is_due: bool,
}

/// What an agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    Started,
    Thinking,
    Progress,
    Calls(u8),
    Called(u8),
    Completed,
    Failed,
}

const CALLS: [&str; 2] = ["call-0", "call-1"];

impl Line {
    /// `node`: who says it.
    pub(super) fn event<'a>(self, json: &'a RawValue, node: &'a str) -> AgentEvent<'a> {
        match self {
            Line::Started => AgentEvent::Started { agent: "worker", task: "" },
            Line::Thinking => AgentEvent::Thinking { reasoning: node, step: None },
            Line::Progress => AgentEvent::Progress { data: json },
            Line::Calls(call) => {
                AgentEvent::ToolExecuting { call: CALLS[usize::from(call)], tool: "search", parameters: json }
            }
            Line::Called(call) => AgentEvent::ToolCompleted {
                call: CALLS[usize::from(call)],
                status: router::ToolStatus::Completed,
                results: json,
                duration_ms: 1,
            },
            Line::Completed => AgentEvent::Completed { response: node, execution_time_ms: None },
            Line::Failed => AgentEvent::Failed { code: "AGENT_ERROR", message: "no" },
        }
    }
}

impl Agent {
    /// What it will say, and how long after what went before.
    pub(super) fn draw(draw: &mut Draw) -> Self {
        let pause = |draw: &mut Draw| match draw.from(0, 19) {
            0 => draw.from(1_000_000, 6_000_000),
            1..=4 => 0,
            _ => draw.from(500, 300_000),
        };
        let mut script = vec![(pause(draw), Line::Started), (pause(draw), Line::Thinking)];
        if draw.one_in(3) {
            script.push((pause(draw), Line::Progress));
        }
        match draw.from(0, 3) {
            0 => {}
            1 => script.extend([(pause(draw), Line::Calls(0)), (pause(draw), Line::Called(0))]),
            2 => script.extend([
                (pause(draw), Line::Calls(0)),
                (pause(draw), Line::Calls(1)),
                (pause(draw), Line::Called(0)),
                (pause(draw), Line::Called(1)),
            ]),
            _ => script.extend((0..draw.from(3, 30)).map(|_| (0, Line::Thinking))),
        }
        let last = if draw.one_in(10) { Line::Failed } else { Line::Completed };
        script.push((pause(draw), last));
        Self { script, next: 0, is_paused: false, is_due: false }
    }
}

impl Node {
    pub(super) fn new() -> Self {
        Self {
            router: None,
            life: 0,
            paused_until_us: 0,
            tick_at_us: u64::MAX,
            is_cut: false,
            line: 0,
            op_at_us: 0,
            answer_at_us: 0,
            owed: BTreeSet::new(),
            agents: BTreeMap::new(),
            out: Effects::new(),
            inputs: 0,
        }
    }

    /// The name of this life of node `place`: also a node's name at the store.
    pub(super) fn name(place: usize, life: u32) -> String {
        format!("n{place}x{life}")
    }

    /// Begins another life.
    pub(super) fn begin(&mut self, place: usize, limits: &ClusterConfig, settings: &super::Settings) {
        self.life += 1;
        let config = Config {
            node: Self::name(place, self.life),
            cluster: Some(limits.clone()),
            #[cfg(feature = "mutants")]
            mutant: settings.mutant,
            ..Config::default()
        };
        let _ = settings;
        self.router = router::Router::new(config).ok();
        self.tick_at_us = u64::MAX;
        self.is_cut = true;
        self.line += 1;
        self.owed.clear();
        self.agents.clear();
    }
}
