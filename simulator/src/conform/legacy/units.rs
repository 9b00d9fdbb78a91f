//! The adapters: recorded operations in terms of each model's calls.

use serde_json::{Map, Value};

use super::{
    Player, PythonOnly, broadcast, core_router, event_router, message_router, message_types, quality_router,
    scoped_router, tool_dispatcher,
};
use crate::legacy::Hazards;

type Open = fn(&Map<String, Value>, Hazards) -> Result<Box<dyn Player>, PythonOnly>;

/// A line per model: `("core_router", core_router::open)`.
const UNITS: &[(&str, Open)] = &[
    ("message_router", message_router::open),
    ("message_router_intended", message_router::open),
    ("message_types", message_types::open),
    ("core_router", core_router::open),
    ("quality_router", quality_router::open),
    ("event_router", event_router::open),
    ("scoped_router", scoped_router::open),
    ("broadcast", broadcast::open),
    ("tool_dispatcher", tool_dispatcher::open),
];

/// The units that have a model, in the order of reports.
pub(super) const NAMES: &[&str] = &[
    "message_router",
    "message_router_intended",
    "message_types",
    "core_router",
    "quality_router",
    "event_router",
    "scoped_router",
    "broadcast",
    "tool_dispatcher",
];

/// Opens the model of a unit with the set-up of a case; `None` for a unit without one.
pub(super) fn open(
    unit: &str,
    setup: &Map<String, Value>,
    hazards: Hazards,
) -> Option<Result<Box<dyn Player>, PythonOnly>> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, open)| open(setup, hazards))
}
