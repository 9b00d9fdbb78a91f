//! Handlers: custom ones of the host ahead of the built-in ones.
//!
//! A table per type leads to the custom handlers; an exhaustive match leads to the built-in one, so that a new type
//! does not compile until somebody owns it. A type that nobody owns is acknowledged and counted unhandled.

mod agent;
mod batch;
mod chat;
mod control;
mod custom;
mod described;
mod end_to_end;
mod given;
mod json_rpc;
mod later;
mod profile;
mod quality;
mod registry;
mod report;
mod serve;
mod stats;

use alloc::vec::Vec;

pub(crate) use self::control::THREAD_BYTES_MAX;
pub(crate) use self::{agent::UNKNOWN_AGENT, batch::BatchKey};
pub use self::{
    batch::PendingMessage,
    custom::{Handler, HandlerFault, Incoming, Replies, ReplyError},
    described::{Described, DescriptionError, Then},
    profile::{BuiltIn, BuiltIns, KindSet, Profile},
    registry::{Found, HandlerId, RegisterError},
    stats::{
        BatchFigures, Counts, ErrorFigures, Figures, HandlerStats, JsonRpcFigures, LaterReplies, Readiness,
        ReadyStatus, UserMessageFigures,
    },
};

use crate::{
    audience::UserRef,
    contract::{ConnId, Effects, Instant},
    message::{Envelope, Fields, Kind},
    router::Router,
    stats::Outcome,
};

/// A checked message on its way to a handler. Ids live here and nowhere else: nothing is kept between messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a, 'e> {
    pub(crate) conn: ConnId,
    pub(crate) user: UserRef,
    pub(crate) kind: Kind,
    pub(crate) envelope: &'e Envelope<'a>,
}

impl<'a> Message<'a, '_> {
    pub(crate) const fn payload(&self) -> &Fields<'a> {
        self.envelope.payload()
    }
}

/// Everything that handlers keep between messages.
#[derive(Debug)]
pub(crate) struct Handlers {
    registry: registry::Registry,
    recognised: KindSet,
    critical: KindSet,
    counts: stats::BuiltInCounts,
    /// Messages of custom handlers that are no more.
    retired: u64,
    /// Messages of recognised types that nobody owns.
    unowned: u64,
    user_message: UserMessageFigures,
    json_rpc: JsonRpcFigures,
    errors: ErrorFigures,
    batches: batch::Batches,
    later: later::Later,
    /// When the router's clock began.
    started: Option<Instant>,
    /// Reused.
    replies: Vec<custom::Reply>,
}

impl Handlers {
    pub(crate) fn new(profile: &Profile) -> Self {
        Self {
            registry: registry::Registry::new(profile.built_ins),
            recognised: profile.recognised,
            critical: profile.critical,
            counts: stats::BuiltInCounts::default(),
            retired: 0,
            unowned: 0,
            user_message: UserMessageFigures::default(),
            json_rpc: JsonRpcFigures::default(),
            errors: ErrorFigures::default(),
            batches: batch::Batches::default(),
            later: later::Later::default(),
            started: None,
            replies: Vec::new(),
        }
    }

    /// The same, if no custom handler is registered.
    pub(crate) fn fork(&self) -> Option<Self> {
        Some(Self {
            registry: self.registry.fork()?,
            counts: self.counts.clone(),
            errors: self.errors.clone(),
            batches: self.batches.clone(),
            later: self.later.clone(),
            replies: Vec::new(),
            ..*self
        })
    }

    /// Notes the first reading of the clock.
    #[inline]
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.started.is_none() {
            self.started = Some(now);
        }
    }

    /// The handlers' part of [`Sizes`](crate::Sizes).
    pub(crate) fn sizes(&self) -> crate::Sizes {
        let (handlers, bound_connections) = self.registry.sizes();
        crate::Sizes {
            handlers,
            bound_connections,
            batches: self.batches.len(),
            later_replies: self.later.len(),
            error_codes: self.errors.by_code.len(),
            ..crate::Sizes::default()
        }
    }

    /// The kind of a JSON-RPC message, if this router recognises that.
    #[cold]
    pub(crate) fn json_rpc_kind(&self, envelope: &Envelope<'_>) -> Option<Kind> {
        json_rpc::kind_of(envelope).filter(|kind| self.recognised.contains(*kind))
    }

    /// The type behind a spelling, if this router recognises it.
    #[inline]
    pub(crate) fn kind(&self, name: &str) -> Option<Kind> {
        Kind::from_name(name).filter(|kind| self.recognised.contains(*kind))
    }
}

impl Router {
    /// A message of a recognised type: to the first custom handler that wants it, else to the built-in one.
    pub(crate) fn handle_message(&mut self, message: Message<'_, '_>, out: &mut Effects) -> Outcome {
        if !self.handlers.registry.is_empty()
            && let Some(outcome) = self.custom(message, out)
        {
            return outcome;
        }
        let Some(owner) = self.handlers.registry.built_ins.owner(message.kind) else {
            self.handlers.unowned += 1;
            return self.unowned(message, out);
        };
        let outcome = match owner {
            BuiltIn::Chat | BuiltIn::AgentRequest => self.start_run(message, out),
            BuiltIn::Stop => self.stop_runs(message, out),
            BuiltIn::Connection | BuiltIn::Heartbeat | BuiltIn::Typing => self.control(message, out),
            BuiltIn::AgentMessage => self.acknowledge_agent(message, out),
            BuiltIn::UserMessage => self.user_message(message, out),
            BuiltIn::JsonRpc => self.json_rpc(message, out),
            BuiltIn::Error => self.error_report(message, out),
            BuiltIn::Batch => self.batch(message, out),
            BuiltIn::Recovery if message.kind == Kind::Resume => self.resume(message, out),
            BuiltIn::Recovery => self.confirm(message, out),
            BuiltIn::Subscription => self.subscribe(message, message.kind == Kind::Subscribe, out),
            BuiltIn::Quality => self.quality(message, out),
            BuiltIn::EndToEnd => self.end_to_end(message, out),
        };
        self.handlers.counts.count(owner, outcome);
        outcome
    }
}
