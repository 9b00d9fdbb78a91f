//! Connection, heartbeat, typing, acknowledgement, resume, subscription.

use alloc::{borrow::Cow, string::String};

use super::Message;
use crate::{
    audience::CURSOR_MAX,
    contract::Effects,
    error::ErrorCode,
    message::{Fault, Kind, Raw},
    router::Router,
    stats::Outcome,
    wire::{self, ServerData},
};

/// Longest thread id, in bytes.
pub(crate) const THREAD_BYTES_MAX: usize = 256;
/// Threads one connection can be restricted to.
const TOPICS_MAX: usize = 16;

impl Router {
    pub(super) fn control(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let Message { conn, user, kind, .. } = message;
        if matches!(kind, Kind::Pong | Kind::HeartbeatAck) {
            return Outcome::Handled;
        }
        let id = &self.audience.user(user).id;
        let data = if kind == Kind::Ping {
            ServerData::Pong { user: id }
        } else if kind == Kind::Heartbeat {
            ServerData::HeartbeatAck
        } else if matches!(kind, Kind::Connect | Kind::Disconnect) {
            ServerData::Connection { connected: kind == Kind::Connect, user: id }
        } else {
            let named = message.envelope.thread_id.filter(|raw| raw.json() != "\"\"");
            ServerData::Typing { kind, user: id, thread: named.or(message.payload().find("thread_id")) }
        };
        // In place of `encode`, which would need the user's id to be shared.
        self.stats.frames.encoded += 1;
        let frame = wire::server_message(&mut self.writer, self.now, data);
        if kind == Kind::Ping && mutant!(self.config, AnswerTwice) {
            self.reply(conn, frame.clone(), out);
        }
        self.reply(conn, frame, out);
        Outcome::Handled
    }

    /// Agents' messages that arrive from a client: acknowledged, no more.
    pub(super) fn acknowledge_agent(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let id = self.audience.user(message.user).id.clone();
        let frame = self.encode(ServerData::AgentAcknowledged { kind: message.kind, user: &id });
        self.reply(message.conn, frame, out);
        Outcome::Handled
    }

    /// A recognised type that nothing here owns: said so, counted unhandled.
    pub(super) fn unowned(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        if message.kind.starts_run() {
            let id = message.envelope.message_id.and_then(Raw::text).filter(|id| id.len() <= 128);
            self.answer_error(message.conn, ErrorCode::AgentUnavailable, None, None, id.as_deref(), out);
            return Outcome::Unhandled;
        }
        let id = &self.audience.user(message.user).id;
        let frame = wire::ack(&mut self.writer, self.now, message.kind.name(), id);
        self.stats.frames.encoded += 1;
        self.reply(message.conn, frame, out);
        Outcome::Unhandled
    }

    pub(super) fn confirm(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let payload = message.payload();
        let cursor = payload.find("cursor").and_then(Raw::integer);
        let run = message.envelope.run_id.or(payload.find("run_id")).and_then(Raw::text);
        let run = run.and_then(|run| self.event_key(&run));
        let seq = payload.find("seq").and_then(Raw::integer);
        let event = payload.text("event_id").and_then(|id| self.event_named(&id)).or(run.zip(seq));
        if payload.text("status").as_deref() == Some("failed") {
            // The client could not use it: not acknowledged, so that it is replayed when the client resumes below it.
            self.stats.events.confirmations_failed += 1;
            return Outcome::Handled;
        }
        self.stats.events.confirmations += 1;
        self.in_flow(message.conn, out, |audience, owner, member, flow| {
            let named = event.and_then(|(run, seq)| audience.cursor_in_run(owner.user(), run, seq));
            if let Some(cursor) = cursor.or(named) {
                audience.confirm(owner, member, cursor, flow);
            }
        });
        Outcome::Handled
    }

    pub(super) fn resume(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        let cursor = message.payload().find("cursor").and_then(Raw::integer);
        let Some(cursor) = cursor.filter(|cursor| *cursor <= CURSOR_MAX) else {
            return self.bad_field(message, "cursor", "a whole number up to 2^53", out);
        };
        if self.refuse_without_store(message.conn, None, out) {
            return Outcome::Rejected;
        }
        let frame = wire::resumed(&mut self.writer, self.now, cursor);
        self.stats.frames.encoded += 1;
        self.reply(message.conn, frame, out);
        if self.cluster.is_some() {
            self.resume_from_log(message.conn, cursor, out);
            return Outcome::Handled;
        }
        self.in_flow(message.conn, out, |audience, owner, member, flow| {
            audience.resume(owner, member, cursor, flow);
        });
        Outcome::Handled
    }

    pub(super) fn subscribe(&mut self, message: Message<'_, '_>, on: bool, out: &mut Effects) -> Outcome {
        let topic = message.payload().text("topic");
        if self.config.quality_enabled && topic.as_deref() == Some(crate::quality::TOPIC) {
            if let Err(outcome) = self.set_subscription(message, on, out) {
                return outcome;
            }
            let frame = wire::subscription(&mut self.writer, self.now, on, crate::quality::TOPIC);
            self.stats.frames.encoded += 1;
            self.reply(message.conn, frame, out);
            return Outcome::Handled;
        }
        let thread = topic.as_deref().and_then(|topic| topic.strip_prefix("thread:"));
        let Some(thread) = thread.filter(|thread| (1..=THREAD_BYTES_MAX).contains(&thread.len())) else {
            return self.bad_field(message, "topic", "thread:ID or quality", out);
        };
        if !self.audience.user(message.user).may_use_thread(thread) {
            return self.reject(message.conn, ErrorCode::ForeignThread, None, None, None, out);
        }
        let taken = self.in_flow(message.conn, out, |audience, owner, member, flow| {
            audience.restrict(owner, member, thread, on, TOPICS_MAX, flow)
        });
        if taken == Some(false) {
            let limit = Some(TOPICS_MAX as u64);
            return self.reject(message.conn, ErrorCode::Overloaded, None, limit, None, out);
        }
        let topic = topic.unwrap_or(Cow::Borrowed(""));
        let frame = wire::subscription(&mut self.writer, self.now, on, &topic);
        self.stats.frames.encoded += 1;
        self.reply(message.conn, frame, out);
        Outcome::Handled
    }

    /// Refuses one member of the payload.
    pub(super) fn bad_field(
        &mut self,
        message: Message<'_, '_>,
        field: &str,
        expected: &'static str,
        out: &mut Effects,
    ) -> Outcome {
        let path = String::from(field);
        let fault = Fault { code: ErrorCode::BadField, offset: 0, path, expected };
        self.reject(message.conn, ErrorCode::BadField, Some(&fault), None, None, out)
    }
}
