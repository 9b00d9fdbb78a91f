//! Deadlines: heartbeats, recovery windows, runs, the drain.

use alloc::vec::Vec;

use super::Router;
use crate::{
    audience::{ConnState, UserRef},
    contract::{CancelReason, Close, ConnId, Effect, Effects, Instant, RunRef},
    fingerprint::Walk,
    run::Ending,
    timers::Timer,
    wire::{self, ServerData},
};

/// How long after the drain deadline the last events may take to reach their sockets.
const DRAIN_FLUSH_US: u64 = 2_000_000;

#[derive(Clone, Debug)]
pub(super) struct Drain {
    deadline: Instant,
    /// Nobody is being set up any more, so that a batch meets all who are to get it.
    all_open: bool,
    /// Connections still to be told; known once no run is open.
    left: Option<Vec<ConnId>>,
    reported: bool,
}

impl Router {
    pub(super) fn fire(&mut self, timer: Timer, out: &mut Effects) {
        match timer {
            Timer::Connection(conn) => self.connection_due(conn, out),
            Timer::Run(run) => self.run_due(run, out),
            Timer::Tool(run, serial) => self.tool_due(run, serial, out),
            Timer::User(user) => self.user_due(user, out),
            Timer::Ask(ask) => self.ask_due(ask, out),
            Timer::Drain => {}
            Timer::Batch(key) => self.batch_due(key, out),
            Timer::Later(conn, number) => self.later_due(conn, number, out),
            Timer::Pulse => self.pulse(out),
            Timer::Renew(user) => self.renew_due(user, out),
            Timer::Again => self.ask_again(out),
            Timer::Doubt(outbox) => self.doubt_due(outbox, out),
        }
    }

    pub(super) fn connection_due(&mut self, conn: ConnId, out: &mut Effects) {
        let (now, config) = (self.now, &self.config);
        let Some(state) = self.audience.conn(conn) else { return };
        let expired = state.cold.expires_at.is_some_and(|at| now >= at.after(config.token_grace_us));
        let stuck = state.lagging && now.since(state.cold.last_progress) >= config.slow_reader_grace_us;
        let silent = now.since(state.last_inbound.max(state.cold.last_heartbeat)) >= config.heartbeat_us;
        let setting_up = state.state == ConnState::SettingUp && state.cold.seated;
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

    pub(super) fn heartbeat(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn_mut(conn) else { return };
        state.cold.last_heartbeat = self.now;
        if mutant!(self.config, NoHeartbeat) {
            return;
        }
        let kept = mutant!(self.config, UnresponsiveForever);
        state.missed = if kept { 0 } else { state.missed.saturating_add(1) };
        let connection = state.cold.number;
        let data = ServerData::Heartbeat { node: &self.config.node, connection };
        let frame = wire::server_message(&mut self.writer, self.now, data);
        self.stats.frames.encoded += 1;
        self.stats.connections.heartbeats += 1;
        self.reply(conn, frame, out);
        out.push(Effect::Ping { conn });
    }

    /// Sets the connection's next deadline, if none that is as early is set.
    pub(crate) fn arm(&mut self, conn: ConnId) {
        let Some(state) = self.audience.conn_mut(conn) else { return };
        if state.state == ConnState::Closing {
            return;
        }
        let cold = &*state.cold;
        let mut at = state.last_inbound.max(cold.last_heartbeat).after(self.config.heartbeat_us);
        if state.state == ConnState::SettingUp && cold.seated {
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

    pub(super) fn user_due(&mut self, user: UserRef, out: &mut Effects) {
        if !self.audience.knows(user) {
            return;
        }
        let state = self.audience.user(user);
        if !state.is_idle() {
            return;
        }
        if self.is_owed(user) {
            return self.wake_for(user, self.now.after(self.config.recovery_ttl_us));
        }
        let over = state.idle_since.after(self.config.recovery_ttl_us);
        if over > self.now {
            // Something was put by since the timer was set: once more, unless a later timer is on its way.
            if state.due <= self.now {
                self.wake_for(user, over);
            }
            return;
        }
        let remembered = state.dedupe_until(&self.config).filter(|until| *until > self.now);
        let (audience, mut flow) = self.flow(out);
        audience.with_owner(user, |audience, owner| audience.expire(&owner, &mut flow));
        self.audience.unsubscribe_all(user);
        self.forget_asks(user);
        match remembered {
            Some(until) => self.wake_for(user, until),
            None if mutant!(self.config, KeepUserForever) => {}
            None => {
                self.forget_dispatches(user);
                self.tools.forget(self.now, &self.audience.user(user).id);
                self.audience.remove_user(user);
                self.stats.connections.users = self.audience.users_len() as u64;
            }
        }
    }

    pub(crate) fn digest_drain(&self, walk: &mut Walk<'_>) {
        walk.flag(self.draining.is_some());
        let Some(Drain { deadline, all_open, left, reported }) = &self.draining else { return };
        walk.time(*deadline);
        walk.flag(*all_open);
        walk.flag(*reported);
        walk.flag(left.is_some());
        // Who is gone is told nothing, and counts for nothing.
        let left = left.iter().flatten().filter_map(|conn| self.audience.conn(*conn));
        let mut waiting: Vec<u64> = left.map(|conn| conn.cold.number).collect();
        waiting.sort_unstable();
        walk.len(waiting.len());
        waiting.into_iter().for_each(|number| walk.connection(number));
    }

    fn wake_for(&mut self, user: UserRef, at: Instant) {
        self.audience.user_mut(user).due = at;
        self.timers.set(at, Timer::User(user));
    }

    pub(super) fn drain(&mut self, out: &mut Effects) {
        if self.draining.is_some() {
            return;
        }
        let deadline = self.now.after(self.config.drain_deadline_us);
        self.draining = Some(Drain { deadline, all_open: false, left: None, reported: false });
        self.timers.set(deadline, Timer::Drain);
        self.timers.set(deadline.after(DRAIN_FLUSH_US), Timer::Drain);
        // Who is still being set up learns of the drain by the answers to what was held.
        let setting_up: Vec<ConnId> = self.audience.all_conns().collect();
        for conn in setting_up {
            if self.audience.conn(conn).is_some_and(|state| state.state == ConnState::SettingUp) {
                self.open(conn, out);
            }
        }
        if let Some(drain) = &mut self.draining {
            drain.all_open = true;
        }
        self.flush_batches(out);
    }

    /// Whether a batch must not wait: a drain may close the connections before it is due.
    pub(crate) fn holds_no_batches(&self) -> bool {
        self.draining.as_ref().is_some_and(|drain| drain.all_open)
    }

    /// Ends the runs left at the deadline; once none is open and no answer is promised for later, closes each
    /// connection when nothing waits behind its socket any more, or when the time to flush is over, too; says when all are gone.
    pub(super) fn progress_drain(&mut self, out: &mut Effects) {
        let Some(mut drain) = self.draining.take() else { return };
        let late = self.now >= drain.deadline;
        let over = self.now >= drain.deadline.after(DRAIN_FLUSH_US);
        if late && self.stats.runs.open > 0 {
            let open: Vec<RunRef> = self.open_runs().collect();
            for run in open {
                self.end_run(run, Ending::Shutdown, CancelReason::Shutdown, out);
            }
        }
        if late {
            self.give_up_asks(out);
        }
        let promised = !late && self.later_replies().waiting > 0;
        if self.stats.runs.open == 0 && self.desk.len() == 0 && !promised && (over || !self.owes_events()) {
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
                if !mutant!(self.config, DrainUnsaid) {
                    out.push(Effect::Drained);
                }
            }
        }
        self.draining = Some(drain);
    }
}
