//! One module per recorded unit: operations of the old part in terms of the canonical router.

mod breaker_unified;
mod breaker_ws;
mod broadcast;
mod core_router;
mod desk;
mod emitter;
mod event_router;
mod event_validator;
mod frames;
mod message_router;
mod message_types;
mod quality_router;
mod queue_buffer;
mod queue_connstate;
mod queue_fifo;
mod queue_generic;
mod queue_redis;
mod queue_utils;
mod queues;
mod scoped_router;
pub(super) mod tool_dispatcher;

use serde_json::{Map, Value};

use super::{Action, Difference, Expect, Inexpressible, Notes, Obstacle, Tape};

/// A recorded unit, played against the canonical router.
///
/// `act` sees the operation only; `compare` sees what was recorded, too, but can no longer act.
pub trait Unit {
    /// Does the operation. `Err` when the canonical API has no such thing.
    fn act(&mut self, action: &Action) -> Result<(), Inexpressible>;

    /// Compares the recording with what the last `act` brought about. An empty answer: they agree.
    fn compare(&mut self, action: &Action, expect: &Expect, notes: &mut Notes) -> Vec<Difference>;

    /// Says what the last `act` brought about, for people.
    fn show(&self) -> Value;

    /// Compares the verdict that was intended, in cases of event sequences, after the last step.
    fn verdict(&mut self, intended: &Value, notes: &mut Notes) -> Vec<Difference> {
        _ = (intended, notes);
        vec![Difference::new("intended", "<a verdict>", "<this unit gives none>")]
    }

    /// What was done so far, to be done again over sockets.
    fn tape(&self) -> Result<Tape, Obstacle> {
        Err(Obstacle::NoStage)
    }
}

type Open = fn(&Map<String, Value>) -> Result<Box<dyn Unit>, Inexpressible>;

const UNITS: &[(&str, Open)] = &[
    ("message_router", message_router::open),
    ("message_router_intended", message_router::open),
    ("message_types", message_types::open),
    ("core_router", core_router::open),
    ("quality_router", quality_router::open),
    ("event_router", event_router::open),
    ("scoped_router", scoped_router::open),
    ("broadcast", broadcast::open),
    ("emitter", emitter::open),
    ("event_validator", event_validator::open),
    ("tool_dispatcher", tool_dispatcher::open),
    ("queue_redis", queue_redis::open),
    ("queue_connstate", queue_connstate::open),
    ("queue_buffer", queue_buffer::open),
    ("queue_generic", queue_generic::open),
    ("queue_fifo", queue_fifo::open),
    ("queue_utils", queue_utils::open),
    ("breaker_ws", breaker_ws::open),
    ("breaker_unified", breaker_unified::open),
];

/// The names of all units, in the order of reports.
pub const NAMES: &[&str] = &[
    "message_router",
    "message_router_intended",
    "message_types",
    "core_router",
    "quality_router",
    "event_router",
    "scoped_router",
    "broadcast",
    "emitter",
    "event_validator",
    "tool_dispatcher",
    "queue_redis",
    "queue_connstate",
    "queue_buffer",
    "queue_generic",
    "queue_fifo",
    "queue_utils",
    "breaker_ws",
    "breaker_unified",
];

/// Opens a unit with the set-up of a case; `None` for a unit that nobody knows.
pub(super) fn open(unit: &str, setup: &Map<String, Value>) -> Option<Result<Box<dyn Unit>, Inexpressible>> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, open)| open(setup))
}
