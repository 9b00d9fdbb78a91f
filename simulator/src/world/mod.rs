//! The world: the router's core, its users, its agents and the network between them, in virtual time.
//!
//! The loop takes whatever is due first, a thing on its way or the deadline the router asked for; hands the
//! router one input; and carries out the effects in their order. There is one thread and one queue, so scenario
//! and seed decide everything.
//!
//! In place of the router there can be another [`Subject`], such as a model of what the router replaces.

mod carry;
mod config;
mod events;
mod hosted;
mod nodes;
mod phases;
mod subject;
mod trouble;
mod warm;

use std::collections::VecDeque;

use router::{Config, ConfigError, Effect, Effects, Input, Instant, QualityRequest, Router, Stats};

use crate::actors::agent::Agents;
use crate::actors::host::Host;
use crate::actors::tools::Tools;
use crate::actors::user::{User, arrivals};
use crate::checkers::bounds::Bounds;
use crate::checkers::{Checkers, Watch};
use crate::coverage::{Coverage, Ending};
use crate::faults::{FaultCounts, budget_us};
use crate::network::{Event, LinkRef, Links, Queue};
use crate::plan::Plan;
use crate::scenario::Scenario;
use crate::script::Lines;
use crate::sequence::Recorder;
use crate::service::{Costs, Load, Node, NodeTimes};
use crate::trace::{RunHash, line};

pub use config::router_config;
pub use subject::Subject;
use trouble::Trouble;

/// Start of every world on the router's clock: 2023-11-14 22:13:20 UTC.
pub const EPOCH_US: u64 = 1_700_000_000_000_000;

/// Deadlines in a row that move nothing, after which the router is taken to spin.
const IDLE_TICKS_MAX: u32 = 1_000;

/// Least inputs between two deep checks per user that the router holds.
const VERIFY_INPUTS_PER_USER: u64 = 50;
/// How often the registry is looked at, virtual microseconds, and connections for which it takes as long again.
const POOL_EVERY_US: u64 = 10_000_000;
const POOL_CONNECTIONS: u64 = 50_000;

/// How a world is run and watched. None of it changes what happens.
pub struct Options<'a> {
    /// Ends the run at this virtual time, microseconds from the start.
    pub until_us: Option<u64>,
    /// Whether checkers judge what clients see.
    pub checkers: bool,
    /// Findings to keep; the rest is counted.
    pub findings_max: usize,
    /// Users, from the first, whose timelines are kept.
    pub timelines: u32,
    /// Whether to keep what every run looked like.
    pub projection: bool,
    /// Whether to write down who sent what to whom; for small runs.
    pub sequence: bool,
    /// Inputs between two deep checks of the router, more if it holds many users; 0 for one in the end only.
    pub verify_every: u64,
    /// Takes each line of the trace, without its end; the header is not among them. False ends the run.
    pub trace: Option<&'a mut dyn FnMut(&str) -> bool>,
    /// Told the virtual time and the number of users that left, every few thousand inputs.
    pub progress: Option<&'a mut dyn FnMut(u64, u64)>,
    /// Watches what the run comes across.
    pub coverage: Option<&'a mut Coverage>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            until_us: None,
            checkers: true,
            findings_max: reports::FINDINGS_MAX,
            timelines: 0,
            projection: false,
            sequence: false,
            verify_every: 500,
            trace: None,
            progress: None,
            coverage: None,
        }
    }
}

/// What a run amounted to.
#[derive(Debug)]
pub struct RunResult {
    /// The rolling hash, 32 hexadecimal digits.
    pub hash: String,
    /// Virtual time of the last input, microseconds from the start.
    pub ended_at_us: u64,
    /// Inputs of the router.
    pub inputs: u64,
    /// What passed through it.
    pub costs: Costs,
    /// How long that took, if the scenario says what takes how long.
    pub node: Option<NodeTimes>,
    /// Frames that arrived over the network, either way: texts and control frames, heartbeats and confirmations too.
    pub delivered: u64,
    /// The checkers, with everything they wrote down.
    pub checkers: Checkers,
    /// The router's own accounts; empty if another subject ran.
    pub stats: Stats,
    /// Most frames that were handed to one socket and not yet written.
    pub window_peak: u32,
    /// Users that left.
    pub users_left: u64,
    /// When the last of them did, microseconds from the start.
    pub left_at_us: u64,
    /// Live connections, over all looks at the registry, and those of them that had got a frame lately.
    pub pool: (u64, u64),
    /// Who sent what to whom, if that was asked for.
    pub sequence: Option<Box<reports::Sequence>>,
    /// How often each kind of fault happened.
    pub faults: FaultCounts,
    /// Runs that were open when their node died.
    pub runs_lost: u64,
}

