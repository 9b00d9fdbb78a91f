//! A stage for recorded cases: the real router, a clock that is set by hand, and sockets that do as they are told.

use std::{collections::BTreeMap, sync::Arc};

use router::{
    Authority, BuiltIn, Config, ConfigError, ConnId, Connect, Effect, Effects, Input, Instant, Receipt,
    Router, Ticket,
};
use serde_json::{Map, Value};

use super::{
    Sent,
    tape::{Obstacle, Recorder, Tape},
};

/// Where the clock of every stage starts: 2023-11-14T22:13:20Z, as in the recordings.
pub const START: Instant = Instant::from_micros(1_700_000_000_000_000);

/// What a socket does with a frame it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// Writes it at once.
    #[default]
    Up,
    /// Fails, and the connection with it.
    Down,
    /// Writes that many more, then fails.
    FailsAfter(u32),
    /// Writes it that many microseconds later.
    Slow(u64),
}

#[derive(Debug)]
struct Socket {
    conn: ConnId,
    user: String,
    line: Line,
    /// Its welcome was written, which no recording of a router has.
    welcomed: bool,
}

/// The real router between sockets that do as they are told.
#[derive(Debug)]
pub struct Stage {
    router: Router,
    authority: Option<Arc<Authority>>,
    now: Instant,
    tickets: u64,
    /// By label. A socket that closed is no longer there.
    sockets: BTreeMap<String, Socket>,
    /// Writes under way: when, where, what.
    writing: Vec<(Instant, ConnId, String)>,
    /// To be closed once what was sent before is written.
    closing: Vec<ConnId>,
    sent: Vec<Sent>,
    /// When the running step began.
    step: Instant,
    /// Effects for the host: agents, tools, services, receipts, refusals; each with the number of frames that
    /// had been handed to sockets before it.
    asked: Vec<(usize, Effect)>,
    tape: Recorder,
}

/// The limits that a unit starts from: the defaults, with the defect that the set-up asks for where one can be planted.
pub(super) fn defaults(setup: &Map<String, Value>) -> Config {
    #[cfg(feature = "mutants")]
    let config = Config {
        mutant: setup.get(MUTANT).and_then(Value::as_str).and_then(router::Mutant::named),
        ..Config::default()
    };
    #[cfg(not(feature = "mutants"))]
    let config = {
        _ = setup;
        Config::default()
    };
    config
}

/// The member of a set-up that names a planted defect.
#[cfg(feature = "mutants")]
pub const MUTANT: &str = "$mutant";

