//! The order of steps. One input in, effects out; every rule about a message is in here or below.

use alloc::{boxed::Box, string::String, sync::Arc, vec::Vec};

use crate::{
    audience::{Audience, CURSOR_MAX, ConnState, Flow, Member, Owner, UserRef},
    config::{Config, ConfigError},
    contract::{
        Audit, Authority, CancelReason, Close, ConnId, Connect, Effect, Effects, Frame, Input, Instant,
        RunRef, Violation, Wake,
    },
    error::ErrorCode,
    handlers::Message,
    message::{self, Envelope, Fault, Kind, Raw},
    run::Automaton,
    stats::{Outcome, Stats},
    timers::{Timer, Timers},
    wire::{self, ServerData, Writer},
};

/// How long after the drain deadline the last events may take to reach their sockets.
const DRAIN_FLUSH_US: u64 = 2_000_000;

/// The canonical router. See [`contract`](crate::contract) for the loop that drives it.
#[derive(Debug)]
pub struct Router {
    pub(crate) config: Config,
    /// The node's name, to be shared.
    pub(crate) node: Arc<str>,
    pub(crate) now: Instant,
    pub(crate) audience: Audience,
    pub(crate) runs: Vec<Run>,
    pub(crate) free_runs: Vec<u32>,
    pub(crate) runs_started: u64,
    pub(crate) timers: Timers,
    pub(crate) stats: Stats,
    pub(crate) writer: Writer,
    draining: Option<Drain>,
    authority: Option<Authority>,
}

#[derive(Debug)]
struct Drain {
    deadline: Instant,
    /// Connections still to be told; known once no run is open.
    left: Option<Vec<ConnId>>,
    reported: bool,
}

/// One run; a slot of it is reused, with another generation, after the run ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) generation: u32,
    pub(crate) owner: Option<UserRef>,
    pub(crate) number: u64,
    pub(crate) thread: Arc<str>,
    pub(crate) request: Arc<str>,
    pub(crate) agent: Box<str>,
    pub(crate) automaton: Automaton,
    pub(crate) seq: u64,
}

