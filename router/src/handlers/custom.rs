//! What a custom handler sees and can do: one message of one user, and answers to its sender.
//!
//! A handler belongs to the host; it is lent the message for one call. Nothing it is given can name another user:
//! [`Replies`] has no recipient, and the router sends what is in it to the connection the message came from.

use alloc::{borrow::Cow, boxed::Box, format, string::String, vec::Vec};
use core::fmt;

use super::KindSet;
use crate::{
    contract::Instant,
    error::ErrorCode,
    message::{Envelope, Kind, Raw},
};

/// A handler of the host's own.
///
/// It runs inside the router's one thread, so it must not wait: an answer that takes time is given with
/// [`Replies::send_after`].
pub trait Handler: fmt::Debug + Send {
    /// The name in statistics. Two handlers may share it: they are told apart by their registration.
    fn name(&self) -> &str;

    /// The types it takes; asked once, when it is registered. [`KindSet::ALL`] makes it a catch-all.
    fn accepts(&self) -> KindSet;

    /// Whether it wants this very message; asked before [`handle`](Self::handle). A handler that fails here is
    /// passed over, and so is one that answers `false`: the next one registered for the type is asked.
    fn wants(&self, incoming: &Incoming<'_>) -> Result<bool, HandlerFault> {
        let _ = incoming;
        Ok(true)
    }

    /// Takes the message. What is in `replies` reaches its sender, also when the answer is an error.
    fn handle(&mut self, incoming: &Incoming<'_>, replies: &mut Replies<'_>) -> Result<(), HandlerFault>;

    /// Figures of its own for the statistics: a JSON object.
    fn figures(&self) -> Option<String> {
        None
    }
}

/// Why a handler did not take a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HandlerFault {
    /// It failed. The sender is told `HANDLER_ERROR`; the cause is for the statistics only.
    Failed {
        /// What went wrong; never shown to a client.
        cause: String,
    },
    /// The message is not good enough. The sender is told `BAD_FIELD` and where.
    Refused {
        /// Path of the member, e.g. `payload.priority`; empty for the message as a whole.
        path: String,
        /// What was expected there.
        expected: &'static str,
    },
}

impl HandlerFault {
    /// A failure with its cause.
    pub fn failed(cause: impl Into<String>) -> Self {
        Self::Failed { cause: cause.into() }
    }
}

/// A checked message, lent to a custom handler.
#[derive(Debug)]
pub struct Incoming<'a> {
    pub(super) kind: Kind,
    pub(super) user: &'a str,
    pub(super) now: Instant,
    pub(super) envelope: &'a Envelope<'a>,
}

impl<'a> Incoming<'a> {
    /// Its type, after aliases.
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// The authenticated sender: the only user id a handler ever gets.
    pub const fn user(&self) -> &'a str {
        self.user
    }

    /// When it arrived.
    pub const fn arrived(&self) -> Instant {
        self.now
    }

    /// The sender's timestamp if it can be trusted, else the time of arrival.
    pub fn sent_at(&self) -> Instant {
        self.envelope.sent_at().unwrap_or(self.now)
    }

    /// The payload, a JSON object; the whole message when it has no `payload`, or is JSON-RPC.
    pub fn payload(&self) -> &'a str {
        self.envelope.payload().json()
    }

    /// A member of the payload.
    pub fn member(&self, name: &str) -> Option<Raw<'a>> {
        self.envelope.payload().find(name)
    }

    /// The client's id of the message.
    pub fn message_id(&self) -> Option<Cow<'a, str>> {
        self.envelope.message_id.and_then(Raw::text)
    }

    /// The conversation: the envelope's, else the payload's.
    pub fn thread_id(&self) -> Option<Cow<'a, str>> {
        self.id(self.envelope.thread_id, "thread_id")
    }

    /// The run: the envelope's, else the payload's.
    pub fn run_id(&self) -> Option<Cow<'a, str>> {
        self.id(self.envelope.run_id, "run_id")
    }

    fn id(&self, envelope: Option<Raw<'a>>, name: &str) -> Option<Cow<'a, str>> {
        let stated = envelope.and_then(Raw::text).filter(|id| !id.is_empty());
        stated.or_else(|| self.envelope.payload().text(name))
    }
}

