//! Conformance: recorded cases of the routers that this one replaces, played against it one by one.
//!
//! A file of cases has one case a line ([`case`]). A [`Unit`] turns each step's operation into inputs of the real
//! router and answers what it saw; only then is the recording shown to it, to be compared. Neither the case's id nor
//! the sentence about it reaches a unit: what decides is set-up, operations and outcome.
//!
//! | a case is | it must |
//! |---|---|
//! | positive | agree at every step, or differ exactly as a [`Decision`] demands |
//! | negative | agree before step `until`; from there on differ the way the named hazard's row says ([`Notes::cured`]) |
//! | boundary | be accepted or refused as recorded |
//! | verdict | have the automaton's verdict |
//! | model | nothing here: it describes the old code, which only its executable model can repeat |

pub mod case;
mod compare;
mod decisions;
mod judge;
pub mod legacy;
mod notes;
mod report;
pub mod stage;
pub mod tape;
mod units;

pub use case::{Action, Case, Expect, Malformed, Oracle, OracleKind, read};
pub use compare::{Difference, Sent};
pub use judge::{Judged, Outcome, Shown, judge};
pub use notes::{Decision, Notes, Translation};
pub use report::{Tally, report};
pub use tape::{Obstacle, Tape, tape};
pub use units::{NAMES, Unit};

/// Why a step of a negative case has no counterpart in the canonical API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Inexpressible(pub &'static str);
