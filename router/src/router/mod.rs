//! The order of steps. One input in, effects out; every rule about a message is in here or below.

mod deadlines;
mod deliver;
mod fork;
mod handle;
mod inbound;
mod questions;
mod session;
mod sizes;

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

pub use self::{handle::UserHandle, sizes::Sizes};
use crate::{
    audience::{Audience, Flow, Member, Owner, Receipts, UserRef},
    cluster::Cluster,
    config::{Config, ConfigError},
    contract::{Authority, Close, ConnId, Effects, Frame, Input, Instant, RunRef, RunRequest, UserId, Wake},
    error::ErrorCode,
    handlers::Handlers,
    quality::{Desk, Monitor},
    run::Automaton,
    stats::Stats,
    timers::{Timer, Timers},
    tools::{Dispatcher, ToolLimits, Toolbox},
    waiting::{Seat, Waiting},
    wire::{self, ServerData, Writer},
};

/// The canonical router. See [`contract`](crate::contract) for the loop that drives it.
#[derive(Debug)]
pub struct Router {
    pub(crate) config: Config,
    /// The node's name, to be shared.
    pub(crate) node: Arc<str>,
    pub(crate) now: Instant,
    pub(crate) audience: Audience,
    /// Messages between services.
    pub(crate) routes: crate::routes::Routes,
    pub(crate) runs: Vec<Run>,
    pub(crate) free_runs: Vec<u32>,
    pub(crate) runs_started: u64,
    pub(crate) timers: Timers,
    pub(crate) waiting: Waiting,
    pub(crate) stats: Stats,
    pub(crate) tools: Toolbox,
    pub(crate) writer: Writer,
    pub(crate) desk: Desk,
    pub(crate) handlers: Handlers,
    pub(crate) receipts: Receipts,
    /// What a node of several has to mind; `None` for one alone.
    pub(crate) cluster: Option<Box<Cluster>>,
    draining: Option<deadlines::Drain>,
    authority: Option<Authority>,
}

/// One run; a slot of it is reused, with another generation, after the run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) generation: u32,
    pub(crate) owner: Option<UserRef>,
    /// The node that took its message in, and which of that node's runs it is: what its id is made of.
    pub(crate) node: Arc<str>,
    pub(crate) number: u64,
    pub(crate) thread: Arc<str>,
    pub(crate) request: Arc<str>,
    pub(crate) agent: Box<str>,
    pub(crate) automaton: Automaton,
    pub(crate) seq: u64,
    /// Made at the run's first tool step; a run that calls none pays for none.
    pub(crate) tools: Option<Box<Dispatcher>>,
    pub(crate) began: Instant,
    /// Tool calls that ended, and those of them that did not succeed.
    pub(crate) tools_ended: u32,
    pub(crate) tool_errors: u32,
    /// Its final response goes to the quality gate.
    pub(crate) gated: bool,
    /// Of a node of several: the number of its way into the shared log; else 0.
    pub(crate) outbox: u64,
    /// What its agent was asked to do, or will be.
    pub(crate) asked: Option<Arc<RunRequest>>,
    pub(crate) seat: Seat,
}

impl Run {
    /// Something of each line of memory that a report needs, so many pointers away.
    fn lines(&self, step: u8) -> u64 {
        let byte = |text: &str| u64::from(text.as_bytes().first().copied().unwrap_or_default());
        match step {
            0 => {
                self.seq
                    ^ u64::from(self.generation ^ self.tools_ended)
                    ^ self.outbox
                    ^ self.thread.len() as u64
            }
            1 => {
                byte(&self.thread)
                    ^ byte(&self.request)
                    ^ byte(&self.agent)
                    ^ self.automaton.open_tools().len() as u64
            }
            _ => 0,
        }
    }
}

