//! Connections: their beginning, their end, and what a shell says of them between the two.

use super::Router;
use crate::{
    audience::{CURSOR_MAX, ConnState, UserRef},
    contract::{Close, ConnId, Connect, Effect, Effects, Ticket, Violation},
    error::ErrorCode,
    stats::Outcome,
    timers::Timer,
    wire::{self, ServerData},
};

impl Router {
    pub(super) fn connect(&mut self, connect: &Connect<'_>, out: &mut Effects) {
        // The live connection that has the name already.
        let older = connect.name.and_then(|name| self.audience.named(name));
        let refusal = if self.draining.is_some() {
            Some((ErrorCode::ShuttingDown, None, Close::ShuttingDown))
        } else if !crate::audience::is_user_id(connect.user) {
            Some((ErrorCode::AuthFailed, None, Close::AuthFailed))
        } else if connect.name.is_some_and(|name| !crate::audience::is_user_id(name)) {
            Some((ErrorCode::BadField, None, Close::NameRefused))
        } else if older.is_some_and(|older| !self.is_of(older, connect.user)) {
            Some((ErrorCode::ConnectionNameTaken, None, Close::NameRefused))
        } else {
            let limit = self.config.connections_per_user_max;
            let open = self.audience.find(connect.user).map(|user| &*self.audience.user(user).conns);
            let full = !self.has_room(open.unwrap_or_default(), older.is_some());
            full.then_some((ErrorCode::ConnectionLimit, Some(u64::from(limit)), Close::ConnectionLimit))
        };
        if let Some((code, limit, close)) = refusal {
            self.stats.connections.refused += 1;
            self.refuse(connect.ticket, code, limit, close, out);
            return;
        }
        if let Some(older) = older {
            self.close(older, Close::Replaced, out);
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
        if self.cluster.is_some() {
            // Its welcome tells the cursor, which the store knows.
            self.join(conn, out);
        } else {
            self.welcome(conn, false, out);
            if let Some(cursor) = connect.resume {
                // Measured by what had been issued when the client came: until its set-up is over, another tab may raise it.
                self.in_flow(conn, out, |audience, owner, member, flow| {
                    audience.raise(owner, member, cursor, flow)
                });
            }
            if self.config.ready_after_us == 0 {
                self.open(conn, out);
            }
        }
        self.arm(conn);
    }

    pub(super) fn is_of(&self, conn: ConnId, user: &str) -> bool {
        self.user_of(conn).is_some_and(|owner| **owner == *user)
    }

    /// Whether a user with these connections may have one more. Who takes the place of an older one of the same name may
    /// while that one closes; closing ones that pile up count again.
    fn has_room(&self, conns: &[u32], replaces: bool) -> bool {
        let limit = self.config.connections_per_user_max as usize;
        let closing = conns.iter().filter(|index| self.audience.conn_at(**index).state == ConnState::Closing);
        let one = usize::from(mutant!(self.config, ConnectionLimitOneLess));
        conns.len() + one < limit
            || (replaces && conns.len() < 2 * limit && conns.len() - closing.count() <= limit)
    }

    /// What [`has_room`](Self::has_room) keeps, for those who verify.
    pub(super) fn connections_bounded(&self, conns: &[u32]) -> bool {
        let limit = self.config.connections_per_user_max as usize;
        let closing = conns.iter().filter(|index| self.audience.conn_at(**index).state == ConnState::Closing);
        conns.len() <= 2 * limit && conns.len() - closing.count() <= limit
    }

    pub(crate) fn welcome(&mut self, conn: ConnId, degraded: bool, out: &mut Effects) {
        let Some(state) = self.audience.conn(conn) else { return };
        let user = self.audience.user(state.user);
        let data = ServerData::Welcome {
            user: &user.id,
            node: &self.config.node,
            connection: state.cold.number,
            cursor: user.cursor,
            development: self.config.development,
            is_shared: self.cluster.is_some(),
            degraded,
        };
        let frame = wire::server_message(&mut self.writer, self.now, data);
        self.stats.frames.encoded += 1;
        self.reply(conn, frame, out);
    }

    /// The end of set-up: replay first, then what was held, in order.
    pub(crate) fn open(&mut self, conn: ConnId, out: &mut Effects) {
        self.in_flow(conn, out, |audience, owner, member, flow| audience.attach(owner, member, flow));
        while let Some(text) = self.next_held(conn) {
            let lost = mutant!(self.config, LoseHeld);
            let outcome = if lost { Outcome::Handled } else { self.route(conn, &text, out) };
            self.stats.count_outcome(outcome);
        }
    }

    pub(super) fn binary(&mut self, conn: ConnId, out: &mut Effects) {
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

    pub(super) fn heard(&mut self, conn: ConnId) {
        if let Some(state) = self.audience.conn_mut(conn) {
            state.last_inbound = self.now;
            state.missed = 0;
        }
    }

    pub(super) fn violation(&mut self, conn: ConnId, kind: Violation, out: &mut Effects) {
        let close = match kind {
            Violation::TooBig => Close::TooBig,
            Violation::InvalidUtf8 => Close::InvalidUtf8,
            Violation::Protocol => Close::Protocol,
        };
        self.close(conn, close, out);
    }

    pub(super) fn written(&mut self, conn: ConnId, frames: u32, out: &mut Effects) {
        let known = self.in_flow(conn, out, |audience, owner, member, flow| {
            audience.written(owner, member, frames, flow);
        });
        if known.is_none() {
            self.stats.connections.stale_inputs += 1;
        }
    }

    pub(super) fn closed(&mut self, conn: ConnId, out: &mut Effects) {
        let Some(state) = self.audience.conn(conn) else {
            self.stats.connections.stale_inputs += 1;
            return;
        };
        let user = state.user;
        self.release_handlers(conn);
        self.bury_held(conn, out);
        self.stats.connections.closed += 1;
        self.stats.connections.open -= 1;
        let (audience, mut flow) = self.flow(out);
        audience.remove_conn(conn, &mut flow);
        self.left(user, conn, out);
        self.idle(user);
    }

    /// Starts the recovery window of a user without connections and runs.
    pub(crate) fn idle(&mut self, user: UserRef) {
        let state = self.audience.user_mut(user);
        if state.is_idle() {
            state.idle_since = self.now;
            state.due = self.now.after(self.config.recovery_ttl_us);
            self.timers.set(self.now.after(self.config.recovery_ttl_us), Timer::User(user));
        }
    }

    pub(super) fn close(&mut self, conn: ConnId, close: Close, out: &mut Effects) {
        let (audience, mut flow) = self.flow(out);
        audience.close(conn, close, &mut flow);
    }

    pub(super) fn refuse(
        &mut self,
        ticket: Ticket,
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
}
