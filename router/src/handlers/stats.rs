//! What handlers have done, as plain values, and whether the router is ready.

use alloc::{
    boxed::Box,
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

use super::{BuiltIn, HandlerId};
use crate::{contract::Instant, message::Kind, stats::Outcome};

/// Messages of one handler by how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken.
    pub handled: u64,
    /// Given back: nobody could take them.
    pub unhandled: u64,
    /// Refused as not good enough.
    pub refused: u64,
    /// The handler failed.
    pub failed: u64,
    /// Times its question whether it wants a message failed; another handler was asked.
    pub skipped: u64,
}

impl Counts {
    pub(super) fn count(&mut self, outcome: Outcome) {
        let slot = match outcome {
            Outcome::Handled => &mut self.handled,
            Outcome::Unhandled => &mut self.unhandled,
            Outcome::HandlerError => &mut self.failed,
            Outcome::Rejected => &mut self.refused,
        };
        *slot += 1;
    }

    /// Messages that ended here.
    pub const fn total(&self) -> u64 {
        self.handled + self.unhandled + self.refused + self.failed
    }
}

/// Statistics of one handler. Two of the same name stay two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandlerStats {
    /// Its registration; `None` for a built-in handler.
    pub id: Option<HandlerId>,
    /// Its name.
    pub name: String,
    /// What became of its messages.
    pub counts: Counts,
    /// Cause of its last failure, cut to 256 bytes; for operators, never for clients.
    pub last_failure: Option<String>,
    /// Its own figures.
    pub figures: Figures,
}

/// A handler's own figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Figures {
    /// It has none.
    None,
    /// Of [`BuiltIn::UserMessage`].
    UserMessage(UserMessageFigures),
    /// Of [`BuiltIn::JsonRpc`].
    JsonRpc(JsonRpcFigures),
    /// Of [`BuiltIn::Error`].
    Error(ErrorFigures),
    /// Of [`BuiltIn::Batch`].
    Batch(BatchFigures),
    /// A custom handler's: a JSON object.
    Own(String),
}

/// Figures of the handler of clients' reports about conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserMessageFigures {
    /// Messages that came.
    pub processed: u64,
    /// Of those, refused for their content.
    pub errors: u64,
    /// When the last one came.
    pub last_at: Option<Instant>,
}

/// Figures of JSON-RPC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonRpcFigures {
    /// Requests, with or without an id.
    pub requests: u64,
    /// Responses of clients.
    pub responses: u64,
    /// Messages of the type `jsonrpc_notification`.
    pub notifications: u64,
    /// Answered with a JSON-RPC error.
    pub errors: u64,
}

/// Figures of the errors that clients report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFigures {
    /// Reports that came.
    pub total: u64,
    /// Reports by code, at most [`error_codes_max`](crate::Config::error_codes_max) codes.
    pub by_code: BTreeMap<Box<str>, u64>,
    /// Reports with a code for which there was no room.
    pub other_codes: u64,
    /// When the last one came.
    pub last_at: Option<Instant>,
}

/// Figures of batching. `queued = batched + dropped + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchFigures {
    /// Messages taken in.
    pub queued: u64,
    /// Batches that went out.
    pub batches: u64,
    /// Messages in them.
    pub batched: u64,
    /// Frames that carried them, to the user's other connections.
    pub frames: u64,
    /// Messages given up because their user was gone.
    pub dropped: u64,
    /// Messages waiting (a level).
    pub pending: u64,
    /// Users whose messages wait for the timer (a level).
    pub timers: u64,
}

/// Answers that custom handlers gave for later. `offered = sent + dropped + waiting`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LaterReplies {
    /// Given.
    pub offered: u64,
    /// Sent when their time came.
    pub sent: u64,
    /// Given up: their connection was gone, or had too many waiting.
    pub dropped: u64,
    /// Waiting for their time (a level).
    pub waiting: u64,
}

/// Whether the router has the handlers it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ReadyStatus {
    /// Within the grace period.
    Initializing,
    /// The grace period is over and every critical type has a handler.
    Ready,
    /// The grace period is over and one has none.
    Error,
}

impl ReadyStatus {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            ReadyStatus::Initializing => "initializing",
            ReadyStatus::Ready => "ready",
            ReadyStatus::Error => "error",
        }
    }
}

/// Where the router stands with its handlers. [`Display`](fmt::Display) is a sentence about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// The verdict.
    pub status: ReadyStatus,
    /// How many handlers there are.
    pub handlers: usize,
    /// Critical types without a handler.
    pub missing: Vec<Kind>,
    /// Time since the router's first input, in microseconds.
    pub elapsed_us: u64,
    /// The grace period, in microseconds.
    pub grace_us: u64,
}

impl fmt::Display for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed_us as f64 / 1e6;
        let grace = format!("{:?}s grace period", self.grace_us as f64 / 1e6);
        match (self.status, self.handlers) {
            (ReadyStatus::Initializing, 0) => write!(f, "Startup in progress ({seconds:.1}s of {grace})"),
            (ReadyStatus::Initializing, _) => write!(f, "Handlers registered during startup ({seconds:.1}s)"),
            (ReadyStatus::Ready, handlers) => {
                write!(f, "Handler registration complete ({handlers} handlers)")
            }
            (ReadyStatus::Error, 0) => write!(f, "No handlers registered after {grace}"),
            (ReadyStatus::Error, _) => {
                let missing: Vec<String> = self.missing.iter().map(|kind| kind.name().to_string()).collect();
                write!(f, "No handler for {} after {grace}", missing.join(", "))
            }
        }
    }
}

/// Counts of the built-in handlers, one slot each.
#[derive(Clone, Debug, Default)]
pub(super) struct BuiltInCounts([Counts; BuiltIn::ALL.len()]);

impl BuiltInCounts {
    pub(super) fn of(&self, built_in: BuiltIn) -> &Counts {
        &self.0[built_in as usize]
    }

    #[inline]
    pub(super) fn count(&mut self, built_in: BuiltIn, outcome: Outcome) {
        self.0[built_in as usize].count(outcome);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.iter().map(Counts::total).sum()
    }
}
