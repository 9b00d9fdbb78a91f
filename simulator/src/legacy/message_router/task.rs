//! Work that a handler does: at once, or in steps with pauses between them.

use super::{
    handlers::{agent::Canned, end_to_end::Task as EndToEnd},
    reply::Retry,
    socket::{Conn, Frame, SendFault, Sockets},
};
use crate::legacy::{
    Hazards,
    python::{Raised, Value},
};

/// Microseconds in a second.
pub(super) const SECOND_US: u64 = 1_000_000;

/// Whom a handler works for, and with what.
pub(super) struct Context<'a> {
    pub(super) now_us: u64,
    pub(super) sockets: &'a mut dyn Sockets,
    pub(super) conn: Conn,
    /// The connection's user: a text, unless a recording says otherwise.
    pub(super) user: &'a Value,
    pub(super) hazards: Hazards,
}

impl Context<'_> {
    /// The clock, in seconds.
    pub(super) fn now(&self) -> f64 {
        self.now_us as f64 / SECOND_US as f64
    }

    /// Sends a frame.
    pub(super) fn send(&mut self, frame: Frame) -> Result<(), SendFault> {
        if self.sockets.look(self.conn).is_none() {
            let method = if matches!(frame, Frame::Json(_)) { "send_json" } else { "send_text" };
            return Err(Raised::no_attribute("NoneType", method).into());
        }
        self.sockets.send(self.conn, self.now_us, frame)
    }

    /// Sends a value.
    pub(super) fn send_json(&mut self, value: Value) -> Result<(), Raised> {
        self.send(Frame::Json(value)).map_err(|fault| fault.raised)
    }
}

/// How far a handler came.
#[derive(Debug)]
pub(super) enum Step {
    /// It has ended: what it returned or raised.
    Done(Result<Value, Raised>),
    /// It goes on after that many microseconds.
    Pause(u64, Resume),
}

impl Step {
    /// It returned whether all went well.
    pub(super) fn returned(well: bool) -> Self {
        Self::Done(Ok(well.into()))
    }
}

/// What a handler goes on with.
#[derive(Debug)]
pub(super) enum Resume {
    /// Another attempt to send.
    Retry(Retry),
    /// The next event of the canned agent.
    Canned(Box<Canned>),
    /// The next frame of the end-to-end handler.
    EndToEnd(EndToEnd),
    /// The reply of a handler of the host, and what it returns.
    Custom {
        /// What it sends.
        reply: Option<Value>,
        /// What it returns or raises.
        returns: Result<Value, Raised>,
    },
}

impl Resume {
    /// Goes on.
    pub(super) fn go_on(self, cx: &mut Context<'_>) -> Step {
        match self {
            Resume::Retry(retry) => retry.attempt(cx),
            Resume::Canned(canned) => canned.next(cx),
            Resume::EndToEnd(task) => task.next(cx),
            Resume::Custom { reply, returns } => custom(reply, returns, cx),
        }
    }
}

/// The end of a host's handler: a reply that cannot be sent is an exception of the handler.
pub(super) fn custom(reply: Option<Value>, returns: Result<Value, Raised>, cx: &mut Context<'_>) -> Step {
    match reply.map(|reply| cx.send_json(reply)) {
        Some(Err(raised)) => Step::Done(Err(raised)),
        Some(Ok(())) | None => Step::Done(returns),
    }
}
