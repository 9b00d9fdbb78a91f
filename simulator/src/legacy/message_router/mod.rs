//! The primary message router: nine built-in handlers, those of its host, four counters.
//!
//! A message is routed by [`MessageRouter::route`]; what a handler sends goes to the host's [`Sockets`] at once. A handler
//! that pauses leaves a task behind, which [`MessageRouter::wake`] takes up when its time has come; so do the timers of
//! batches. Nothing here has a clock: each call says what time it is, in microseconds.
//!
//! What is here follows the description of the router that was replaced, and its recordings. The switches act where it
//! went wrong; without them a message ends in exactly one of handled, unhandled, handler error and rejected, whoever sent
//! it hears of it under a stable code, and what is written is what the wire says.
//!
//! | switch | where |
//! |---|---|
//! | H1, H15, H22 | [`message`]: type, mutation of the caller's object, foreign user ids |
//! | H2 | the canned agent |
//! | H3, H4, H27 | [`registry`]: whose a handler is, and how long; removal of built-in ones |
//! | H5, H6 | [`Bridge`], [`AgentMessage`] |
//! | H7, H18, H20, H28 | [`main_loop`]: what comes ahead of the router |
//! | H8, H9 | here: silence, and loss that counts as success |
//! | H10, H11 | batches, error kinds, sockets that are kept |
//! | H12, H13, H23 | [`message`] and [`message_types`](super::message_types): times, echoes, JSON-RPC |
//! | H14 | every place where a type or a cause is written |
//! | H16, H17, H19, H30 | [`socket`] and replies: dead sockets, liveness, repeated sends, test doubles |
//! | H21 | [`identity`] |
//! | H24, H25, H26 | figures: names, one for all, readiness |
//! | H29 | [`message_types`](super::message_types) |
//!
//! One half of H10 has no switch: that a batch which cannot be built stays behind without a timer. Nothing that reaches
//! this model cannot be built.

pub mod custom;
mod figures;
mod handlers;
mod host;
pub mod identity;
pub mod main_loop;
pub mod message;
pub mod registry;
mod reply;
pub mod socket;
mod task;
#[cfg(test)]
mod tests;
mod work;

use std::collections::BTreeMap;

pub use self::{
    custom::{Handler, Reaction},
    figures::{Counters, Snapshot},
    handlers::{
        BuiltIn,
        agent_message::{AgentMessage, Ask, Bridge},
    },
    message::Message,
    registry::{Found, HandlerId, Owner},
    socket::{Conn, Frame, Look, SendFault, Sockets, State},
};
use self::{
    handlers::{BuiltIns, agent::BRIDGED},
    message::{Refused, Typed},
    registry::Registry,
    task::{Context, Resume, Step},
};
use super::{
    Hazard, Hazards,
    message_types::MessageType,
    python::{Raised, Value, heap::Heap},
};

/// How long a router may have no handlers, in seconds.
const GRACE_SECONDS: f64 = 10.0;
/// Types without which no router is ready, without H26.
const CRITICAL: [MessageType; 4] =
    [MessageType::Ping, MessageType::UserMessage, MessageType::Chat, MessageType::AgentRequest];

/// Something that waits for its time.
pub type TaskId = u64;

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A handler had it.
    Handled,
    /// Nobody had it.
    Unhandled,
    /// Its handler raised an exception.
    HandlerError,
    /// Nothing could be made of it.
    Rejected,
}

/// The end of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// How it ended.
    pub outcome: Outcome,
    /// What the call returned: of a handler, whatever that returned.
    pub returned: Value,
}

/// How far a message, a call or a send came.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress<T> {
    /// It has ended.
    Ended(T),
    /// It goes on in this task.
    Waits(TaskId),
}

/// What came of a message so far.
#[derive(Clone, Debug, PartialEq)]
pub struct Routed {
    /// Whether it has ended.
    pub progress: Progress<Ended>,
    /// Whose handler has it, if it was registered for somebody.
    pub owner: Option<Owner>,
    /// What its handler asks an agent.
    pub ask: Option<Ask>,
}

/// A task that has ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Finished {
    /// A message.
    Message(Ended),
    /// A call of a built-in handler, or a send: what it returned or raised.
    Call(Result<Value, Raised>),
}

struct Waiting {
    id: TaskId,
    conn: Conn,
    user: Value,
    resume: Resume,
    routed: bool,
}

/// The router.
pub struct MessageRouter {
    hazards: Hazards,
    started_us: u64,
    grace: Value,
    /// How far the wall clock was set since the start, in microseconds.
    wall_us: i64,
    registry: Registry,
    built_ins: BuiltIns,
    counters: Counters,
    by_user: BTreeMap<String, Counters>,
    tasks: Heap<Waiting>,
    issued: u64,
}