/// A world that has not run yet.
pub struct World<'a, S = Router> {
    plan: Plan,
    options: Options<'a>,
    subject: S,
    now_us: u64,
    queue: Queue,
    links: Links,
    /// Slot of the link of each connection, by the connection's index.
    link_of_conn: Vec<u32>,
    /// Links whose sockets wrote frames that the router has not been told of.
    written: VecDeque<LinkRef>,
    arrivals: std::vec::IntoIter<(u64, u32)>,
    users: Vec<Option<Box<User>>>,
    users_left: u64,
    left_at_us: u64,
    /// How long after that the subject may go on by itself.
    budget_us: u64,
    agents: Agents,
    tools: Tools,
    host: Host,
    lines: Lines,
    texts: Texts,
    checkers: Checkers,
    bounds: Bounds,
    effects: Effects,
    /// Questions about quality that were not answered yet.
    questions: VecDeque<Box<QualityRequest>>,
    hash: RunHash,
    inputs: u64,
    costs: Costs,
    /// The node as somebody who serves one after another.
    server: Node,
    /// When what the router sends now leaves the node.
    leaves_us: u64,
    delivered: u64,
    verify_at: u64,
    /// When the registry is looked at next.
    pool_at_us: u64,
    pool: (u64, u64),
    trace_line: String,
    stopped: bool,
    /// Whether an unruly agent reports what is to be refused.
    misbehaving: bool,
    /// Writes down who sent what to whom, if that was asked for.
    recorder: Option<Box<Recorder>>,
    /// What goes wrong, if anything does.
    trouble: Option<Box<Trouble>>,
}

impl<'a> World<'a> {
    /// A world of a scenario under a seed.
    ///
    /// # Errors
    /// The scenario's limits make no sense to the router.
    pub fn new(scenario: Scenario, seed: u64, options: Options<'a>) -> Result<Self, ConfigError> {
        let config = router_config(&scenario);
        Self::with_config(scenario, seed, config, options)
    }

    /// The same with limits of the caller's own.
    ///
    /// # Errors
    /// The limits make no sense to the router.
    pub fn with_config(
        scenario: Scenario,
        seed: u64,
        config: Config,
        options: Options<'a>,
    ) -> Result<Self, ConfigError> {
        let bounds = Bounds::new(config.socket_window_frames);
        Ok(Self::with_subject(scenario, seed, Router::new(config)?, bounds, options))
    }
}

impl<'a, S: Subject> World<'a, S> {
    /// A world with that in its middle.
    pub fn with_subject(
        scenario: Scenario,
        seed: u64,
        subject: S,
        bounds: Bounds,
        options: Options<'a>,
    ) -> Self {
        let links = Links::new(scenario.network.latency, seed);
        let server = Node::new(scenario.service);
        let trouble = Trouble::of(&scenario, seed);
        let limits = router_config(&scenario);
        // A user is kept for as long as its message ids are: nobody waits for it, and it must be let pass.
        let budget_us = budget_us(&scenario, &limits) + limits.dedupe_ttl_us;
        let plan = Plan::new(scenario, seed);
        let watch = Watch {
            domain: reports::Domain::Virtual,
            epoch_us: EPOCH_US,
            findings_max: options.findings_max,
            timelines: options.timelines,
            projection: options.projection,
        };
        let recorder = options.sequence.then(|| Box::new(Recorder::new(&plan)));
        Self {
            checkers: Checkers::new(&plan, watch).with_dedupe(subject.dedupes()),
            arrivals: arrivals(&plan).into_iter(),
            users: (0..plan.count()).map(|_| None).collect(),
            plan,
            options,
            subject,
            now_us: 0,
            queue: Queue::default(),
            links,
            link_of_conn: Vec::new(),
            written: VecDeque::new(),
            users_left: 0,
            left_at_us: 0,
            budget_us,
            agents: Agents::default(),
            tools: Tools::default(),
            host: Host::default(),
            lines: Lines::default(),
            texts: Texts::default(),
            bounds,
            effects: Effects::new(),
            questions: VecDeque::new(),
            hash: RunHash::default(),
            inputs: 0,
            costs: Costs::default(),
            server,
            leaves_us: 0,
            delivered: 0,
            verify_at: 0,
            pool_at_us: POOL_EVERY_US,
            pool: (0, 0),
            trace_line: String::new(),
            stopped: false,
            misbehaving: false,
            recorder,
            trouble,
        }
    }

