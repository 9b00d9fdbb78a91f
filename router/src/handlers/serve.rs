//! The registry's face: registering, looking up, statistics; and one message through a custom handler.

use alloc::{
    borrow::Cow,
    boxed::Box,
    string::{String, ToString},
    vec::Vec,
};

use super::{
    BuiltIn, Figures, Found, Handler, HandlerFault, HandlerId, HandlerStats, Incoming, KindSet, LaterReplies,
    Message, PendingMessage, Readiness, ReadyStatus, RegisterError, Replies,
    registry::{Entry, kept},
};
use crate::{
    contract::{ConnId, Effects, Frame, Instant},
    error::ErrorCode,
    message::{Kind, Raw},
    router::Router,
    stats::Outcome,
};

impl Router {
    /// Registers a handler behind the others of its host. Among custom handlers the first registered takes a
    /// message, a catch-all too; all of them come before the built-in ones. At most
    /// [`custom_handlers_max`](crate::Config::custom_handlers_max).
    pub fn add_handler(&mut self, handler: Box<dyn Handler>) -> Result<HandlerId, RegisterError> {
        self.handlers.registry.insert(None, handler, None, self.config.custom_handlers_max)
    }

    /// Registers a handler before the one at `index` of the custom handlers that are bound to no connection. A negative index counts from the end;
    /// one beyond either end means that end.
    pub fn insert_handler(
        &mut self,
        index: i64,
        handler: Box<dyn Handler>,
    ) -> Result<HandlerId, RegisterError> {
        self.handlers.registry.insert(Some(index), handler, None, self.config.custom_handlers_max)
    }

    /// Registers a handler for the messages of one connection. It is asked before all others, gets nobody else's
    /// messages, and goes when the connection goes.
    pub fn bind_handler(
        &mut self,
        conn: ConnId,
        handler: Box<dyn Handler>,
    ) -> Result<HandlerId, RegisterError> {
        if self.audience.conn(conn).is_none() {
            return Err(RegisterError::NoConnection);
        }
        self.handlers.registry.insert(None, handler, Some(conn), self.config.custom_handlers_max)
    }

    /// Takes a registration away; `false` when there is none.
    pub fn remove_handler(&mut self, id: HandlerId) -> bool {
        let entry = self.handlers.registry.remove(id);
        self.handlers.retired += entry.as_ref().map_or(0, |entry| entry.counts.total());
        entry.is_some()
    }

    /// Switches a built-in handler of this router on or off; `false` when it was so already.
    pub fn set_built_in(&mut self, built_in: BuiltIn, on: bool) -> bool {
        let before = self.handlers.registry.built_ins;
        let after = if on { before.with(built_in) } else { before.without(built_in) };
        self.handlers.registry.built_ins = after;
        before != after
    }

    /// All handlers in the order in which they are asked: registrations (`None` for a built-in one) and names.
    pub fn handler_order(&self) -> impl Iterator<Item = (Option<HandlerId>, &str)> {
        self.handlers.registry.names()
    }

