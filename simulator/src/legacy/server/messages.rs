//! The message router's model behind the receive loops: types, handlers, replies.
//!
//! What a client may say besides the old types is [`routing`](super::routing)'s own. The model's canned agent has a real
//! one in its place: a request to it is answered here only when it fails.

use std::collections::BTreeMap;

use router::{ConnId, Instant, UserId};

use super::common::{Common, Outcome};
use super::endpoint::Mode;
use crate::checkers::bounds::Breach;
use crate::legacy::{
    Hazards,
    message_router::{
        self as model, AgentMessage, Bridge, Conn, Frame, Look, MessageRouter, Owner, Progress, SendFault,
        Sockets, State,
    },
    message_types::MessageType,
    python::{Value, json},
};

/// Types that a connection's own handler takes; requests go to the built-in agent handler.
const CHAT: [MessageType; 2] = [MessageType::UserMessage, MessageType::Chat];

/// What became of a message.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) outcome: Outcome,
    pub(super) replies: Vec<String>,
    pub(super) ask: Option<model::Ask>,
}

/// The one router of the process.
#[derive(Debug)]
pub(super) struct Messages {
    hazards: Hazards,
    router: MessageRouter,
    /// Messages by user, counted beside the router's own figures.
    sent: BTreeMap<UserId, u64>,
}

impl Messages {
    pub(super) fn new(hazards: Hazards) -> Self {
        Self { hazards, router: MessageRouter::new(hazards, 0), sent: BTreeMap::new() }
    }

    /// A connection was accepted: its handler is registered, a bridge, or in one mode the agent's own.
    pub(super) fn connected(&mut self, conn: ConnId, user: &UserId, mode: Mode) {
        let owner = Owner { user: (**user).to_owned(), conn: number(conn) };
        if mode == Mode::Isolated {
            self.router.add_owned(owner, Box::new(AgentMessage::of(&CHAT, self.hazards)));
        } else {
            let bridge = Bridge::of(user, &CHAT, self.hazards);
            self.router.add_owned(owner, Box::new(bridge));
        }
    }

    /// A connection is gone.
    pub(super) fn disconnected(&mut self, conn: ConnId) {
        self.router.connection_closed(number(conn));
    }

    /// A user is gone for good.
    pub(super) fn forget(&mut self, user: &UserId) {
        self.router.user_gone(user);
        self.sent.remove(user);
    }

    /// Handlers of connections, and whatever is kept by user.
    pub(super) fn kept(&self) -> u64 {
        let custom = self.router.handlers().count() - model::BuiltIn::REGISTERED.len();
        (custom + self.router.entries() + self.sent.len()) as u64
    }

    /// Routes a message of a user.
    pub(super) fn route(
        &mut self,
        common: &mut Common,
        conn: ConnId,
        user: &UserId,
        raw: &mut Value,
    ) -> Heard {
        let mut desk = Desk { conn: number(conn), frames: Vec::new() };
        let now_us = common.now.as_micros();
        let sender = Value::from(&**user);
        let routed = self.router.route(now_us, &mut desk, number(conn), &sender, raw);
        let outcome = match routed.progress {
            Progress::Ended(ended) => match ended.outcome {
                model::Outcome::Handled => Outcome::Handled,
                model::Outcome::Unhandled => Outcome::Unhandled,
                model::Outcome::HandlerError => Outcome::HandlerError,
                model::Outcome::Rejected => Outcome::Rejected,
            },
            // It goes on without the loop, and has no more to say here.
            Progress::Waits(_) => Outcome::Handled,
        };
        *self.sent.entry(user.clone()).or_default() += 1;
        self.audit(common, user);
        Heard { outcome, replies: desk.frames, ask: routed.ask }
    }

    /// H25: a user's figures show what others do.
    fn audit(&self, common: &mut Common, user: &UserId) {
        let counters = self.router.counters_of(user);
        let sent = self.sent.get(user).copied().unwrap_or_default();
        if counters.routed > sent {
            common.accounts.breach(|| Breach {
                rule: "iso.figures",
                user: Some((**user).to_owned()),
                run: None,
                event: None,
                detail: format!("{} messages in the figures of a user who sent {sent}", counters.routed),
            });
        }
    }
}

/// The number of a connection in the model.
fn number(conn: ConnId) -> Conn {
    (u64::from(conn.generation()) << 32) | conn.index() as u64
}

/// The socket of the connection that is read: it is open, and what is sent to it is kept for the next stage.
struct Desk {
    conn: Conn,
    frames: Vec<String>,
}

impl Sockets for Desk {
    fn look(&self, _conn: Conn) -> Option<Look> {
        Some(Look::of(State::Connected))
    }

    fn send(&mut self, conn: Conn, _now_us: u64, frame: Frame) -> Result<(), SendFault> {
        if conn == self.conn {
            self.frames.push(frame.text());
        }
        Ok(())
    }

    fn of_user(&self, _user: &Value) -> Vec<Conn> {
        Vec::new()
    }
}

/// The message of a frame as the model takes it; nothing if it is no JSON to it.
pub(super) fn read(text: &str) -> Option<Value> {
    json::loads(text).ok()
}

/// The answer of a mode other than the main one, if it can be built (H28).
pub(super) fn can_answer(mode: Mode, now: Instant, hazards: Hazards) -> bool {
    let mode = match mode {
        Mode::Main => model::main_loop::Mode::Main,
        Mode::Factory => model::main_loop::Mode::Factory,
        Mode::Isolated => model::main_loop::Mode::Isolated,
    };
    model::main_loop::answer(mode, now.as_micros() as f64 / 1e6, hazards).is_some()
}