impl std::fmt::Debug for MessageRouter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MessageRouter").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl MessageRouter {
    /// A fresh router, which starts now.
    pub fn new(hazards: Hazards, now_us: u64) -> Self {
        Self {
            hazards,
            started_us: now_us,
            grace: GRACE_SECONDS.into(),
            wall_us: 0,
            registry: Registry::new(),
            built_ins: BuiltIns::default(),
            counters: Counters::default(),
            by_user: BTreeMap::new(),
            tasks: Heap::default(),
            issued: 0,
        }
    }

    /// Routes what a connection of a user sent.
    pub fn route(
        &mut self,
        now_us: u64,
        sockets: &mut dyn Sockets,
        conn: Conn,
        user: &Value,
        raw: &mut Value,
    ) -> Routed {
        let mut cx = Context { now_us, sockets, conn, user, hazards: self.hazards };
        let message = match self.prepared(raw, &mut cx) {
            Ok(message) => message,
            Err(ended) => return Routed::ended(ended),
        };
        self.count(user, |counters, hazards| {
            counters.routed += 1;
            counters.count_type(message.kind, hazards);
        });
        let asker = Some(user);
        let (mut owner, mut ask) = (None, None);
        let step = match self.registry.find(message.kind, asker, self.hazards) {
            Some(Found::BuiltIn(which)) => self.built_ins.handle(which, &message, &mut cx),
            Some(Found::Custom(id)) => {
                owner = self.registry.owner(id).cloned();
                let Some(handler) = self.registry.handler(id) else {
                    return Routed::ended(self.unhandled(&message, &mut cx));
                };
                let reaction = handler.handle(user, &message);
                ask = reaction.ask;
                if reaction.after_us > 0 {
                    let resume = Resume::Custom { reply: reaction.reply, returns: reaction.returns };
                    Step::Pause(reaction.after_us, resume)
                } else {
                    task::custom(reaction.reply, reaction.returns, &mut cx)
                }
            }
            None => return Routed::ended(self.unhandled(&message, &mut cx)),
        };
        let progress = match step {
            Step::Done(result) => Progress::Ended(self.ended(result, &mut cx)),
            Step::Pause(after_us, resume) => {
                Progress::Waits(self.wait(now_us + after_us, conn, user, resume, true))
            }
        };
        Routed { progress, owner, ask }
    }

    /// The message that came in, or its end if there is none or nobody knows its type.
    fn prepared(&mut self, raw: &mut Value, cx: &mut Context<'_>) -> Result<Message, Ended> {
        match message::typed(raw, self.hazards) {
            Ok(Typed::Known) => {}
            Ok(Typed::Unknown(received)) => {
                self.count(cx.user, |counters, _| {
                    counters.routed += 1;
                    counters.unhandled += 1;
                });
                let delivered = reply::acknowledge(received, cx);
                return Err(Ended { outcome: Outcome::Unhandled, returned: delivered.into() });
            }
            Err(refused) => return Err(self.refused(&refused, cx)),
        }
        message::prepare(raw, cx.user, cx.now(), self.hazards).map_err(|refused| self.refused(&refused, cx))
    }

    /// H8: nobody hears of it, and it counts as an error of a handler.
    fn refused(&mut self, refused: &Refused, cx: &mut Context<'_>) -> Ended {
        if self.hazards.has(Hazard::H8) {
            self.count(cx.user, |counters, _| counters.handler_errors += 1);
            return Ended { outcome: Outcome::HandlerError, returned: false.into() };
        }
        self.count(cx.user, |counters, _| counters.rejected += 1);
        reply::refuse(refused.code, "the message was refused", &refused.path, cx);
        Ended { outcome: Outcome::Rejected, returned: false.into() }
    }

    /// H9: a message that nobody handled is a success, and its sender hears nothing.
    fn unhandled(&mut self, message: &Message, cx: &mut Context<'_>) -> Ended {
        self.count(cx.user, |counters, _| counters.unhandled += 1);
        if !self.hazards.has(Hazard::H9) {
            if BRIDGED.contains(&message.kind) {
                handlers::agent::unavailable(cx);
            } else {
                let _delivered = reply::acknowledge(message.kind.wire().into(), cx);
            }
        }
        Ended { outcome: Outcome::Unhandled, returned: self.hazards.has(Hazard::H9).into() }
    }

    /// A handler has ended. H8: nobody hears of its exception.
    fn ended(&mut self, result: Result<Value, Raised>, cx: &mut Context<'_>) -> Ended {
        match result {
            Ok(returned) => Ended { outcome: Outcome::Handled, returned },
            Err(_) => {
                self.count(cx.user, |counters, _| counters.handler_errors += 1);
                if !self.hazards.has(Hazard::H8) {
                    reply::refuse("HANDLER_ERROR", "the handler failed", "", cx);
                }
                Ended { outcome: Outcome::HandlerError, returned: false.into() }
            }
        }
    }

    /// H25: one figure for everybody; without it each user has figures of its own besides.
    fn count(&mut self, user: &Value, count: impl Fn(&mut Counters, Hazards)) {
        count(&mut self.counters, self.hazards);
        if let (Some(user), false) = (user.as_str(), self.hazards.has(Hazard::H25)) {
            count(self.by_user.entry(user.to_owned()).or_default(), self.hazards);
        }
    }
}

impl Routed {
    const fn ended(ended: Ended) -> Self {
        Self { progress: Progress::Ended(ended), owner: None, ask: None }
    }
}
