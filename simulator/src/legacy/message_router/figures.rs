//! Counters and readiness.

use std::collections::BTreeMap;

use crate::legacy::{
    Hazard, Hazards,
    message_types::MessageType,
    python::{Dict, Value, text},
};

/// What was counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages that were routed, unknown ones included.
    pub routed: u64,
    /// Of these, the ones that nobody handled.
    pub unhandled: u64,
    /// Messages that ended in an exception, also before they were routed.
    pub handler_errors: u64,
    /// Messages of which nothing could be made; H8 counts them as errors of a handler.
    pub rejected: u64,
    /// By type, as types are written.
    pub types: BTreeMap<String, u64>,
}

impl Counters {
    pub(super) fn count_type(&mut self, kind: MessageType, hazards: Hazards) {
        *self.types.entry(kind.written(hazards)).or_default() += 1;
    }

    /// The counters under their names.
    pub fn value(&self) -> Dict {
        let count = |count: u64| Value::Int(count as i64);
        let mut types = Dict::default();
        for (kind, n) in &self.types {
            types.set(kind.clone(), count(*n));
        }
        let mut counters = Dict::from([
            ("messages_routed", count(self.routed)),
            ("unhandled_messages", count(self.unhandled)),
            ("handler_errors", count(self.handler_errors)),
            ("message_types", types.into()),
        ]);
        if self.rejected > 0 {
            counters.set("rejected_messages", count(self.rejected));
        }
        counters
    }
}

/// A look at the statistics.
#[derive(Clone, Debug)]
pub struct Snapshot {
    pub(super) taken: Counters,
    pub(super) hazards: Hazards,
}

impl Snapshot {
    /// Messages by type when it was taken. H24: what the router counts since shows in it, too.
    pub fn types<'a>(&'a self, now: &'a Counters) -> &'a BTreeMap<String, u64> {
        if self.hazards.has(Hazard::H24) { &now.types } else { &self.taken.types }
    }
}

/// Whether a router is ready, for people.
pub(super) struct Readiness<'a> {
    pub(super) elapsed_us: i64,
    /// The same as the difference of two readings of a clock of seconds, which is not exact.
    pub(super) elapsed: f64,
    pub(super) grace: &'a Value,
    pub(super) grace_us: i64,
    pub(super) handlers: Vec<&'a str>,
    /// A type that must be served has nobody.
    pub(super) lacking: bool,
}

impl Readiness<'_> {
    /// H26: any handler will do, and there are always nine.
    pub(super) fn value(&self, hazards: Hazards) -> Value {
        let count = self.handlers.len();
        let elapsed = self.elapsed;
        let active = self.elapsed_us < self.grace_us;
        let grace = text::str(self.grace);
        let lacking = count == 0 || self.lacking && !hazards.has(Hazard::H26);
        let (status, message) = match (active, lacking) {
            (true, true) if count == 0 => {
                ("initializing", format!("Startup in progress ({elapsed:.1}s of {grace}s grace period)"))
            }
            (true, _) => ("initializing", format!("Handlers registered during startup ({elapsed:.1}s)")),
            (false, true) if count == 0 => {
                ("error", format!("No handlers registered after {grace}s grace period"))
            }
            (false, true) => ("error", format!("A critical handler is missing after {grace}s grace period")),
            (false, false) => ("ready", format!("Handler registration complete ({count} handlers)")),
        };
        let mut value = Dict::from([
            ("status", status.into()),
            ("message", message.into()),
            ("handler_count", (count as i64).into()),
            ("elapsed_seconds", (self.elapsed_us as f64 / 1e6).into()),
            ("grace_period_active", active.into()),
        ]);
        if count > 0 {
            value.set("handlers", self.handlers.iter().copied().collect::<Value>());
        }
        value.into()
    }
}