impl Router {
    /// A router with nobody connected, or which limit makes no sense.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let waiting = Waiting::new(&config);
        let cluster = config.cluster.as_ref().and_then(|settings| Cluster::new(settings, &config.node));
        Ok(Self {
            node: config.node.as_str().into(),
            tools: Toolbox::new(ToolLimits {
                dispatchers_per_user_max: config.tool_dispatchers_per_user_max,
                calls_in_flight_per_user_max: config.tool_calls_in_flight_per_user_max,
                calls_per_user_per_min: config.tool_calls_per_user_per_min,
                own_tools_max: config.tool_own_per_run_max,
                value_bytes_max: config.tool_value_bytes_max,
                deadline_us: config.tool_deadline_us,
                healthy_dispatchers_max: config.tool_dispatchers_healthy_max,
            }),
            routes: crate::routes::Routes::default(),
            desk: Desk::new(&config),
            audience: Audience::with_topics(config.topics_per_user_max),
            handlers: Handlers::new(&config.profile),
            config,
            now: Instant::default(),
            runs: Vec::new(),
            free_runs: Vec::new(),
            runs_started: 0,
            timers: Timers::default(),
            waiting,
            stats: Stats::default(),
            writer: Writer::default(),
            receipts: Receipts::default(),
            cluster,
            draining: None,
            authority: Some(Authority(())),
        })
    }

    /// Begins to fetch what an agent's next report of that run will need, so many pointers away from the router's tables
    /// (0 to 1), and changes nothing: for those who know what comes next. What the report's connections need is asked for
    /// by [`warm_conn`](Self::warm_conn).
    pub fn warm_run(&self, run: RunRef, step: u8) {
        if let Some(slot) = self.runs.get(run.index as usize) {
            core::hint::black_box(slot.lines(step));
        }
    }

    /// The same for an input of that connection, or an event of its user's (0 to 1); and what a confirmation gives up (2).
    pub fn warm_conn(&self, conn: ConnId, step: u8) {
        self.audience.warm(conn, step);
    }

    /// The same for the deadlines that come next (0 to 1).
    pub fn warm_deadlines(&self, step: u8) {
        for timer in self.timers.soon() {
            if let Timer::Connection(conn) = timer {
                self.audience.warm(conn, step);
            }
        }
    }

    /// Takes one input and appends its effects, in the order in which they must happen. Never panics and never
    /// fails: what is wrong with an input is itself an effect.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects) {
        self.now = self.now.max(now);
        self.handlers.begin(self.now);
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.fire(timer, out);
        }
        self.tick_queue(out);
        match input {
            Input::Connect(connect) => self.connect(&connect, out),
            Input::AuthFailed { ticket } => {
                self.stats.connections.refused += 1;
                self.refuse(ticket, ErrorCode::AuthFailed, None, Close::AuthFailed, out);
            }
            Input::Text { conn, text } => self.text(conn, text, out),
            Input::Binary { conn } => self.binary(conn, out),
            Input::Pong { conn } => self.heard(conn),
            Input::Violation { conn, kind } => self.violation(conn, kind, out),
            Input::Written { conn, frames } => self.written(conn, frames, out),
            Input::Closed { conn } => self.closed(conn, out),
            Input::Agent { run, event } => self.report(run, &event, out),
            Input::Tool { run, step } => self.tool_step(run, &step, out),
            Input::Quality { ask, answer } => self.quality_answered(ask, answer, out),
            Input::QualityNews { authority, news } => self.quality_news(authority, news, out),
            Input::Deliver(deliver) => self.deliver(&deliver, out),
            Input::Unregister { user, name } => self.unregister(user, name, out),
            Input::Stored(stored) => self.stored(stored, out),
            Input::Woken(wake) => self.woken(wake, out),
            Input::Store(way) => self.store_way(way, out),
            Input::Redrive { user, letter, .. } => self.redrive(user, letter, out),
            Input::SweepIdle => self.sweep_idle(out),
            Input::Flush => self.flush_batches(out),
            Input::Drain => self.drain(out),
            Input::Tick => {}
        }
        self.employ(out);
        self.progress_drain(out);
        self.stats.quality.open = self.desk.len() as u64;
    }

    /// When the router must be called again at the latest, and for what; a wake-up for nothing is possible.
    pub fn next_deadline(&self) -> Option<(Instant, Wake)> {
        if self.waiting.queue.is_quiet() {
            return self.timers.next();
        }
        let queue = self.waiting.queue.next_deadline().map(|at| (at, Wake::Queue));
        match (self.timers.next(), queue) {
            (Some(timer), Some(queue)) if queue.0 < timer.0 => Some(queue),
            (timer, queue) => timer.or(queue),
        }
    }

    /// Counters and levels.
    pub const fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The limits in force.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The right to send to all users. There is one: a second call answers `None`.
    pub fn take_authority(&mut self) -> Option<Authority> {
        self.authority.take()
    }

    /// The embedded monitor, to answer [`Effect::AskQuality`](crate::Effect::AskQuality) with.
    pub const fn quality_monitor(&self) -> &Monitor {
        &self.desk.monitor
    }

    /// The users subscribed to a topic, in the order of their ids.
    pub fn subscribers(&self, topic: &str) -> Vec<UserId> {
        let users = self.audience.topic_subscribers(topic).into_iter();
        let ids = users.map(|user| self.audience.user(user).id.clone());
        let mut ids: Vec<UserId> = ids.collect();
        ids.sort_unstable();
        ids
    }

    /// Whether new work is refused because the router drains.
    pub const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Recounts everything that the counters claim: sums, levels, bounds, ownership. Costs a walk over all state;
    /// for tests and simulations. `Err` names the first claim that does not hold.
    pub fn verify(&self) -> Result<(), String> {
        self.stats.check()?;
        self.verify_handlers()?;
        self.verify_cluster()?;
        self.verify_waiting()?;
        let (mut in_flight, mut queued, mut waiting, mut runs, mut awaited) = (0, 0, 0, 0, 0);
        let (mut dispatchers, mut calls) = (0, 0);
        for user in self.audience.users() {
            waiting += user.cursor - user.settled;
            runs += user.runs.len() as u64;
            let own_runs = user.runs.iter().filter(|run| !self.is_taken_over(**run)).count();
            let bounded = user.log.len() <= self.config.recovery_frames_max as usize
                && self.connections_bounded(&user.conns)
                && own_runs <= self.config.runs_per_user_max as usize;
            if !bounded || user.settled > user.cursor || user.delivered > user.cursor {
                return Err(alloc::format!("user {}: a bound does not hold", user.id));
            }
            if user.settled + 1 < user.log_first() {
                return Err(alloc::format!("user {}: an event left the window unsettled", user.id));
            }
            for run in &user.runs {
                let dispatcher = self.dispatcher_of(*run);
                dispatchers += dispatcher.map_or(0, |_| 1);
                calls += dispatcher.map_or(0, |dispatcher| dispatcher.in_flight() as u64);
                let owner = self.run(*run).and_then(|run| run.owner);
                if owner.is_none_or(|owner| self.audience.user(owner).id != user.id) {
                    return Err(alloc::format!("user {}: lists a run of somebody else", user.id));
                }
            }
            for index in &user.conns {
                let conn = self.audience.conn_at(*index);
                if self.audience.user(conn.user).id != user.id {
                    return Err(alloc::format!("user {}: lists a connection of somebody else", user.id));
                }
                in_flight += conn.in_flight.len() as u64;
                queued += conn.queued.len() as u64;
                awaited += conn.cold.awaited.len() as u64;
                if conn.queued.len() > self.config.outbound_frames_max as usize {
                    return Err(alloc::format!("user {}: an outbound queue is too long", user.id));
                }
            }
        }
        let kept = self.routes.verify(&self.audience, &self.config)?;
        let levels = [
            ("messages in histories", self.stats.dispatches.kept, kept),
            ("frames in flight", self.stats.frames.in_flight, in_flight),
            ("frames queued", self.stats.frames.queued, queued),
            ("events waiting", self.stats.events.waiting, waiting),
            ("open runs", self.stats.runs.open, runs),
            ("dispatchers", self.stats.tools.active, dispatchers),
            ("tool calls in flight", self.stats.tools.in_flight, calls),
            ("open connections", self.stats.connections.open, self.audience.conns_len() as u64),
            ("frames awaited by receipts", self.stats.deliveries.awaited, awaited),
            ("waited for by receipts", self.receipts.waiting(), awaited),
            ("open receipts", self.stats.deliveries.receipts_open, self.receipts.len() as u64),
            ("users", self.stats.connections.users, self.audience.users_len() as u64),
            ("open questions", self.stats.quality.open, self.desk.len() as u64),
        ];
        match levels.into_iter().find(|(_, claimed, counted)| claimed != counted) {
            Some((what, claimed, counted)) => {
                Err(alloc::format!("{what}: counter says {claimed}, there are {counted}"))
            }
            None => Ok(()),
        }
    }

    /// Deadlines pending, stale ones included: a bound on memory that nothing else shows.
    pub fn timers_len(&self) -> usize {
        self.timers.len()
    }

    pub(crate) fn encode(&mut self, data: ServerData<'_>) -> Frame {
        self.stats.frames.encoded += 1;
        wire::server_message(&mut self.writer, self.now, data)
    }

    /// Sends a frame to the connection it answers.
    pub(crate) fn reply(&mut self, conn: ConnId, frame: Frame, out: &mut Effects) {
        self.in_flow(conn, out, |audience, owner, member, flow| {
            audience.send(member, owner.seal(frame), flow);
        });
    }

    /// Looks up the connection and its owner and lends everything a delivery needs.
    pub(crate) fn in_flow<R>(
        &mut self,
        conn: ConnId,
        out: &mut Effects,
        f: impl for<'b> FnOnce(&mut Audience, &Owner<'b>, &Member<'b>, &mut Flow<'_>) -> R,
    ) -> Option<R> {
        let (audience, mut flow) = self.flow(out);
        audience.with_member(conn, |audience, owner, member| f(audience, &owner, &member, &mut flow))
    }

    pub(crate) fn flow<'a>(&'a mut self, out: &'a mut Effects) -> (&'a mut Audience, Flow<'a>) {
        let flow = Flow {
            now: self.now,
            config: &self.config,
            stats: &mut self.stats,
            timers: &mut self.timers,
            writer: &mut self.writer,
            receipts: &mut self.receipts,
            out,
        };
        (&mut self.audience, flow)
    }
}