    /// Who is first in line for a type. Handlers bound to one connection are left out.
    pub fn find_handler(&self, kind: Kind) -> Option<Found<'_>> {
        self.handlers.registry.find(kind)
    }

    /// Statistics of every handler, in the same order. A copy: it does not change behind its reader.
    pub fn handler_stats(&self) -> Vec<HandlerStats> {
        let handlers = &self.handlers;
        let custom = handlers.registry.entries().map(|entry| HandlerStats {
            id: Some(entry.id),
            name: entry.name.to_string(),
            counts: entry.counts,
            last_failure: entry.last_failure.as_ref().map(|cause| cause.to_string()),
            figures: entry
                .handler
                .as_ref()
                .and_then(|handler| handler.figures())
                .map_or(Figures::None, Figures::Own),
        });
        let built_in = handlers.registry.built_ins.iter().map(|built_in| HandlerStats {
            id: None,
            name: String::from(built_in.name()),
            counts: *handlers.counts.of(built_in),
            last_failure: None,
            figures: self.figures(built_in),
        });
        custom.chain(built_in).collect()
    }

    /// A built-in handler's own figures.
    pub fn figures(&self, built_in: BuiltIn) -> Figures {
        match built_in {
            BuiltIn::UserMessage => Figures::UserMessage(self.handlers.user_message),
            BuiltIn::JsonRpc => Figures::JsonRpc(self.handlers.json_rpc),
            BuiltIn::Error => Figures::Error(self.handlers.errors.clone()),
            BuiltIn::Batch => Figures::Batch(self.handlers.batches.figures()),
            BuiltIn::Connection
            | BuiltIn::Typing
            | BuiltIn::Heartbeat
            | BuiltIn::AgentMessage
            | BuiltIn::AgentRequest
            | BuiltIn::Chat
            | BuiltIn::Stop
            | BuiltIn::Recovery
            | BuiltIn::Subscription
            | BuiltIn::Quality
            | BuiltIn::EndToEnd => Figures::None,
        }
    }

    /// Answers that custom handlers gave for later.
    pub const fn later_replies(&self) -> LaterReplies {
        self.handlers.later.counts
    }

    /// Messages that wait for their batch, in the order of users and arrival.
    pub fn pending_batches(&self) -> impl Iterator<Item = PendingMessage<'_>> {
        self.handlers.batches.pending(&self.audience)
    }

    /// Whether the handlers are there that this router must have.
    pub fn readiness(&self, now: Instant) -> Readiness {
        let now = self.now.max(now);
        let elapsed_us = self.handlers.started.map_or(0, |started| now.since(started));
        let grace_us = self.config.ready_grace_us;
        let served = self.handlers.registry.served().fold(KindSet::NONE, KindSet::with);
        let missing: Vec<Kind> = self.handlers.critical.without(served).iter().collect();
        let status = if elapsed_us < grace_us {
            ReadyStatus::Initializing
        } else if missing.is_empty() {
            ReadyStatus::Ready
        } else {
            ReadyStatus::Error
        };
        let handlers = self.handlers.registry.names().count();
        Readiness { status, handlers, missing, elapsed_us, grace_us }
    }

    /// Whether a connection is served or being set up: neither gone nor being closed.
    pub fn is_open(&self, conn: ConnId) -> bool {
        self.audience.conn(conn).is_some_and(|conn| conn.is_live())
    }

    /// One message through the custom handlers; `None` when none of them wants it.
    pub(super) fn custom(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Option<Outcome> {
        self.handlers.registry.nth(message.kind, message.conn, 0)?;
        let user = self.audience.user(message.user).id.clone();
        let incoming =
            Incoming { kind: message.kind, user: &user, now: self.now, envelope: message.envelope };
        let mut n = 0;
        let (at, mut handler) = loop {
            let at = self.handlers.registry.nth(message.kind, message.conn, n)?;
            n += 1;
            let entry = self.handlers.registry.entry_mut(at)?;
            match entry.handler.as_ref()?.wants(&incoming) {
                Ok(true) => break (at, entry.handler.take()?),
                Ok(false) => {}
                Err(fault) => note_failure(entry, &fault, |counts| counts.skipped += 1),
            }
        };
        let mut list = core::mem::take(&mut self.handlers.replies);
        let mut replies = Replies {
            list: &mut list,
            now: self.now,
            count_max: self.config.handler_replies_max as usize,
            bytes_max: self.config.outbound_frame_bytes_max as usize,
        };
        let result = handler.handle(&incoming, &mut replies);
        if let Some(entry) = self.handlers.registry.entry_mut(at) {
            entry.handler = Some(handler);
        }
        for reply in list.drain(..) {
            let frame = Frame::copy_of(&reply.json);
            self.stats.frames.encoded += 1;
            if reply.after_us == 0 {
                self.reply(message.conn, frame, out);
            } else {
                self.send_later(message.conn, reply.after_us, frame);
            }
        }
        self.handlers.replies = list;
        let outcome = match &result {
            Ok(()) => Outcome::Handled,
            Err(fault) => self.answer_fault(message, fault, out),
        };
        if let Some(entry) = self.handlers.registry.entry_mut(at) {
            entry.counts.count(outcome);
            if let Err(fault) = &result {
                note_failure(entry, fault, |_| {});
            }
        }
        Some(outcome)
    }

    /// Tells the sender that a custom handler did not take the message; nobody else is asked.
    fn answer_fault(&mut self, message: Message<'_, '_>, fault: &HandlerFault, out: &mut Effects) -> Outcome {
        match fault {
            HandlerFault::Refused { path, expected } => {
                self.bad_field(message, wire_path(path), expected, out)
            }
            HandlerFault::Failed { .. } => {
                if !self.json_rpc_failed(message, out) {
                    let id = message.envelope.message_id.and_then(Raw::text).filter(|id| id.len() <= 128);
                    let id: Option<Cow<'_, str>> = id;
                    self.answer_error(message.conn, ErrorCode::HandlerError, None, None, id.as_deref(), out);
                }
                Outcome::HandlerError
            }
        }
    }

    /// The connection is gone, and with it what was bound to it and what waited for it.
    pub(crate) fn release_handlers(&mut self, conn: ConnId) {
        self.handlers.later.release(conn);
        self.handlers.retired += self.handlers.registry.unbind(conn);
    }

    /// Recounts what handlers claim; see [`verify`](Self::verify).
    pub(crate) fn verify_handlers(&self) -> Result<(), String> {
        let handlers = &self.handlers;
        let custom: u64 = handlers.registry.entries().map(|entry| entry.counts.total()).sum();
        let taken = custom + handlers.counts.total() + handlers.retired + handlers.unowned;
        let inbound = &self.stats.inbound;
        let batches = handlers.batches.figures();
        let later = &handlers.later.counts;
        let sums = [
            ("messages of handlers", inbound.routed - inbound.unknown, taken),
            ("batched messages", batches.queued, batches.batched + batches.dropped + batches.pending),
            ("answers for later", later.offered, later.sent + later.dropped + later.waiting),
            ("answers waiting", later.waiting, handlers.later.len() as u64),
            ("messages waiting for a batch", batches.pending, handlers.batches.count()),
        ];
        match sums.into_iter().find(|(_, claimed, counted)| claimed != counted) {
            Some((what, claimed, counted)) => {
                Err(alloc::format!("{what}: counter says {claimed}, there are {counted}"))
            }
            None => Ok(()),
        }
    }
}

/// The end of a path that fits into an error frame.
fn wire_path(path: &str) -> &str {
    crate::wire::cut(path, 256)
}

fn note_failure(entry: &mut Entry, fault: &HandlerFault, count: impl FnOnce(&mut super::Counts)) {
    if let HandlerFault::Failed { cause } = fault {
        entry.last_failure = Some(kept(cause));
    }
    count(&mut entry.counts);
}