/// One answer, and how long after the message it is given.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) after_us: u64,
    pub(super) json: Box<str>,
}

/// Answers to the sender of one message, at most
/// [`handler_replies_max`](crate::Config::handler_replies_max) of them. There is no way to name a recipient.
#[derive(Debug)]
pub struct Replies<'r> {
    pub(super) list: &'r mut Vec<Reply>,
    pub(super) now: Instant,
    pub(super) count_max: usize,
    pub(super) bytes_max: usize,
}

/// An answer that was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyError {
    /// A frame is one JSON object.
    NotAnObject,
    /// More bytes than a frame may have.
    TooLarge,
    /// More answers than one message may have.
    TooMany,
    /// An error's code and text are not blank.
    Blank,
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReplyError::NotAnObject => "a frame is one JSON object",
            ReplyError::TooLarge => "the frame is too large",
            ReplyError::TooMany => "too many answers to one message",
            ReplyError::Blank => "an error's code and text are not blank",
        })
    }
}

impl core::error::Error for ReplyError {}

impl Replies<'_> {
    /// Answers with a JSON object.
    pub fn send(&mut self, json: &str) -> Result<(), ReplyError> {
        self.send_after(0, json)
    }

    /// Answers with a JSON object in `after_us` microseconds; on a router's timer, so nothing waits for it. An
    /// answer is dropped when its connection is gone by then.
    pub fn send_after(&mut self, after_us: u64, json: &str) -> Result<(), ReplyError> {
        if self.list.len() >= self.count_max {
            return Err(ReplyError::TooMany);
        }
        self.check(json)?;
        self.list.push(Reply { after_us, json: json.into() });
        Ok(())
    }

    /// Answers with a server message; `data` is a JSON object.
    pub fn server_message(&mut self, kind: &str, data: &str) -> Result<(), ReplyError> {
        self.check(data)?;
        let (kind, seconds) = (quoted(kind), self.seconds());
        self.send(&format!(
            "{{\"type\":{kind},\"data\":{data},\"timestamp\":{seconds},\"server_id\":null,\"correlation_id\":null}}"
        ))
    }

    /// Answers with an error frame of the handler's own code and text, neither of them blank; `details` is a JSON
    /// object.
    pub fn error(&mut self, code: &str, text: &str, details: &str) -> Result<(), ReplyError> {
        if code.trim().is_empty() || text.trim().is_empty() {
            return Err(ReplyError::Blank);
        }
        self.check(details)?;
        let (code, text, seconds) = (quoted(code), quoted(text), self.seconds());
        self.send(&format!(
            "{{\"type\":\"error_message\",\"error_code\":{code},\"error_message\":{text},\"details\":{details},\"timestamp\":{seconds},\"recovery_suggestions\":[]}}"
        ))
    }

    /// Answers with the error frame of one of the router's own codes.
    pub fn refuse(&mut self, code: ErrorCode) -> Result<(), ReplyError> {
        self.error(code.name(), code.text(), "{}")
    }

    fn check(&self, json: &str) -> Result<(), ReplyError> {
        if json.len() > self.bytes_max {
            return Err(ReplyError::TooLarge);
        }
        let object = json.trim_start().starts_with('{');
        if !object || serde_json::from_str::<serde::de::IgnoredAny>(json).is_err() {
            return Err(ReplyError::NotAnObject);
        }
        Ok(())
    }

    fn seconds(&self) -> String {
        let micros = self.now.as_micros();
        format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    }
}

fn quoted(text: &str) -> String {
    let mut writer = crate::wire::Writer::default();
    writer.begin();
    writer.string(text);
    writer.finish().into()
}
