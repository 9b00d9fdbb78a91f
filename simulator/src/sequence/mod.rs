//! Writes down who sent what to whom, for a sequence diagram of a small run.
//!
//! Lanes are the tabs, the router and the agents. Everything stands at the time the router took it in or handed it out:
//! that is the order that the router saw. What a client or the network does alone is taken from the plan.

mod label;

use std::collections::BTreeMap;

use reports::{Exchange, ExchangeKind, Finding, Sequence};
use router::{Effect, Effects, Input, RunRequest, Ticket};

use crate::plan::{ActionKind, Plan};
use crate::scenario::Micros;

/// Tabs that have a lane; what others do is counted.
const TABS_MAX: usize = 8;
/// Exchanges that are kept; the rest is counted.
const EXCHANGES_MAX: usize = 400;
/// Findings that are put among them, the first of each rule.
const FINDINGS_MAX: usize = 12;

/// A tab of a user.
type Tab = (u32, u8);

/// Takes down a run.
#[derive(Debug)]
pub(crate) struct Recorder {
    tabs: Vec<Tab>,
    ids: Vec<String>,
    /// The lane of each open connection, by the connection's index.
    lanes: BTreeMap<usize, usize>,
    /// What each run is called, by the run's index.
    runs: BTreeMap<usize, String>,
    exchanges: Vec<Exchange>,
    left_out: u64,
}

impl Recorder {
    /// For the users of a plan.
    pub(crate) fn new(plan: &Plan) -> Self {
        let (mut tabs, mut ids, mut left_out) = (Vec::new(), Vec::new(), 0);
        for index in plan.numbers() {
            if tabs.len() >= TABS_MAX {
                left_out += 1;
                continue;
            }
            let user = plan.user(index);
            for tab in 0..user.tabs {
                tabs.push((index, tab));
                ids.push(user.id.clone());
            }
        }
        tabs.truncate(TABS_MAX);
        ids.truncate(TABS_MAX);
        let (lanes, runs) = (BTreeMap::new(), BTreeMap::new());
        Self { tabs, ids, lanes, runs, exchanges: Vec::new(), left_out }
    }

    /// One input of the router and what it asked for in answer. `whose` tells the tab of a ticket.
    pub(crate) fn note(
        &mut self,
        at_us: u64,
        input: &Input<'_>,
        effects: &Effects,
        whose: &mut dyn FnMut(Ticket) -> Option<Tab>,
    ) {
        self.input(at_us, input, whose);
        for effect in effects.iter() {
            self.effect(at_us, effect, effects, whose);
        }
        if let Input::Closed { conn } = input {
            self.lanes.remove(&conn.index());
        }
    }

    fn input(&mut self, at_us: u64, input: &Input<'_>, whose: &mut dyn FnMut(Ticket) -> Option<Tab>) {
        let router = self.router();
        match input {
            Input::Connect(connect) => {
                let label = match connect.resume {
                    Some(cursor) => format!("connect, resume {cursor}"),
                    None => "connect".to_owned(),
                };
                let lane = whose(connect.ticket).and_then(|tab| self.lane_of(tab));
                self.push(at_us, lane, Some(router), label);
            }
            Input::Text { conn, text } => {
                self.push(at_us, self.lane(conn.index()), Some(router), label::of_text(text));
            }
            Input::Closed { conn } => {
                self.push(at_us, self.lane(conn.index()), Some(router), "closed".to_owned());
            }
            Input::Agent { run, event } => {
                let label = label::of_agent(self.run(run.index()), event);
                self.push(at_us, Some(self.agents()), Some(router), label);
            }
            Input::Tool { run, .. } => {
                let label = format!("{} tool", self.run(run.index()));
                self.push(at_us, Some(self.agents()), Some(router), label);
            }
            Input::Redrive { letter, .. } => {
                self.push(at_us, Some(router), Some(router), format!("redrives letter {letter}"));
            }
            Input::Deliver(_) => self.push(at_us, Some(router), Some(router), "the host delivers".to_owned()),
            Input::Drain => self.push(at_us, Some(router), Some(router), "drains".to_owned()),
            Input::AuthFailed { .. }
            | Input::Binary { .. }
            | Input::Pong { .. }
            | Input::Violation { .. }
            | Input::Written { .. }
            | Input::Quality { .. }
            | Input::QualityNews { .. }
            | Input::Flush
            | Input::Unregister { .. }
            | Input::Stored(_)
            | Input::Woken(_)
            | Input::Store(_)
            | Input::SweepIdle
            | Input::Tick => {}
        }
    }

    fn effect(
        &mut self,
        at_us: u64,
        effect: &Effect,
        effects: &Effects,
        whose: &mut dyn FnMut(Ticket) -> Option<Tab>,
    ) {
        let router = self.router();
        match effect {
            Effect::Accepted { ticket, conn } => {
                if let Some(lane) = whose(*ticket).and_then(|tab| self.lane_of(tab)) {
                    self.lanes.insert(conn.index(), lane);
                }
            }
            Effect::Refused { ticket, frame, .. } => {
                let lane = whose(*ticket).and_then(|tab| self.lane_of(tab));
                let label = label::of_frame(effects.frame(*frame).as_str(), "");
                self.push(at_us, Some(router), lane, format!("refused, {label}"));
            }
            Effect::Send { conn, frame } => {
                let lane = self.lane(conn.index());
                let id = lane.map_or("", |lane| &self.ids[lane]);
                let label = label::of_frame(effects.frame(*frame).as_str(), id);
                self.push(at_us, Some(router), lane, label);
            }
            Effect::Close { conn, close } => {
                self.push(at_us, Some(router), self.lane(conn.index()), format!("close {}", close.code()));
            }
            Effect::StartRun(request) => {
                let name = self.name_of(request);
                self.runs.insert(request.run.index(), name.clone());
                self.push(at_us, Some(router), Some(self.agents()), format!("start {name}"));
            }
            Effect::CancelRun { run, .. } => {
                let label = format!("cancel {}", self.run(run.index()));
                self.push(at_us, Some(router), Some(self.agents()), label);
            }
            Effect::RunTool(request) => {
                let label = format!("{} run a tool", self.run(request.run.index()));
                self.push(at_us, Some(router), Some(self.agents()), label);
            }
            Effect::AgentRefused(refused) => {
                let label = format!("{} refused, {}", self.run(refused.run.index()), refused.why.name());
                self.push(at_us, Some(router), Some(self.agents()), label);
            }
            Effect::Ping { .. }
            | Effect::CancelTool(_)
            | Effect::ToolAnswered(_)
            | Effect::Audit(_)
            | Effect::AskQuality(_)
            | Effect::Receipt(_)
            | Effect::Store(_)
            | Effect::PauseRun { .. }
            | Effect::ResumeRun { .. }
            | Effect::Redriven(_)
            | Effect::Swept { .. }
            | Effect::Drained => {}
        }
    }