impl Router {
    /// A router with nobody connected, or which limit makes no sense.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            node: config.node.as_str().into(),
            config,
            now: Instant::default(),
            audience: Audience::default(),
            runs: Vec::new(),
            free_runs: Vec::new(),
            runs_started: 0,
            timers: Timers::default(),
            stats: Stats::default(),
            writer: Writer::default(),
            draining: None,
            authority: Some(Authority(())),
        })
    }

    /// Takes one input and appends its effects, in the order in which they must happen. Never panics and never
    /// fails: what is wrong with an input is itself an effect.
    pub fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Effects) {
        self.now = self.now.max(now);
        while let Some(timer) = self.timers.pop_due(self.now) {
            self.fire(timer, out);
        }
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
            Input::Broadcast { authority, kind, data } => {
                let data = ServerData::Given { kind, data: data.get() };
                let frame = self.encode(data);
                let (audience, mut flow) = self.flow(out);
                audience.broadcast(authority, &frame, &mut flow);
            }
            Input::Drain => self.drain(out),
            Input::Tick => {}
        }
        self.progress_drain(out);
    }

    /// When the router must be called again at the latest, and for what; a wake-up for nothing is possible.
    pub fn next_deadline(&self) -> Option<(Instant, Wake)> {
        self.timers.next()
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

    /// Whether new work is refused because the router drains.
    pub const fn is_draining(&self) -> bool {
        self.draining.is_some()
    }

    /// Recounts everything that the counters claim: sums, levels, bounds, ownership. Costs a walk over all state;
    /// for tests and simulations. `Err` names the first claim that does not hold.
    pub fn verify(&self) -> Result<(), String> {
        self.stats.check()?;
        let (mut in_flight, mut queued, mut held, mut waiting, mut runs) = (0, 0, 0, 0, 0);
        for user in self.audience.users() {
            waiting += user.cursor - user.settled;
            runs += user.runs.len() as u64;
            let bounded = user.log.len() <= self.config.recovery_frames_max as usize
                && user.conns.len() <= self.config.connections_per_user_max as usize
                && user.runs.len() <= self.config.runs_per_user_max as usize;
            if !bounded || user.settled > user.cursor || user.delivered > user.cursor {
                return Err(alloc::format!("user {}: a bound does not hold", user.id));
            }
            for run in &user.runs {
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
                held += conn.cold.held.len() as u64;
                if conn.queued.len() > self.config.outbound_frames_max as usize {
                    return Err(alloc::format!("user {}: an outbound queue is too long", user.id));
                }
            }
        }
        let levels = [
            ("frames in flight", self.stats.frames.in_flight, in_flight),
            ("frames queued", self.stats.frames.queued, queued),
            ("messages held", self.stats.inbound.held, held),
            ("events waiting", self.stats.events.waiting, waiting),
            ("open runs", self.stats.runs.open, runs),
            ("open connections", self.stats.connections.open, self.audience.conns_len() as u64),
            ("users", self.stats.connections.users, self.audience.users_len() as u64),
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

    fn connect(&mut self, connect: &Connect<'_>, out: &mut Effects) {
        let refusal = if self.draining.is_some() {
            Some((ErrorCode::ShuttingDown, None, Close::ShuttingDown))
        } else if !crate::audience::is_user_id(connect.user) {
            Some((ErrorCode::AuthFailed, None, Close::AuthFailed))
        } else {
            let limit = self.config.connections_per_user_max;
            let open =
                self.audience.find(connect.user).map_or(0, |user| self.audience.user(user).conns.len());
            (open >= limit as usize).then_some((
                ErrorCode::ConnectionLimit,
                Some(u64::from(limit)),
                Close::ConnectionLimit,
            ))
        };
        if let Some((code, limit, close)) = refusal {
            self.stats.connections.refused += 1;
            self.refuse(connect.ticket, code, limit, close, out);
            return;
        }
        // A cursor that no router issued is no cursor.
        let connect = &Connect { resume: connect.resume.filter(|cursor| *cursor <= CURSOR_MAX), ..*connect };
        let user = self.audience.find_or_add(connect.user, connect.tier);
        self.stats.connections.accepted += 1;
        self.stats.connections.open += 1;
        self.stats.connections.users = self.audience.users_len() as u64;
        let (audience, flow) = self.flow(out);
        let conn = audience.add_conn(user, connect, &flow);
        out.push(Effect::Accepted { ticket: connect.ticket, conn });
        self.welcome(conn, out);
        if self.config.ready_after_us == 0 {
            self.open(conn, out);
        }
        self.arm(conn);
    }

    fn welcome(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn(conn) else { return };
        let user = self.audience.user(state.user);
        let data = ServerData::Welcome {
            user: &user.id,
            node: &self.config.node,
            connection: state.cold.number,
            cursor: user.cursor,
            development: self.config.development,
        };
        let frame = wire::server_message(&mut self.writer, self.now, data);
        self.stats.frames.encoded += 1;
        self.reply(conn, frame, out);
    }

    /// The end of set-up: replay first, then what was held, in order.
    fn open(&mut self, conn: ConnId, out: &mut Effects) {
        self.in_flow(conn, out, |audience, owner, member, flow| audience.attach(owner, member, flow));
        while let Some(text) = self.audience.conn_mut(conn).and_then(|conn| conn.cold.held.pop_front()) {
            self.stats.inbound.held -= 1;
            let outcome = self.route(conn, &text, out);
            self.stats.count_outcome(outcome);
        }
    }

    fn text(&mut self, conn: ConnId, text: &str, out: &mut Effects) {
        self.audience.warm(conn);
        let Some(state) = self.audience.conn_mut(conn) else {
            self.stats.connections.stale_inputs += 1;
            return;
        };
        self.stats.inbound.received += 1;
        state.last_inbound = self.now;
        state.missed = 0;
        let outcome = match state.state {
            ConnState::Open => self.route(conn, text, out),
            ConnState::SettingUp => {
                self.hold(conn, text, out);
                return;
            }
            // Its sender was told by the close frame.
            ConnState::Closing | ConnState::Vacant => Outcome::Rejected,
        };
        self.stats.count_outcome(outcome);
    }

    fn hold(&mut self, conn: ConnId, text: &str, out: &mut Effects) {
        if text.len() > self.config.inbound_bytes_max as usize {
            self.reject_size(conn, out);
            self.stats.count_outcome(Outcome::Rejected);
            return;
        }
        let (frames_max, bytes_max) = (self.config.held_frames_max, self.config.held_bytes_max);
        let Some(state) = self.audience.conn_mut(conn) else { return };
        let cold = &mut *state.cold;
        if cold.held.len() >= frames_max as usize || cold.held_bytes + text.len() > bytes_max as usize {
            self.reject(conn, ErrorCode::Overloaded, None, None, None, out);
            self.stats.count_outcome(Outcome::Rejected);
            return;
        }
        cold.held_bytes += text.len();
        cold.held.push_back(text.into());
        self.stats.inbound.held += 1;
    }

    /// One frame of an open connection: size, rate, the checking pass, the handler.
    fn route(&mut self, conn: ConnId, text: &str, out: &mut Effects) -> Outcome {
        let Some(state) = self.audience.conn(conn) else { return Outcome::Rejected };
        if state.state != ConnState::Open {
            return Outcome::Rejected;
        }
        let user = state.user;
        if text.len() > self.config.inbound_bytes_max as usize {
            return self.reject_size(conn, out);
        }
        if !self.audience.user_mut(user).take_token(self.now, &self.config) {
            let limit = Some(u64::from(self.config.rate_per_s));
            return self.reject(conn, ErrorCode::RateLimited, None, limit, None, out);
        }
        let envelope = match message::scan(text, self.audience.user(user).id_bytes(), self.config.nesting_max)
        {
            Ok(envelope) => envelope,
            Err(fault) => return self.refuse_frame(conn, user, &fault, out),
        };
        if let Some(timestamp) = envelope.timestamp
            && !timestamp.is_null()
            && !message::is_trusted_timestamp(timestamp)
        {
            self.stats.inbound.timestamps_replaced += 1;
        }
        self.dispatch(conn, user, &envelope, out)
    }

    fn dispatch(
        &mut self,
        conn: ConnId,
        user: UserRef,
        envelope: &Envelope<'_>,
        out: &mut Effects,
    ) -> Outcome {
        let name = envelope.kind.and_then(Raw::text);
        match name.as_deref().and_then(Kind::from_name) {
            Some(kind) => {
                self.stats.count_kind(kind);
                self.handle_message(Message { conn, user, kind, envelope }, out)
            }
            None => {
                // Absent and null are acknowledged as `unknown`, a number or a bool with its JSON text.
                let received = match (&name, envelope.kind) {
                    (Some(name), _) => name,
                    (None, Some(raw)) if !raw.is_null() => raw.json(),
                    _ => "unknown",
                };
                let id = &self.audience.user(user).id;
                let frame = wire::ack(&mut self.writer, self.now, received, id);
                self.stats.frames.encoded += 1;
                self.reply(conn, frame, out);
                Outcome::Unhandled
            }
        }
    }

    fn refuse_frame(&mut self, conn: ConnId, user: UserRef, fault: &Fault, out: &mut Effects) -> Outcome {
        if fault.code == ErrorCode::ForeignUserId {
            let state = self.audience.user_mut(user);
            let due = state.audited.is_none_or(|at| self.now.since(at) >= self.config.audit_interval_us);
            if due {
                state.audited = Some(self.now);
                let suppressed = core::mem::take(&mut state.audits_suppressed);
                let (user, code, path) = (state.id.clone(), fault.code, fault.path.clone());
                out.push(Effect::Audit(Box::new(Audit { conn, user, code, path, suppressed })));
            } else {
                state.audits_suppressed += 1;
            }
        }
        let limit = (fault.code == ErrorCode::TooDeep).then_some(u64::from(self.config.nesting_max));
        self.reject(conn, fault.code, Some(fault), limit, None, out)
    }

    fn reject_size(&mut self, conn: ConnId, out: &mut Effects) -> Outcome {
        let limit = Some(u64::from(self.config.inbound_bytes_max));
        self.reject(conn, ErrorCode::TooLarge, None, limit, None, out)
    }

    /// Answers with an error frame; a connection that is refused too often is closed.
    pub(crate) fn reject(
        &mut self,
        conn: ConnId,
        code: ErrorCode,
        fault: Option<&Fault>,
        limit: Option<u64>,
        message_id: Option<&str>,
        out: &mut Effects,
    ) -> Outcome {
        self.answer_error(conn, code, fault, limit, message_id, out);
        let (now, max, window) = (self.now, self.config.rejects_max as usize, self.config.reject_window_us);
        if let Some(state) = self.audience.conn_mut(conn) {
            let rejects = &mut state.cold.rejects;
            while rejects.front().is_some_and(|at| now.since(*at) >= window) {
                rejects.pop_front();
            }
            rejects.push_back(now);
            if max > 0 && rejects.len() >= max {
                self.close(conn, Close::Abuse, out);
            }
        }
        Outcome::Rejected
    }

    /// An error frame for what is not the client's fault: it does not count towards abuse.
    pub(crate) fn answer_error(
        &mut self,
        conn: ConnId,
        code: ErrorCode,
        fault: Option<&Fault>,
        limit: Option<u64>,
        message_id: Option<&str>,
        out: &mut Effects,
    ) {
        self.stats.count_code(code);
        let frame = wire::error(&mut self.writer, self.now, code, fault, limit, message_id);
        self.stats.frames.encoded += 1;
        self.reply(conn, frame, out);
    }

    fn binary(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn_mut(conn) else {
            self.stats.connections.stale_inputs += 1;
            return;
        };
        state.last_inbound = self.now;
        state.missed = 0;
        self.stats.inbound.received += 1;
        self.stats.count_outcome(Outcome::Rejected);
        if self.audience.conn(conn).is_some_and(|state| state.state != ConnState::Closing) {
            self.reject(conn, ErrorCode::BinaryRefused, None, None, None, out);
        }
    }

    fn heard(&mut self, conn: ConnId) {
        if let Some(state) = self.audience.conn_mut(conn) {
            state.last_inbound = self.now;
            state.missed = 0;
        }
    }

    fn violation(&mut self, conn: ConnId, kind: Violation, out: &mut Effects) {
        let close = match kind {
            Violation::TooBig => Close::TooBig,
            Violation::InvalidUtf8 => Close::InvalidUtf8,
            Violation::Protocol => Close::Protocol,
        };
        self.close(conn, close, out);
    }

    fn written(&mut self, conn: ConnId, frames: u32, out: &mut Effects) {
        let known = self.in_flow(conn, out, |audience, owner, member, flow| {
            audience.written(owner, member, frames, flow);
        });
        if known.is_none() {
            self.stats.connections.stale_inputs += 1;
        }
    }

    fn closed(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn(conn) else {
            self.stats.connections.stale_inputs += 1;
            return;
        };
        let (user, held) = (state.user, state.cold.held.len() as u64);
        self.stats.inbound.held -= held;
        self.stats.inbound.rejected += held;
        self.stats.connections.closed += 1;
        self.stats.connections.open -= 1;
        let (audience, mut flow) = self.flow(out);
        audience.remove_conn(conn, &mut flow);
        self.idle(user);
    }

    /// Starts the recovery window of a user without connections and runs.
    pub(crate) fn idle(&mut self, user: UserRef) {
        let state = self.audience.user_mut(user);
        if state.is_idle() {
            state.idle_since = self.now;
            self.timers.set(self.now.after(self.config.recovery_ttl_us), Timer::User(user));
        }
    }

    fn fire(&mut self, timer: Timer, out: &mut Effects) {
        match timer {
            Timer::Connection(conn) => self.connection_due(conn, out),
            Timer::Run(run) => self.run_due(run, out),
            Timer::User(user) => self.user_due(user, out),
            Timer::Drain => {}
        }
    }

    fn connection_due(&mut self, conn: ConnId, out: &mut Effects) {
        let (now, config) = (self.now, &self.config);
        let Some(state) = self.audience.conn(conn) else { return };
        let expired = state.cold.expires_at.is_some_and(|at| now >= at.after(config.token_grace_us));
        let stuck = state.lagging && now.since(state.cold.last_progress) >= config.slow_reader_grace_us;
        let silent = now.since(state.last_inbound.max(state.cold.last_heartbeat)) >= config.heartbeat_us;
        let setting_up = state.state == ConnState::SettingUp;
        if state.state == ConnState::Closing || state.cold.timer_at > now {
            return;
        }
        if expired {
            self.close(conn, Close::TokenExpired, out);
        } else if stuck {
            self.stats.connections.slow += 1;
            self.close(conn, Close::SlowReader, out);
        } else if silent && u32::from(state.missed) >= config.heartbeats_missed_max {
            self.close(conn, Close::Unresponsive, out);
        } else if setting_up && now >= state.cold.ready_at {
            self.open(conn, out);
        } else if silent {
            self.heartbeat(conn, out);
        }
        self.arm(conn);
    }

    fn heartbeat(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn_mut(conn) else { return };
        state.missed = state.missed.saturating_add(1);
        state.cold.last_heartbeat = self.now;
        let connection = state.cold.number;
        let data = ServerData::Heartbeat { node: &self.config.node, connection };
        let frame = wire::server_message(&mut self.writer, self.now, data);
        self.stats.frames.encoded += 1;
        self.stats.connections.heartbeats += 1;
        self.reply(conn, frame, out);
        out.push(Effect::Ping { conn });
    }

    /// Sets the connection's next deadline, if none that is as early is set.
    fn arm(&mut self, conn: ConnId) {
        let Some(state) = self.audience.conn_mut(conn) else { return };
        if state.state == ConnState::Closing {
            return;
        }
        let cold = &*state.cold;
        let mut at = state.last_inbound.max(cold.last_heartbeat).after(self.config.heartbeat_us);
        if state.state == ConnState::SettingUp {
            at = at.min(cold.ready_at);
        }
        if let Some(expires_at) = cold.expires_at {
            at = at.min(expires_at.after(self.config.token_grace_us));
        }
        if state.lagging {
            at = at.min(cold.last_progress.after(self.config.slow_reader_grace_us));
        }
        let at = at.max(self.now.after(1));
        if state.cold.timer_at <= self.now || at < state.cold.timer_at {
            state.cold.timer_at = at;
            self.timers.set(at, Timer::Connection(conn));
        }
    }

    fn user_due(&mut self, user: UserRef, out: &mut Effects) {
        if !self.audience.knows(user) {
            return;
        }
        let state = self.audience.user(user);
        if !state.is_idle() || self.now.since(state.idle_since) < self.config.recovery_ttl_us {
            return;
        }
        let remembered = state.dedupe_until(&self.config).filter(|until| *until > self.now);
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| audience.expire(&owner, &mut flow));
        match remembered {
            Some(until) => self.timers.set(until, Timer::User(user)),
            None => {
                self.audience.remove_user(user);
                self.stats.connections.users = self.audience.users_len() as u64;
            }
        }
    }

    fn drain(&mut self, out: &mut Effects) {
        if self.draining.is_some() {
            return;
        }
        let deadline = self.now.after(self.config.drain_deadline_us);
        self.draining = Some(Drain { deadline, left: None, reported: false });
        self.timers.set(deadline, Timer::Drain);
        self.timers.set(deadline.after(DRAIN_FLUSH_US), Timer::Drain);
        // Who is still being set up learns of the drain by the answers to what was held.
        let setting_up: Vec<ConnId> = self.audience.all_conns().collect();
        for conn in setting_up {
            if self.audience.conn(conn).is_some_and(|state| state.state == ConnState::SettingUp) {
                self.open(conn, out);
            }
        }
    }

    /// Ends the runs left at the deadline; once none is open, closes each connection when nothing waits behind its
    /// socket any more, or when the time to flush is over, too; says when all are gone.
    fn progress_drain(&mut self, out: &mut Effects) {
        let Some(mut drain) = self.draining.take() else { return };
        let late = self.now >= drain.deadline;
        let over = self.now >= drain.deadline.after(DRAIN_FLUSH_US);
        if late && self.stats.runs.open > 0 {
            let open: Vec<RunRef> = self.open_runs().collect();
            for run in open {
                self.end_run(run, crate::run::Ending::Shutdown, CancelReason::Shutdown, out);
            }
        }
        if self.stats.runs.open == 0 {
            let mut left = drain.left.take().unwrap_or_else(|| self.audience.all_conns().collect());
            left.retain(|conn| {
                let waits = self.audience.conn(*conn).is_some_and(|state| !state.queued.is_empty());
                if over || !waits {
                    self.close(*conn, Close::ShuttingDown, out);
                }
                !over && waits
            });
            drain.left = Some(left);
            if !drain.reported && self.stats.connections.open == 0 {
                drain.reported = true;
                out.push(Effect::Drained);
            }
        }
        self.draining = Some(drain);
    }

    fn close(&mut self, conn: ConnId, close: Close, out: &mut Effects) {
        let (audience, mut flow) = self.flow(out);
        audience.close(conn, close, &mut flow);
    }

    fn refuse(
        &mut self,
        ticket: crate::contract::Ticket,
        code: ErrorCode,
        limit: Option<u64>,
        close: Close,
        out: &mut Effects,
    ) {
        self.stats.count_code(code);
        let frame = wire::error(&mut self.writer, self.now, code, None, limit, None);
        self.stats.frames.encoded += 1;
        let frame = out.share(frame);
        out.push(Effect::Refused { ticket, frame, close });
    }

    pub(crate) fn encode(&mut self, data: ServerData<'_>) -> Frame {
        self.stats.frames.encoded += 1;
        wire::server_message(&mut self.writer, self.now, data)
    }

    /// Sends a frame to the connection it answers.
    pub(crate) fn reply(&mut self, conn: ConnId, frame: Frame, out: &mut Effects) {
        self.in_flow(conn, out, |audience, owner, member, flow| {
            audience.send(member, &owner.seal(frame), flow);
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
            out,
        };
        (&mut self.audience, flow)
    }
}
