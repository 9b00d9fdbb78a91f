//! What a run was at × what came × which fault was in force.

use crate::scenario::{Fault, FaultKind};

/// What a run is at; for what a client does, the furthest of its user's runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The user has no open run.
    NoRun,
    /// Handed to an agent, which has not said a word.
    Asked,
    /// The agent works, and no tool is open.
    Working,
    /// One tool is open.
    InTool,
    /// Several tools are open.
    InTools,
    /// The run has ended.
    Ended,
}

impl Stage {
    /// All of them.
    pub const ALL: [Stage; 6] =
        [Stage::NoRun, Stage::Asked, Stage::Working, Stage::InTool, Stage::InTools, Stage::Ended];

    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Stage::NoRun => "no run",
            Stage::Asked => "asked",
            Stage::Working => "working",
            Stage::InTool => "in a tool",
            Stage::InTools => "in tools",
            Stage::Ended => "ended",
        }
    }
}

macro_rules! moments {
    ($($variant:ident $name:literal $side:ident;)*) => {
        /// What can come to a router: messages by type, events of agents, connections.
        #[expect(missing_docs, reason = "the name beside each variant says it all")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Moment { $($variant,)* }

        impl Moment {
            /// All of them.
            pub const ALL: &'static [Moment] = &[$(Moment::$variant,)*];

            /// The name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Moment::$variant => $name,)* }
            }

            /// Whether an agent says it, and not a client.
            pub(super) const fn is_of_agent(self) -> bool {
                match self { $(Moment::$variant => moments!(@$side),)* }
            }
        }
    };
    (@agent) => { true };
    (@client) => { false };
}

moments! {
    Connect "connect" client;
    Resume "connect with a cursor" client;
    Closed "connection gone" client;
    UserMessage "user_message" client;
    ChatMessage "chat_message" client;
    Chat "chat" client;
    StartAgent "start_agent" client;
    StopAgent "stop_agent" client;
    Ping "ping" client;
    Heartbeat "heartbeat" client;
    Pong "pong" client;
    Typing "user_typing" client;
    Confirmation "confirmation" client;
    QualityMetrics "get_quality_metrics" client;
    QualityAlerts "subscribe_quality_alerts" client;
    QualityValidate "validate_content" client;
    QualityReport "generate_quality_report" client;
    Other "another type, or none" client;
    Started "agent_started" agent;
    Thinking "agent_thinking" agent;
    ToolExecuting "tool_executing" agent;
    ToolCompleted "tool_completed" agent;
    Completed "agent_completed" agent;
    Failed "agent_error" agent;
    Given "an event given as JSON" agent;
}

impl Moment {
    /// The message of a text frame, by its type at the very start of the text, where our clients write it.
    #[inline]
    pub(super) fn of_text(text: &str) -> Self {
        let name = text.strip_prefix(r#"{"type":""#).and_then(|rest| rest.split('"').next());
        match name.unwrap_or_default() {
            "user_message" => Moment::UserMessage,
            "chat_message" => Moment::ChatMessage,
            "chat" => Moment::Chat,
            "start_agent" => Moment::StartAgent,
            "stop_agent" => Moment::StopAgent,
            "ping" => Moment::Ping,
            "heartbeat" => Moment::Heartbeat,
            "pong" => Moment::Pong,
            "user_typing" => Moment::Typing,
            "confirmation" => Moment::Confirmation,
            "get_quality_metrics" => Moment::QualityMetrics,
            "subscribe_quality_alerts" => Moment::QualityAlerts,
            "validate_content" => Moment::QualityValidate,
            "generate_quality_report" => Moment::QualityReport,
            _ => Moment::Other,
        }
    }

    /// Whether it can come at all while a run is at that: agents speak of runs, and what they must not say at a stage
    /// only an unruly one says; a client's runs that have ended are no runs.
    pub(super) const fn is_possible(self, stage: Stage) -> bool {
        if !self.is_of_agent() {
            return !matches!(stage, Stage::Ended);
        }
        match stage {
            Stage::NoRun => false,
            Stage::Asked => matches!(self, Moment::Started),
            Stage::Working => !matches!(self, Moment::ToolCompleted),
            Stage::InTool | Stage::InTools => {
                matches!(self, Moment::ToolExecuting | Moment::ToolCompleted | Moment::Failed)
            }
            Stage::Ended => true,
        }
    }
}

/// No fault, and each kind of fault.
const FAULTS: usize = FaultKind::ALL.len() + 1;
const MOMENTS: usize = Moment::ALL.len();
const CELLS: usize = Stage::ALL.len() * MOMENTS * FAULTS;

/// How often each triple was met, and in which seed first.
#[derive(Clone, Debug)]
pub(super) struct Grid {
    cells: Box<[(u64, u64)]>,
    reached: usize,
    seed: u64,
    /// The rules of the seed that is being played: when each comes into force and when it is over, in order of time.
    edges: Vec<Edge>,
    next_edge: usize,
    /// Rules in force: the place of the kind, and whom they concern.
    active: Vec<(usize, u32, u32)>,
}

/// A rule comes into force, or is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    at_us: u64,
    /// Ends come before beginnings at the same time.
    begins: bool,
    kind: usize,
    users: (u32, u32),
}

