//! One result vocabulary for simulation, load, conformance and gate, and one pure function per output format.
//!
//! Whoever runs something fills a [`Report`]; whoever wants to see it calls a rendering: [`json`] (the format
//! that is kept and read back), [`text`] (terminal), [`markdown`] (job summary), [`junit`] (CI), [`html`]
//! (one self-contained page). [`compare`] puts two reports side by side, [`release`] joins many into one with one verdict.
//!
//! This package touches results only: no clock, no files, no environment, no randomness. **Equal reports render
//! to equal bytes**, so a report of a deterministic run can be compared with `cmp`.
//!
//! Names that come from outside (user ids, event types, details) are hostile until shown otherwise: every
//! rendering escapes for its format, and control or text-direction characters are written as escapes.
//!
//! ```
//! use reports::{Distribution, Domain, Fact, Kind, Report, Tool, Unit, Verdict};
//!
//! let mut first_event = Distribution::new();
//! first_event.record(1_200);
//!
//! let mut report = Report::new(Tool::new("goldenpath", "0.1.0"), Kind::Simulation);
//! report.facts.push(Fact::count("users", "users", 1));
//! report.metrics.push(first_event.to_metric("first_event", "send to first event", Unit::Microseconds, Domain::Virtual));
//!
//! assert_eq!(report.verdict, Verdict::Pass);
//! assert_eq!(reports::json::from_str(&reports::json::to_string(&report)), Ok(report));
//! ```

#![forbid(unsafe_code)]

pub mod html;
pub mod json;
pub mod junit;
pub mod markdown;
pub mod sweep;
pub mod text;

mod axis;
mod case;
mod comparison;
mod distribution;
mod escape;
mod evidence;
mod fact;
mod finding;
mod gate;
mod metric;
mod plot;
mod quantity;
mod release;
mod report;
#[cfg(test)]
mod sample;
mod sequence;
mod shape;
mod swimlanes;
mod table;
mod timeline;
mod verdict;

pub use case::{Case, Outcome};
pub use comparison::{CaseChange, Comparison, FactChange, MetricChange, RuleChange, Side, compare};
pub use distribution::Distribution;
pub use fact::{Fact, Value};
pub use finding::Finding;
pub use gate::{
    Accepted, Conditions, Contest, Decision, Difference, Epoch, Exact, Gate, Instructions, Quad, Quantity,
    Revision, Role, Rules, Weight,
};
pub use metric::{Domain, MergeError, Metric, QUANTILES};
pub use quantity::Unit;
pub use release::{Changes, Collected, Commit, Gap, Goal, Measured, Release, needed, release};
pub use report::{FINDINGS_MAX, Host, Kind, Report, SCHEMA, ScenarioRef, Tool};
pub use sequence::{Exchange, ExchangeKind, Sequence};
pub use sweep::Sweep;
pub use timeline::{Lane, Mark, Timeline};
pub use verdict::Verdict;