impl Stage {
    /// A router with nobody connected.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let mut router = Router::new(config.clone())?;
        let authority = router.take_authority().map(Arc::new);
        Ok(Self {
            router,
            authority,
            now: START,
            tickets: 0,
            sockets: BTreeMap::new(),
            writing: Vec::new(),
            closing: Vec::new(),
            sent: Vec::new(),
            step: START,
            asked: Vec::new(),
            tape: Recorder::new(config),
        })
    }

    /// The router, to look at.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// The router, for what a host does outside the stream of inputs: registering handlers, say.
    pub fn router_mut(&mut self) -> &mut Router {
        self.tape.hinder(Obstacle::Handlers);
        &mut self.router
    }

    /// Switches a built-in handler on or off.
    pub fn set_built_in(&mut self, built_in: BuiltIn, on: bool) {
        if self.router.set_built_in(built_in, on) {
            self.tape.hinder(Obstacle::Handlers);
        }
    }

    /// What was done so far, to be done again over sockets.
    pub fn tape(&self) -> Result<Tape, Obstacle> {
        self.tape.tape()
    }

    /// Now.
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Begins a step: forgets what was sent and asked before.
    pub fn begin(&mut self) {
        self.sent.clear();
        self.asked.clear();
        self.step = self.now;
    }

    /// What reached the sockets since [`begin`](Self::begin), in order.
    pub fn sent(&self) -> &[Sent] {
        &self.sent
    }

    /// Takes the effects for the host since [`begin`](Self::begin).
    pub fn take_asked(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.asked).into_iter().map(|(_, effect)| effect).collect()
    }

    /// The same, each with the number of frames since [`begin`](Self::begin) that come before it.
    pub fn take_asked_in_order(&mut self) -> Vec<(usize, Effect)> {
        std::mem::take(&mut self.asked)
    }

    /// Connects a socket under a label; its welcome is not reported. `false` when it was refused.
    pub fn connect(&mut self, label: &str, user: &str, line: Line) -> bool {
        self.tickets += 1;
        let connect = Connect::new(Ticket(self.tickets), user);
        self.connect_as(label, &connect, line)
    }

    /// Connects a socket with everything said about it. The ticket must be a new one.
    pub fn connect_as(&mut self, label: &str, connect: &Connect<'_>, line: Line) -> bool {
        let mut out = Effects::new();
        self.router.handle(self.now, Input::Connect(*connect), &mut out);
        let conn = out.iter().find_map(|effect| {
            let Effect::Accepted { conn, .. } = effect else { return None };
            Some(*conn)
        });
        self.tape.connected(connect, conn);
        self.note_line(line);
        let Some(conn) = conn else {
            self.carry_out(&out);
            return false;
        };
        let user = connect.user.to_owned();
        let older = self.sockets.insert(label.to_owned(), Socket { conn, user, line, welcomed: false });
        self.carry_out(&out);
        if let Some(older) = older {
            // Its label is the new one's; the router has asked for its close.
            self.tape.hinder(Obstacle::Names);
            self.writing.retain(|(_, conn, _)| *conn != older.conn);
            self.input(Input::Closed { conn: older.conn });
        }
        true
    }

    /// A new ticket, for [`connect_as`](Self::connect_as).
    pub const fn ticket(&mut self) -> Ticket {
        self.tickets += 1;
        Ticket(self.tickets)
    }

    /// Changes what a socket does from now on.
    pub fn set_line(&mut self, label: &str, line: Line) {
        if let Some(socket) = self.sockets.get_mut(label) {
            socket.line = line;
            self.note_line(line);
        }
    }

    fn note_line(&mut self, line: Line) {
        if line != Line::Up {
            self.tape.hinder(Obstacle::Line);
        }
    }

    /// The connection under a label, while its socket is open.
    pub fn conn(&self, label: &str) -> Option<ConnId> {
        self.sockets.get(label).map(|socket| socket.conn)
    }

    /// The label of a connection.
    pub fn label(&self, conn: ConnId) -> Option<&str> {
        self.sockets.iter().find(|(_, socket)| socket.conn == conn).map(|(label, _)| label.as_str())
    }

    /// A text frame from a socket.
    pub fn text(&mut self, label: &str, text: &str) {
        if let Some(conn) = self.conn(label) {
            self.input(Input::Text { conn, text });
        }
    }

    /// The client closes its socket.
    pub fn disconnect(&mut self, label: &str) {
        self.close(label, false);
    }

    fn close(&mut self, label: &str, by_router: bool) {
        if let Some(socket) = self.sockets.remove(label) {
            self.tape.closed(socket.conn, by_router);
            self.writing.retain(|(_, conn, _)| *conn != socket.conn);
            self.input(Input::Closed { conn: socket.conn });
        }
    }

    /// One input, its effects carried out.
    pub fn input(&mut self, input: Input<'_>) {
        let out = self.handle(input);
        self.carry_out(&out);
    }

    fn handle(&mut self, input: Input<'_>) -> Effects {
        let (mut out, refused) = (Effects::new(), self.router.stats().events.refused);
        self.router.handle(self.now, input, &mut out);
        let taken = self.router.stats().events.refused == refused;
        self.tape.input(&input, taken, out.iter().next().is_none());
        out
    }

    /// The authority to cross users, for an input that needs it.
    pub fn authority(&self) -> Option<Arc<Authority>> {
        self.authority.clone()
    }

    /// An input that needs the authority to cross users.
    pub fn with_authority(&mut self, input: impl for<'a> FnOnce(&'a Authority) -> Input<'a>) {
        if let Some(authority) = self.authority.clone() {
            self.input(input(&authority));
        }
    }

    /// The same for an input that borrows more than the authority.
    pub fn as_authority(&mut self, act: impl FnOnce(&mut Self, &Authority)) {
        if let Some(authority) = self.authority.take() {
            act(self, &authority);
            self.authority = Some(authority);
        }
    }

    /// What the router made known of deliveries since [`begin`](Self::begin), taken out of the effects for the host.
    pub fn take_receipts(&mut self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        self.asked.retain(|(_, effect)| {
            let Effect::Receipt(receipt) = effect else { return true };
            receipts.push((**receipt).clone());
            false
        });
        receipts
    }

    /// Lets time pass: writes under way end, deadlines fire, each at its time.
    pub fn advance(&mut self, micros: u64) {
        self.tape.passed(micros);
        let end = self.now.after(micros);
        loop {
            let write = self.writing.iter().map(|(at, ..)| *at).min();
            let wake = self.router.next_deadline().map(|(at, _)| at);
            let Some(next) = [write, wake].into_iter().flatten().min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if write.is_some_and(|at| at <= next) {
                self.finish_writes();
            } else {
                self.input(Input::Tick);
            }
        }
        self.now = end;
    }

    fn finish_writes(&mut self) {
        let now = self.now;
        let (done, left) = std::mem::take(&mut self.writing).into_iter().partition(|(at, ..)| *at <= now);
        self.writing = left;
        let done: Vec<(Instant, ConnId, String)> = done;
        for (_, conn, text) in done {
            if let Some(label) = self.label(conn).map(str::to_owned) {
                self.wrote(&label, &text);
            }
        }
        self.finish_closes();
    }

    fn finish_closes(&mut self) {
        let (later, now) = std::mem::take(&mut self.closing)
            .into_iter()
            .partition(|conn| self.writing.iter().any(|(_, to, _)| to == conn));
        self.closing = later;
        let now: Vec<ConnId> = now;
        for conn in now {
            if let Some(label) = self.label(conn).map(str::to_owned) {
                self.close(&label, true);
            }
        }
    }

    fn wrote(&mut self, label: &str, text: &str) {
        if let Some(conn) = self.record(label, text) {
            self.input(Input::Written { conn, frames: 1 });
        }
    }

    /// Notes a frame as written; the router is not told yet.
    fn record(&mut self, label: &str, text: &str) -> Option<ConnId> {
        let socket = self.sockets.get(label)?;
        let (conn, message) = (socket.conn, parsed(text));
        self.tape.written(conn, &message);
        self.sent.push(Sent {
            conn: label.to_owned(),
            user: socket.user.clone(),
            at_us: self.now.since(self.step),
            message,
        });
        Some(conn)
    }

    /// Carries effects out in order. What writing brings about comes after all of them. A socket's first frame is its
    /// welcome: written whatever its line, and not reported, for no recording of a router has it.
    fn carry_out(&mut self, out: &Effects) {
        let mut writes = Vec::new();
        let mut written = Vec::new();
        let mut closes = Vec::new();
        for effect in out.iter() {
            if let Effect::Send { conn, frame } = effect {
                writes.push((*conn, out.frame(*frame).as_str().to_owned()));
            } else if let Effect::Close { conn, .. } = effect {
                closes.push(*conn);
            } else {
                self.tape.asked(effect);
                self.asked.push((self.sent.len() + writes.len(), effect.clone()));
            }
        }
        for (conn, text) in writes {
            let Some(label) = self.label(conn).map(str::to_owned) else { continue };
            let Some(socket) = self.sockets.get_mut(&label) else { continue };
            if !std::mem::replace(&mut socket.welcomed, true) {
                self.tape.written(conn, &parsed(&text));
                written.push(conn);
                continue;
            }
            match socket.line {
                Line::Up => written.extend(self.record(&label, &text)),
                Line::Down | Line::FailsAfter(0) => self.disconnect(&label),
                Line::FailsAfter(left) => {
                    socket.line = Line::FailsAfter(left - 1);
                    written.extend(self.record(&label, &text));
                }
                Line::Slow(micros) => {
                    // One after the other, as a socket does.
                    let last = self.writing.iter().filter(|(_, to, _)| *to == conn).map(|(at, ..)| *at).max();
                    let at = last.unwrap_or(self.now).after(micros);
                    self.writing.push((at, conn, text));
                }
            }
        }
        for conn in written {
            if self.label(conn).is_some() {
                self.input(Input::Written { conn, frames: 1 });
            }
        }
        self.closing.append(&mut closes);
        self.finish_closes();
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