impl Default for Grid {
    fn default() -> Self {
        Self {
            cells: vec![(0, u64::MAX); CELLS].into_boxed_slice(),
            reached: 0,
            seed: 0,
            edges: Vec::new(),
            next_edge: 0,
            active: Vec::new(),
        }
    }
}

impl Grid {
    pub(super) fn begin(&mut self, seed: u64, faults: &[Fault]) {
        self.seed = seed;
        self.active.clear();
        self.edges.clear();
        self.next_edge = 0;
        for fault in faults {
            let users = fault.users.map_or((0, u32::MAX), |users| (users.low, users.high));
            let edge = |at_us, begins| Edge { at_us, begins, kind: fault.kind as usize + 1, users };
            self.edges.push(edge(fault.during.low.us(), true));
            self.edges.push(edge(fault.during.high.us(), false));
        }
        self.edges.sort_unstable();
    }

    /// A moment met a stage, for a user.
    #[inline]
    pub(super) fn meet(&mut self, at_us: u64, user: u32, stage: Stage, moment: Moment) {
        while let Some(edge) = self.edges.get(self.next_edge).filter(|edge| edge.at_us <= at_us) {
            let rule = (edge.kind, edge.users.0, edge.users.1);
            if edge.begins {
                self.active.push(rule);
            } else if let Some(at) = self.active.iter().position(|active| *active == rule) {
                self.active.swap_remove(at);
            }
            self.next_edge += 1;
        }
        let row = (stage as usize * MOMENTS + moment as usize) * FAULTS;
        let mut any = false;
        for &(kind, low, high) in &self.active {
            if (low..=high).contains(&user) {
                any = true;
                count(&mut self.cells[row + kind], &mut self.reached, self.seed);
            }
        }
        if !any {
            count(&mut self.cells[row], &mut self.reached, self.seed);
        }
    }

    pub(super) fn reached(&self) -> usize {
        self.reached
    }

    pub(super) fn absorb(&mut self, other: &Grid) {
        for (cell, part) in self.cells.iter_mut().zip(&other.cells) {
            self.reached += usize::from(cell.0 == 0 && part.0 > 0);
            *cell = (cell.0 + part.0, cell.1.min(part.1));
        }
    }

    pub(super) fn to_report(&self) -> reports::sweep::Triples {
        let mut triples = reports::sweep::Triples { possible: possible(), met: Vec::new() };
        for (place, &(times, first_seed)) in self.cells.iter().enumerate().filter(|(_, cell)| cell.0 > 0) {
            let (stage, moment, fault) = (place / FAULTS / MOMENTS, place / FAULTS % MOMENTS, place % FAULTS);
            triples.met.push(reports::sweep::Triple {
                place: place as u32,
                state: Stage::ALL[stage].name().to_owned(),
                event: Moment::ALL[moment].name().to_owned(),
                fault: fault.checked_sub(1).map_or("none", |kind| FaultKind::ALL[kind].name()).to_owned(),
                times,
                first_seed,
            });
        }
        triples
    }
}

#[inline]
fn count(cell: &mut (u64, u64), reached: &mut usize, seed: u64) {
    *reached += usize::from(cell.0 == 0);
    *cell = (cell.0 + 1, cell.1.min(seed));
}

/// Triples that can be met.
fn possible() -> u64 {
    let pairs = Stage::ALL
        .iter()
        .map(|&stage| Moment::ALL.iter().filter(|moment| moment.is_possible(stage)).count())
        .sum::<usize>();
    (pairs * FAULTS) as u64
}
