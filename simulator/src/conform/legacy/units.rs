//! The adapters: recorded operations in terms of each model's calls.

use serde_json::{Map, Value};

use super::{Player, PythonOnly};
use crate::legacy::Hazards;

type Open = fn(&Map<String, Value>, Hazards) -> Result<Box<dyn Player>, PythonOnly>;

/// A line per model: `("core_router", core_router::open)`.
const UNITS: &[(&str, Open)] = &[];

/// The units that have a model, in the order of reports.
pub(super) const NAMES: &[&str] = &[];

/// Opens the model of a unit with the set-up of a case; `None` for a unit without one.
pub(super) fn open(
    unit: &str,
    setup: &Map<String, Value>,
    hazards: Hazards,
) -> Option<Result<Box<dyn Player>, PythonOnly>> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, open)| open(setup, hazards))
}