    /// Runs until every user has left, every run has ended and every recovery window has passed.
    pub fn run(mut self) -> RunResult {
        self.offer_tools();
        if let Some(coverage) = &mut self.options.coverage {
            coverage.begin(self.plan.seed(), self.plan.count(), &self.plan.scenario().faults);
        }
        self.await_arrival();
        self.await_strike();
        let mut idle_ticks = 0;
        while !self.stopped {
            let deadline = self.deadline().map(|at_us| self.server.not_before(at_us));
            let turn = self.server.next_at();
            let Some(next) = earlier(earlier(deadline, turn), self.queue.next_at()) else { break };
            if self.options.until_us.is_some_and(|until_us| next > until_us) {
                self.stopped = true;
                break;
            }
            // Nobody is here and nothing is on its way: what the subject still waits for, it waits for in vain.
            let alone = self.users_left == self.users.len() as u64 && self.queue.next_at().is_none();
            if alone && next > self.left_at_us + self.budget_us {
                break;
            }
            idle_ticks = if next > self.now_us { 0 } else { idle_ticks };
            self.now_us = self.now_us.max(next);
            if self.now_us >= self.pool_at_us {
                self.look_at_pool();
            }
            if deadline.is_some_and(|deadline| deadline <= next) {
                idle_ticks += 1;
                if idle_ticks > IDLE_TICKS_MAX {
                    self.note_fault("bounds.clock", "the router asks for the same deadline over and over");
                    break;
                }
                self.input(Input::Tick);
            } else if turn.is_some_and(|turn| turn <= next) {
                if let Some(event) = self.server.next(self.now_us) {
                    self.happen(event);
                }
            } else {
                self.warm();
                if let Some((_, event)) = self.queue.pop()
                    && self.server.admits(self.now_us, event)
                {
                    self.happen(event);
                }
            }
            self.settle_accounts();
            self.server.served();
        }
        self.finish()
    }

    /// What an event leaves to be told to the node, or to be done with it.
    fn settle_accounts(&mut self) {
        self.answer_questions();
        if self.trouble.is_none() {
            return self.report_written();
        }
        self.report_unstarted();
        self.report_written();
        self.renew_drained();
        self.tell_disturbed();
    }

    /// When the node wants to be woken.
    fn deadline(&self) -> Option<u64> {
        let at_us = self.subject.next_deadline()?.as_micros().saturating_sub(EPOCH_US);
        match &self.trouble {
            None => Some(at_us),
            Some(trouble) if trouble.is_paused(self.now_us) => None,
            Some(trouble) => Some(trouble.clock.when(at_us)),
        }
    }

    /// What the node's clock shows.
    fn node_now(&self) -> Instant {
        let shown_us = self.trouble.as_ref().map_or(self.now_us, |trouble| trouble.clock.shows(self.now_us));
        Instant::from_micros(EPOCH_US + shown_us)
    }

    /// How many nodes were replaced so far.
    fn node(&self) -> u32 {
        self.trouble.as_ref().map_or(0, |trouble| trouble.node)
    }

    /// One input, and everything the router asks for in answer.
    fn input(&mut self, input: Input<'_>) {
        let now = self.node_now();
        let mut effects = std::mem::take(&mut self.effects);
        effects.clear();
        self.subject.handle(now, input, &mut effects);
        self.inputs += 1;
        self.hash.record(now, &input, &effects);
        if let Some(coverage) = &mut self.options.coverage {
            coverage.input(self.now_us, &input, &effects, self.subject.accounts());
        }
        self.watch(&input, &effects);
        self.costs.input(&input);
        let waited = matches!(input, Input::Written { .. });
        let (mut pass, mut last) = (self.server.begin(self.now_us), None);
        for at in 0..effects.len() {
            let Some(effect) = effects.iter().nth(at) else { break };
            let load = Load::of(effect, &effects, &mut last);
            self.costs.effect(load);
            if let (Effect::Send { frame, .. }, true) = (effect, waited) {
                self.costs.queue_pass(self.now_us, effects.frame(*frame).as_str());
            }
            self.leaves_us = self.server.effect(self.now_us, &mut pass, effect, load, waited);
            // What a frame is sent by is carried out with the frame itself: most have one recipient.
            if let Effect::Send { conn, frame } = *effect {
                self.send_to(conn, effects.hand_out(frame));
            } else {
                self.carry_out(effect, &effects);
            }
        }
        self.server.end(&mut pass);
        self.effects = effects;
    }

    /// A walk over all connections, seldom enough not to matter.
    fn look_at_pool(&mut self) {
        let (connections, served) = self.subject.pool(self.node_now());
        self.pool.0 += connections;
        self.pool.1 += served;
        self.pool_at_us = self.now_us + POOL_EVERY_US * (1 + connections / POOL_CONNECTIONS);
    }

