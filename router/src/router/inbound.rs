//! Inbound frames: held or routed, checked, refused.

use alloc::boxed::Box;

use super::Router;
use crate::{
    audience::{ConnState, UserRef},
    contract::{Audit, Close, ConnId, Effect, Effects},
    error::ErrorCode,
    handlers::Message,
    message::{self, Envelope, Fault, Raw},
    stats::Outcome,
    wire,
};

impl Router {
    pub(super) fn text(&mut self, conn: ConnId, text: &str, out: &mut Effects) {
        self.audience.warm(conn, 0);
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
                self.put_off(conn, text, out);
                return;
            }
            // Its sender was told by the close frame.
            ConnState::Closing | ConnState::Vacant => Outcome::Rejected,
        };
        if mutant!(self.config, ForgetAccount) && outcome == Outcome::Unhandled {
            return;
        }
        self.stats.count_outcome(outcome);
    }

    /// A frame of a connection that is being set up.
    fn put_off(&mut self, conn: ConnId, text: &str, out: &mut Effects) {
        if text.len() > self.config.inbound_bytes_max as usize {
            self.reject_size(conn, out);
            self.stats.count_outcome(Outcome::Rejected);
        } else if !self.hold(conn, text) {
            self.reject(conn, ErrorCode::Overloaded, None, None, None, out);
            self.stats.count_outcome(Outcome::Rejected);
        }
    }

    /// One frame of an open connection: size, rate, the checking pass, the handler.
    pub(super) fn route(&mut self, conn: ConnId, text: &str, out: &mut Effects) -> Outcome {
        let Some(state) = self.audience.conn(conn) else { return Outcome::Rejected };
        if state.state != ConnState::Open {
            return Outcome::Rejected;
        }
        let user = state.user;
        if text.len() > self.config.inbound_bytes_max as usize && !mutant!(self.config, SizeUnchecked) {
            return self.reject_size(conn, out);
        }
        if !self.audience.user_mut(user).take_token(self.now, &self.config) {
            let limit = Some(u64::from(self.config.rate_per_s));
            return self.reject(conn, ErrorCode::RateLimited, None, limit, None, out);
        }
        let envelope = match message::scan(text, self.audience.user(user).id_bytes(), self.config.nesting_max)
        {
            Ok(envelope) => envelope,
            Err(fault) if mutant!(self.config, SilentForeignId) && fault.code == ErrorCode::ForeignUserId => {
                return Outcome::Handled;
            }
            Err(fault) => return self.refuse_frame(conn, user, &fault, out),
        };
        if let Some(timestamp) = envelope.timestamp
            && !timestamp.is_null()
            && !message::is_trusted_timestamp(timestamp)
        {
            self.stats.inbound.timestamps_replaced += 1;
        }
        self.hand_on(conn, user, &envelope, out)
    }

    pub(super) fn hand_on(
        &mut self,
        conn: ConnId,
        user: UserRef,
        envelope: &Envelope<'_>,
        out: &mut Effects,
    ) -> Outcome {
        self.stats.inbound.routed += 1;
        if envelope.jsonrpc.is_some()
            && let Some(kind) = self.handlers.json_rpc_kind(envelope)
        {
            self.stats.count_kind(kind);
            return self.handle_message(Message { conn, user, kind, envelope: &envelope.whole() }, out);
        }
        let name = envelope.kind.and_then(Raw::text);
        match name.as_deref().and_then(|name| self.handlers.kind(name)) {
            Some(kind) => {
                self.stats.count_kind(kind);
                self.handle_message(Message { conn, user, kind, envelope }, out)
            }
            None => {
                self.stats.inbound.unknown += 1;
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

    pub(super) fn refuse_frame(
        &mut self,
        conn: ConnId,
        user: UserRef,
        fault: &Fault,
        out: &mut Effects,
    ) -> Outcome {
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

    pub(super) fn reject_size(&mut self, conn: ConnId, out: &mut Effects) -> Outcome {
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
}