    /// The diagram, with what the plan and the scenario say of clients and network, and with the first findings.
    pub(crate) fn finish(mut self, plan: &Plan, findings: &[Finding]) -> Sequence {
        let several = |user: u32| self.tabs.iter().filter(|(other, _)| *other == user).count() > 1;
        let name = |&(user, tab): &Tab| {
            if several(user) { format!("user {user} tab {tab}") } else { format!("user {user}") }
        };
        let mut lanes: Vec<String> = self.tabs.iter().map(name).collect();
        lanes.extend(["router".to_owned(), "agents".to_owned()]);
        let mut sequence =
            Sequence { lanes, exchanges: std::mem::take(&mut self.exchanges), left_out: self.left_out };
        for note in self.of_plan(plan).into_iter().chain(self.of_faults(plan)) {
            sequence.insert(note);
        }
        // One of each rule: what follows from the same cause would hide the rest.
        let mut told: Vec<&str> = Vec::new();
        for finding in findings {
            if told.contains(&finding.rule.as_str()) || told.len() >= FINDINGS_MAX {
                continue;
            }
            told.push(&finding.rule);
            let lane = self.lane_of_finding(finding);
            let label = format!("{} {}", finding.rule, finding.detail);
            let kind = ExchangeKind::Finding;
            sequence.insert(Exchange { at_us: finding.at_us, from: lane, to: lane, label, kind });
        }
        sequence
    }

    /// What clients do without sending anything.
    fn of_plan(&self, plan: &Plan) -> Vec<Exchange> {
        let mut notes = Vec::new();
        for user in plan.numbers().filter(|user| self.lane_of((*user, 0)).is_some()) {
            for action in plan.user(user).actions {
                let Some(lane) = self.lane_of((user, action.tab)) else { continue };
                let label = if action.kind == ActionKind::Disconnect {
                    "loses its connection".to_owned()
                } else if let ActionKind::StallReading { for_us } = action.kind {
                    format!("does not read for {}", Micros::new(for_us))
                } else {
                    continue;
                };
                let kind = ExchangeKind::Note;
                notes.push(Exchange { at_us: action.at_us, from: lane, to: lane, label, kind });
            }
        }
        notes
    }

    fn of_faults(&self, plan: &Plan) -> Vec<Exchange> {
        let mut notes = Vec::new();
        for fault in &plan.scenario().faults {
            let user = fault.users.filter(|users| users.low == users.high);
            let lane = user.and_then(|users| self.lane_of((users.low, 0))).unwrap_or(self.router());
            let name = fault.kind.name();
            for (at, word) in [(fault.during.low, "from here on"), (fault.during.high, "until here")] {
                let (label, kind) = (format!("{name} {word}"), ExchangeKind::Note);
                notes.push(Exchange { at_us: at.us(), from: lane, to: lane, label, kind });
            }
        }
        notes
    }

    fn lane_of_finding(&self, finding: &Finding) -> usize {
        let user = finding.user.as_deref().and_then(label::number);
        let tab = finding
            .connection
            .as_deref()
            .and_then(|name| name.strip_prefix("tab-")?.split('.').next()?.parse().ok());
        user.and_then(|user| self.lane_of((user, tab.unwrap_or(0)))).unwrap_or(self.router())
    }

    fn name_of(&self, request: &RunRequest) -> String {
        match label::number(&request.user) {
            Some(user) => format!("{}, user {user}", request.request_id),
            None => request.request_id.to_string(),
        }
    }

    fn run(&self, index: usize) -> &str {
        self.runs.get(&index).and_then(|name| name.split(',').next()).unwrap_or("?")
    }

    fn router(&self) -> usize {
        self.tabs.len()
    }

    fn agents(&self) -> usize {
        self.tabs.len() + 1
    }

    fn lane_of(&self, tab: Tab) -> Option<usize> {
        self.tabs.iter().position(|other| *other == tab)
    }

    fn lane(&self, conn: usize) -> Option<usize> {
        self.lanes.get(&conn).copied()
    }

    /// Keeps an exchange between lanes that are there, if there is room.
    fn push(&mut self, at_us: u64, from: Option<usize>, to: Option<usize>, label: String) {
        let (Some(from), Some(to)) = (from, to) else {
            self.left_out += 1;
            return;
        };
        if self.exchanges.len() >= EXCHANGES_MAX {
            self.left_out += 1;
            return;
        }
        let kind = if from == to { ExchangeKind::Note } else { ExchangeKind::Message };
        self.exchanges.push(Exchange { at_us, from, to, label, kind });
    }
}