    /// Tells the router what its sockets have written, until there is nothing more to tell.
    fn report_written(&mut self) {
        if self.trouble.as_ref().is_some_and(|trouble| trouble.is_paused(self.now_us)) {
            return;
        }
        while let Some(link) = self.written.pop_front() {
            let Some(current) = self.links.get(link) else { continue };
            let frames = std::mem::take(&mut current.written);
            if let Some(conn) = current.conn.filter(|_| frames > 0) {
                self.input(Input::Written { conn, frames });
            }
        }
    }

    fn watch(&mut self, input: &Input<'_>, effects: &Effects) {
        let ledger = self.checkers.ledger_mut();
        self.bounds.accounts(self.now_us, self.subject.check(), ledger);
        if let Some(trace) = &mut self.options.trace {
            self.trace_line.clear();
            line(self.now_us, input, effects, &self.hash, &mut self.trace_line);
            self.stopped |= !trace(&self.trace_line);
        }
        if let Some(recorder) = &mut self.recorder {
            let links = &mut self.links;
            let mut whose =
                |ticket| links.get(carry::link_of_ticket(ticket)).map(|link| (link.user, link.tab));
            recorder.note(self.now_us, input, effects, &mut whose);
        }
        if self.options.verify_every > 0 && self.inputs >= self.verify_at {
            self.bounds.accounts(self.now_us, self.subject.verify(), ledger);
            // A deep check walks all users: its cost per input stays the same however many there are.
            let users = self.subject.users();
            self.verify_at = self.inputs + self.options.verify_every.max(users * VERIFY_INPUTS_PER_USER);
        }
        if self.inputs.is_multiple_of(8_192)
            && let Some(progress) = &mut self.options.progress
        {
            progress(self.now_us, self.users_left);
        }
    }

    fn await_arrival(&mut self) {
        if let Some(&(at_us, _)) = self.arrivals.as_slice().first() {
            self.queue.set(at_us, Event::Arrive);
        }
    }

    /// A finding about the router as a whole.
    fn note_fault(&mut self, rule: &str, detail: &str) {
        let finding = reports::Finding::new(rule, "world", self.now_us, detail);
        self.checkers.ledger_mut().push(finding);
    }

    fn finish(mut self) -> RunResult {
        let complete = !self.stopped;
        self.bounds.accounts(self.now_us, self.subject.verify(), self.checkers.ledger_mut());
        if complete {
            self.checkers.finish(self.now_us);
            self.settle_host();
            self.bounds.finish(self.now_us, self.subject.held(), self.checkers.ledger_mut());
            if self.links.len() + self.agents.at_work() > 0 {
                let (links, agents) = (self.links.len(), self.agents.at_work());
                let detail = format!("{links} connections and {agents} agents were never given up");
                self.note_fault("bounds.memory", &detail);
            }
        }
        let findings = self.checkers.ledger().findings();
        let sequence = self.recorder.map(|recorder| Box::new(recorder.finish(&self.plan, findings)));
        let mut faults = self.links.tally;
        let trouble = self.trouble.as_deref();
        faults += &trouble.map(|trouble| trouble.counts).unwrap_or_default();
        if let Some(coverage) = &mut self.options.coverage {
            coverage.finish(Ending {
                stats: self.subject.accounts(),
                window_full: self.bounds.window_is_full(),
                repeats: self.checkers.ledger().counts.repeats,
                faults,
            });
        }
        RunResult {
            sequence,
            faults,
            runs_lost: trouble.map_or(0, |trouble| trouble.runs_lost),
            hash: self.hash.hex(),
            ended_at_us: self.now_us,
            inputs: self.inputs,
            costs: self.costs,
            node: self.server.into_times(),
            delivered: self.delivered,
            checkers: self.checkers,
            stats: self.subject.stats(),
            window_peak: self.bounds.window_peak,
            users_left: self.users_left,
            left_at_us: self.left_at_us,
            pool: self.pool,
        }
    }
}

/// Texts that have arrived, to be written over.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    /// So many of them, the first ones, are here.
    here: usize,
}

impl Texts {
    /// An empty text.
    fn take(&mut self) -> String {
        let Some(place) = self.here.checked_sub(1) else { return String::new() };
        self.here = place;
        let mut text = std::mem::take(&mut self.all[place]);
        text.clear();
        text
    }

    // In place: given on to a vector's `push`, it would be stored in parts and read as a whole, for which the processor waits.
    #[inline]
    fn put(&mut self, text: String) {
        match self.all.get_mut(self.here) {
            Some(place) => *place = text,
            None => self.all.push(text),
        }
        self.here += 1;
    }
}

/// The earlier of two times, if there is any.
#[inline]
fn earlier(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (time, None) | (None, time) => time,
    }
}

#[cfg(test)]
mod tests;
